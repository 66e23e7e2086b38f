"""The model that a run makes of its networks, and the card that says what it is."""

from __future__ import annotations

from collections.abc import Sequence

from endoseg_cli.data.sets.sources import DataSources
from endoseg_cli.networks.architecture.encoders import normalisation
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.networks.files.bundle import Bundle, ModelCard
from endoseg_cli.training.engine.presence_choice import FEWEST_FRAMES, PresenceChoice, choose_presence
from endoseg_cli.training.engine.records import RunListener
from endoseg_cli.training.engine.trainer import Trainer
from endoseg_cli.training.runs.run_folder import CONFIG_FILE


def make_bundle(trainer: Trainer, found: DataSources, name: str, listener: RunListener) -> Bundle:
    """Return the networks that `trainer` selects with a card; the presence is the settings', or chosen now."""
    networks, dice = trainer.selected_networks()
    unlabeled = f" and {len(found.unlabeled)} unlabelled" if trainer.schedule.unlabeled else ""
    negatives = f", {len(found.negatives)} lesion-free" if found.negatives else ""
    mean, std = normalisation(trainer.config.encoder)
    scores = {
        "validation_frames": len(found.val),
        "validation_dice": {f"network{number}": round(score, 4) for number, score in enumerate(dice, start=1)},
    }
    presence = trainer.config.presence
    if presence is None:
        choice = trainer.ranks.lead(_choose(trainer, networks) if trainer.ranks.leads else None)
        listener.on_note(_told(choice))
        presence = choice.presence if choice else 0.0
        if choice and presence:
            ways = {"with_presence": choice.chosen, "every_region": choice.without}
            scores["both_networks"] = {
                way: {"lesion_dice": round(it.lesion_dice, 4), "kept_empty": round(it.kept_empty, 4)}
                for way, it in ways.items()
            }
    card = ModelCard(
        architecture=trainer.config.network,
        mean=mean,
        std=std,
        field_of_view=trainer.config.field_of_view,
        networks=len(networks),
        input_size=trainer.config.size,
        name=name,
        training_data=f"{len(found.labeled)} labelled{negatives}{unlabeled} frames; see {CONFIG_FILE} of the run",
        scores=scores,
        presence=presence,
    )
    return Bundle(card=card, networks=tuple(networks))


def _choose(trainer: Trainer, networks: Sequence[UNet]) -> PresenceChoice | None:
    device = trainer.learner.device
    there = [network.to(device) for network in networks]
    try:
        return choose_presence(there, trainer.data.validation, trainer.config.size, trainer.learner.normalise)
    finally:
        for network in networks:
            network.cpu()


def _told(choice: PresenceChoice | None) -> str:
    if choice is None:
        return (
            f"presence 0, every region is drawn: fewer than {FEWEST_FRAMES} validation frames with a lesion, or without"
            " one, to choose it on"
        )
    chosen, without = choice.chosen, choice.without
    if not choice.presence:
        return "presence 0, every region is drawn: on the validation frames a higher one gains nothing for sure"
    return (
        f"presence {choice.presence:g}, chosen on the validation frames: Dice on lesions {chosen.lesion_dice:.3f}"
        f" ({without.lesion_dice:.3f} with every region drawn), {chosen.kept_empty:.0%} of the frames without one stay"
        f" empty ({without.kept_empty:.0%}); `segment --presence 0` draws every region"
    )
