"""A training run from folders to a model file, in a run folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from endoseg_cli import __version__
from endoseg_cli.data.check import check_data
from endoseg_cli.data.frames import FrameStore
from endoseg_cli.data.layout import LabeledRecord
from endoseg_cli.data.sources import SourcesConfig, gather_sources
from endoseg_cli.errors import OutputError, UsageError
from endoseg_cli.networks.bundle import Bundle, ModelCard, save_bundle
from endoseg_cli.networks.device import resolve_device
from endoseg_cli.training.config import TrainConfig
from endoseg_cli.training.log import MetricsLog
from endoseg_cli.training.trainer import StepRecord, Trainer, ValidationRecord

MODEL_FILE = "model.safetensors"
CONFIG_FILE = "config.yaml"


@dataclass(frozen=True, kw_only=True)
class RunListener:
    """What the command line wants to hear of a run."""

    on_warning: Callable[[str], None]
    """Something about the data that the user should know."""
    on_step: Callable[[StepRecord, int], None]
    """A step was trained, of so many."""
    on_validation: Callable[[ValidationRecord], None]
    """The networks were validated."""


def run_training(
    sources: SourcesConfig, config: TrainConfig, folder: Path, *, device: str, resume: bool, listener: RunListener
) -> Path:
    """Train as `config` says and return the model file, RUN/model.safetensors.

    The run folder gets config.yaml, metrics.csv, last.pt, best1.pt and best2.pt. Raises UsageError, InputError or
    OutputError before training if settings, data or folder do not fit.
    """
    _prepare_folder(folder, resume=resume)
    found = gather_sources(sources)
    report = check_data(
        found.labeled, found.unlabeled, found.val, faults=found.faults, warnings=found.warnings, cheap=True
    )
    report.raise_faults()
    for warning in report.warnings:
        listener.on_warning(warning)
    if not found.val:
        raise UsageError("training needs frames to validate on", hint="give --val DIR, or --val-fraction 0.2")
    where = resolve_device(device)
    trainer = Trainer(
        config,
        frames=_store(found.labeled, config),
        validation=_store(found.val, config),
        folder=folder,
        device=where,
    )
    if resume:
        trainer.resume()
    else:
        _write_config(folder, sources, config)
    with MetricsLog(folder / "metrics.csv", keep_until=trainer.step) as log:

        def validated(record: ValidationRecord) -> None:
            log.write(record)
            listener.on_validation(record)

        trainer.fit(lambda record: listener.on_step(record, trainer.total_steps), validated)
    return _write_model(trainer, folder, len(found.labeled), len(found.val))


def _prepare_folder(folder: Path, *, resume: bool) -> None:
    if resume and not (folder / "last.pt").is_file():
        raise UsageError(f"nothing to resume in {folder}: it has no last.pt", hint="check the path of the run folder")
    if not resume and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"the run folder is not empty: {folder}", hint="choose another --out, or --resume this run")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the run folder {folder}: {error.strerror}") from error


def _store(records: Sequence[LabeledRecord], config: TrainConfig) -> FrameStore:
    return FrameStore(
        [record.image for record in records],
        [record.mask for record in records],
        size=config.size,
        keep=config.keep_frames,
    )


def _write_config(folder: Path, sources: SourcesConfig, config: TrainConfig) -> None:
    resolved = {"endoseg": __version__, "data": _plain(asdict(sources)), "training": _plain(asdict(config))}
    (folder / CONFIG_FILE).write_text(yaml.safe_dump(resolved, sort_keys=False), encoding="utf-8")


def _plain(value: Any) -> Any:
    """Turn tuples and paths into what YAML knows."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _write_model(trainer: Trainer, folder: Path, training_frames: int, validation_frames: int) -> Path:
    card = ModelCard(
        architecture=trainer.config.network,
        networks=len(trainer.networks),
        input_size=trainer.config.size,
        name=folder.name,
        training_data=f"{training_frames} labelled frames; see {CONFIG_FILE} of the run",
        scores={
            "validation_frames": validation_frames,
            "validation_dice": {
                f"network{number}": round(dice, 4) for number, dice in enumerate(trainer.best, start=1)
            },
        },
    )
    path = folder / MODEL_FILE
    save_bundle(Bundle(card=card, networks=tuple(trainer.best_networks())), path)
    return path
