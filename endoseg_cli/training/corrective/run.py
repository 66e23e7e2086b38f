"""The corrective network's training from folders to a model file, alone or as stage two of `endoseg train`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from endoseg_cli import __version__
from endoseg_cli.errors import InputError, UsageError
from endoseg_cli.networks.architecture.corrective import CorrectiveConfig
from endoseg_cli.networks.files.bundle import Bundle, ModelCard, load_bundle, save_bundle
from endoseg_cli.networks.files.models import resolve_weights
from endoseg_cli.networks.running.device import resolve_device
from endoseg_cli.training.corrective.clips import FrozenNetworks
from endoseg_cli.training.corrective.config import CorrectiveSources, CorrectiveTrainConfig
from endoseg_cli.training.corrective.learner import CorrectiveLearner
from endoseg_cli.training.corrective.sources import ClipSources, gather_clip_sources, make_clips
from endoseg_cli.training.corrective.trainer import BEST, CorrectiveTrainer
from endoseg_cli.training.corrective.validation import CorrectiveScores
from endoseg_cli.training.engine.records import CorrectiveRecord, RunListener
from endoseg_cli.training.engine.trainer import LAST
from endoseg_cli.training.runs.curves import CORRECTIVE_PANELS, write_curves
from endoseg_cli.training.runs.log import MetricsLog
from endoseg_cli.training.runs.provenance import data_digest, versions
from endoseg_cli.training.runs.run_card import write_card
from endoseg_cli.training.runs.run_folder import (
    CONFIG_FILE,
    CURVES_FILE,
    CURVES_SECONDS,
    METRICS_FILE,
    MODEL_FILE,
    held,
    new_folder,
)
from endoseg_cli.training.settings.config_file import build_config, read_config, read_record, write_sections
from endoseg_cli.training.shared.distributed import Ranks, with_ranks

SCORES_ON_CLIPS = "corrective_dice_on_clips"
"""Where a card says what its corrective network does on held-out clips."""
CORRECTIVE_SECTIONS: dict[str, type] = {"data": CorrectiveSources, "corrective": CorrectiveTrainConfig}
"""What the config file of such a run may set, by section."""


def run_corrective(
    sources: CorrectiveSources,
    config: CorrectiveTrainConfig,
    folder: Path,
    *,
    device: str = "auto",
    listener: RunListener | None = None,
) -> Path:
    """Train a corrective network for a model and return the model that holds both, RUN/model.safetensors.

    The run folder gets config.yaml, metrics.csv, curves.png, last.pt and best.pt. Under torchrun every process calls
    this. Raises UsageError, InputError, WeightsError or OutputError before training if something does not fit, and
    what `CorrectiveTrainer` raises.
    """
    return with_ranks(
        resolve_device(device), lambda ranks, place: _run(sources, config, folder, place, ranks, listener, resume=False)
    )


def resume_corrective(folder: Path, *, device: str = "auto", listener: RunListener | None = None) -> Path:
    """Go on with the run in `folder` where its last checkpoint is; raises as `training.run.resume_training` does."""
    if not (folder / LAST).is_file() or not (folder / CONFIG_FILE).is_file():
        raise UsageError(
            f"nothing to resume in {folder}: expected {LAST} and {CONFIG_FILE} there",
            hint="check the path; a run that wrote no checkpoint yet is begun anew",
        )
    settings = read_config(folder / CONFIG_FILE, CORRECTIVE_SECTIONS)
    sources = build_config(CorrectiveSources, settings["data"], "data.")
    config = build_config(CorrectiveTrainConfig, settings["corrective"], "corrective.")
    return with_ranks(
        resolve_device(device), lambda ranks, place: _run(sources, config, folder, place, ranks, listener, resume=True)
    )


def train_corrective(
    bundle: Bundle,
    sources: ClipSources,
    config: CorrectiveTrainConfig,
    folder: Path,
    *,
    device: torch.device,
    ranks: Ranks,
    listener: RunListener,
    resume: bool,
    predictor: Bundle | None = None,
) -> Bundle:
    """Return the model with a corrective network that was trained on clips of `sources`; checkpoints go to `folder`.

    The clips are predicted by the networks of `predictor`, or by the model's own.
    """
    for model in (bundle, predictor or bundle):
        if model.card.architecture.classes != 1:
            raise UsageError(
                f"a corrective network learns from masks of one class, the model has {model.card.architecture.classes}"
            )
    if config.batch_size % ranks.size:
        raise UsageError(
            f"--batch-size must be a multiple of the {ranks.size} processes that share it, found {config.batch_size}"
        )
    listener = listener if ranks.leads else RunListener()
    model = predictor or bundle
    predicting = FrozenNetworks(model.networks, model.card, device, kept_size=config.size)
    began = time.monotonic()
    data = make_clips(sources, config, predicting, listener.on_note)
    if config.max_time is not None:
        spent = time.monotonic() - began
        config = replace(config, max_time=ranks.lead(max(config.max_time - spent, 1e-3)))
    learner = CorrectiveLearner(config, _architecture(config), device=device, ranks=ranks)
    if bundle.corrective is not None and _goes_on(bundle.corrective.config, config):
        learner.network.load_state_dict(bundle.corrective.state_dict())
    trainer = CorrectiveTrainer(config, data, learner, folder=folder)
    if resume:
        trainer.resume()
    writer = _Writer(folder, trainer.step, listener)
    if ranks.leads:
        trainer.listener = replace(listener, on_corrective=writer.validated)
    trainer.fit()
    ranks.wait()  # for the first process, which writes the best weights
    if ranks.leads:
        writer.draw()
    return _with_best(bundle, trainer, data_size=(len(data.training), len(data.validation)))


def _architecture(config: CorrectiveTrainConfig) -> CorrectiveConfig:
    return CorrectiveConfig(window=config.window, size=config.size)


def _goes_on(there: CorrectiveConfig, config: CorrectiveTrainConfig) -> bool:
    """Return whether the weights of a network fit the one to be trained; the size that it works at may be another."""
    return replace(there, size=None) == replace(_architecture(config), size=None)


def forget_corrective(folder: Path) -> None:
    """Remove the checkpoints of a corrective network whose frozen networks have trained on since."""
    for name in (LAST, BEST):
        (folder / name).unlink(missing_ok=True)


class _Writer:
    """Writes each validation into the run folder and passes it on."""

    def __init__(self, folder: Path, step: int, listener: RunListener) -> None:
        self._curves, self._listener, self._drawn = folder / CURVES_FILE, listener, 0.0
        self._log = MetricsLog(folder / METRICS_FILE, keep_until=step)

    def validated(self, record: CorrectiveRecord) -> None:
        row = {
            "step": str(record.step),
            "seconds": f"{record.seconds:.1f}",
            "learning_rate": f"{record.learning_rate:.3e}",
        }
        self._log.append(row | {name: f"{value:.6f}" for name, value in {**record.scores, **record.values}.items()})
        if time.monotonic() - self._drawn > CURVES_SECONDS:
            self.draw()
        self._listener.on_corrective(record)

    def draw(self) -> None:
        if self._log.rows:
            write_curves(self._curves, self._log.rows, CORRECTIVE_PANELS)
        self._drawn = time.monotonic()


def corrective_gain(card: ModelCard) -> float:
    """Return what a model's corrective network gains in Dice on held-out clips, see `CorrectiveScores.gain`."""
    measured = {name: value for name, value in card.scores[SCORES_ON_CLIPS].items() if name != "clips"}
    return CorrectiveScores(**measured).gain


