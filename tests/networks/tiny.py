"""Small random models, and models whose answer is known beforehand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from endoseg_cli.networks.architecture.corrective import CorrectiveConfig, CorrectiveNetwork
from endoseg_cli.networks.architecture.unet import UNet, UNetConfig
from endoseg_cli.networks.files.bundle import Bundle, ModelCard, save_bundle

TINY = UNetConfig(encoder="mobilenet_v2", decoder_channels=(8, 8, 8, 8, 8))
SIDE = 64


def tiny_network(config: UNetConfig = TINY, seed: int = 0) -> UNet:
    """Return a random network in eval mode whose BatchNorms have statistics of their own."""
    torch.manual_seed(seed)
    network = UNet(config)
    _give_statistics(network)
    return network.eval()


def awake_network(config: CorrectiveConfig | None = None, seed: int = 0) -> CorrectiveNetwork:
    """Return a random corrective network, in eval mode, that does correct something."""
    torch.manual_seed(seed)
    network = CorrectiveNetwork(config or CorrectiveConfig())
    _give_statistics(network)
    for attention in (network.fine, network.coarse):
        torch.nn.init.normal_(attention.empty_key)
        torch.nn.init.normal_(attention.empty_value)
    torch.nn.init.normal_(network.head.weight, std=0.3)
    return network.eval()


def with_corrective(bundle: Bundle, config: CorrectiveConfig | None = None) -> Bundle:
    """Return the model with a random corrective network."""
    config = config or CorrectiveConfig(classes=bundle.card.architecture.classes)
    card = replace(bundle.card, corrective=config)
    return Bundle(card=card, networks=bundle.networks, corrective=awake_network(config))


def _give_statistics(network: torch.nn.Module) -> None:
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)


def tiny_bundle(*, networks: int = 2, class_names: tuple[str, ...] = ("lesion",), side: int = SIDE) -> Bundle:
    """Return a random model."""
    config = replace(TINY, classes=len(class_names))
    card = ModelCard(
        architecture=config,
        networks=networks,
        input_size=(side, side),
        class_names=class_names,
        name="tiny",
        training_data="none",
        scores={"dice": {"val": 0.5}},
    )
    return Bundle(card=card, networks=tuple(tiny_network(config, seed) for seed in range(networks)))


def calibrated_bundle() -> Bundle:
    """Return a random model whose BatchNorms know such pictures, so that its features tell pictures apart."""
    bundle = tiny_bundle()
    for network in bundle.networks:
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # the mean over what follows, in place of a running one
        with torch.no_grad():
            network.train()(torch.randn(4, 3, 4, 4).repeat_interleave(16, 2).repeat_interleave(16, 3))
        network.eval()
    return bundle


def constant_bundle(*logits: float, class_names: tuple[str, ...] = ("lesion",)) -> Bundle:
    """Return a model of as many networks as `logits`; each gives its logit everywhere, for the first class.

    Further classes get the opposite logit.
    """
    bundle = tiny_bundle(networks=len(logits), class_names=class_names)
    for network, logit in zip(bundle.networks, logits, strict=True):
        head = network.segmentation_head[0]
        assert isinstance(head, torch.nn.Conv2d) and head.bias is not None
        with torch.no_grad():
            head.weight.zero_()
            head.bias.fill_(-logit)
            head.bias[0] = logit
    return bundle


def save_to(folder: Path, bundle: Bundle, name: str = "model.safetensors") -> Path:
    """Save a model and return its path."""
    save_bundle(bundle, folder / name)
    return folder / name