def _with_best(bundle: Bundle, trainer: CorrectiveTrainer, data_size: tuple[int, int]) -> Bundle:
    network, scores = trainer.best_network()
    measured = {name: round(value, 4) for name, value in scores.items()}
    card = replace(
        bundle.card,
        corrective=network.config,
        training_data=f"{bundle.card.training_data}; corrective network: {data_size[0]} clips",
        scores={**bundle.card.scores, SCORES_ON_CLIPS: {"clips": data_size[1], **measured}},
        endoseg_version=__version__,
    )
    return Bundle(card=card, networks=bundle.networks, corrective=network)


def _run(
    sources: CorrectiveSources,
    config: CorrectiveTrainConfig,
    folder: Path,
    device: torch.device,
    ranks: Ranks,
    listener: RunListener | None,
    *,
    resume: bool,
) -> Path:
    with held(folder, ranks) if resume else new_folder(folder, ranks):
        return _train(sources, config, folder, device, ranks, listener or RunListener(), resume=resume)


def _train(
    sources: CorrectiveSources,
    config: CorrectiveTrainConfig,
    folder: Path,
    device: torch.device,
    ranks: Ranks,
    listener: RunListener,
    *,
    resume: bool,
) -> Path:
    bundle = load_bundle(resolve_weights(sources.weights))
    predictor = None if sources.predictor is None else load_bundle(resolve_weights(sources.predictor))
    found = gather_clip_sources(sources, config.seed)
    digest = data_digest(found.as_data())
    if not resume:
        if ranks.leads:
            record = {"versions": versions(), "processes": ranks.size, "data_digest": digest}
            write_corrective_config(folder, sources, config, record)
    elif read_record(folder / CONFIG_FILE).get("data_digest") != digest:
        raise InputError(
            f"the data are no longer those that {folder} was trained on: files were changed, added or removed",
            hint="restore them, or begin a new run",
        )
    if bundle.corrective is not None and ranks.leads:
        goes_on = _goes_on(bundle.corrective.config, config)
        what = "training goes on from it" if goes_on else "one of another architecture takes its place"
        listener.on_note(f"the model has a corrective network already; {what}")
    trained = train_corrective(
        bundle,
        found,
        config,
        folder,
        device=device,
        ranks=ranks,
        listener=listener,
        resume=resume,
        predictor=predictor,
    )
    if ranks.leads:
        if corrective_gain(trained.card) <= 0:
            listener.on_warning("the corrective network does no more good than harm on held-out clips: train it longer")
        save_bundle(trained, folder / MODEL_FILE)
        write_card(folder, trained)
    ranks.wait()
    return folder / MODEL_FILE


def write_corrective_config(
    folder: Path, sources: CorrectiveSources, config: CorrectiveTrainConfig, record: Mapping[str, Any]
) -> None:
    """Write RUN/config.yaml."""
    write_sections(folder / CONFIG_FILE, {"data": asdict(sources), "corrective": asdict(config)}, record)
