"""A training run from folders to a model file, in a run folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from endoseg_cli.data.sets.sources import DataSources, SourcesConfig
from endoseg_cli.data.sets.split import Split, write_split
from endoseg_cli.errors import UsageError
from endoseg_cli.networks.files.bundle import save_bundle
from endoseg_cli.networks.running.device import resolve_device
from endoseg_cli.training.corrective.run import forget_corrective
from endoseg_cli.training.engine.memory import check_shared_memory, readers_deaths_named
from endoseg_cli.training.engine.records import RunListener
from endoseg_cli.training.engine.trainer import LAST, Trainer
from endoseg_cli.training.run_data import check_data_unchanged, gather, load_frames, start_weights
from endoseg_cli.training.runs.model import make_bundle
from endoseg_cli.training.runs.provenance import data_digest, versions
from endoseg_cli.training.runs.run_card import write_card
from endoseg_cli.training.runs.run_folder import CONFIG_FILE, MODEL_FILE, SPLIT_FILE, RunFolder, held, new_folder
from endoseg_cli.training.runs.tensorboard import check_tensorboard
from endoseg_cli.training.settings.config import TrainConfig
from endoseg_cli.training.settings.config_file import build_config, read_config, read_record, write_config
from endoseg_cli.training.shared.distributed import ALONE, Ranks, with_ranks
from endoseg_cli.training.stage_two import CORRECTIVE_FOLDER, train_stage_two

FINISHED = "finished"
"""What the record in config.yaml says about a run that has come to its end."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a run is carried out, as opposed to what it computes."""

    device: str = "auto"
    """auto, cpu, cuda, cuda:n or mps."""
    tensorboard: bool = False
    """Write event files for TensorBoard beside metrics.csv."""


def run_training(
    sources: SourcesConfig,
    config: TrainConfig,
    folder: Path,
    *,
    options: RunOptions | None = None,
    listener: RunListener | None = None,
) -> Path:
    """Train as `config` says and return the model file, RUN/model.safetensors.

    The run folder gets config.yaml, split.json, metrics.csv, curves.png, sample.png, last.pt, best1.pt, best2.pt, and
    in corrective/ what stage two leaves, see `train_corrective`. Under torchrun every process calls this, and the first
    one writes. Raises UsageError, InputError or OutputError before training if settings, data or folder do not fit,
    and what `Trainer` raises.
    """
    options, listener = options or RunOptions(), listener or RunListener()
    return with_ranks(
        resolve_device(options.device),
        lambda ranks, device: _run(sources, config, folder, device, ranks, options, listener, None),
    )


def resume_training(
    folder: Path,
    *,
    places: Mapping[str, Any] | None = None,
    longer: Mapping[str, Any] | None = None,
    options: RunOptions | None = None,
    listener: RunListener | None = None,
) -> Path:
    """Go on with the run in `folder` where its last checkpoint is, with the settings in its config.yaml.

    `places` are settings of SourcesConfig that say where the same data lie now, `longer` larger epochs, max_steps or
    max_time of TrainConfig; config.yaml is written anew with both. A finished run is left as it is unless it is made
    longer. Raises UsageError if there is nothing to resume, or nothing longer about `longer`, InputError if the data
    are not those that the run began with.
    """
    options, listener = options or RunOptions(), listener or RunListener()
    if not (folder / LAST).is_file() or not (folder / CONFIG_FILE).is_file():
        raise UsageError(
            f"nothing to resume in {folder}: expected {LAST} and {CONFIG_FILE} there",
            hint="check the path; a run that wrote no checkpoint yet is begun anew",
        )
    settings = read_config(folder / CONFIG_FILE)
    places, longer = dict(places or {}), dict(longer or {})
    was = build_config(TrainConfig, settings["training"], "training.")
    config = build_config(TrainConfig, {**settings["training"], **longer}, "training.")
    _check_longer(was, longer)
    finished = read_record(folder / CONFIG_FILE).get(FINISHED)
    if finished is not None and not longer and (folder / MODEL_FILE).is_file():
        listener.on_note(
            f"finished: {folder} has trained all its {finished['steps']} steps; --max-steps, --epochs or"
            " --max-time make it longer"
        )
        return folder / MODEL_FILE
    sources = build_config(SourcesConfig, {**settings["data"], **places}, "data.")
    resumption = Resumption(is_moved=bool(places), is_longer=bool(longer), was_finished=finished is not None)
    return with_ranks(
        resolve_device(options.device),
        lambda ranks, device: _run(sources, config, folder, device, ranks, options, listener, resumption),
    )


def _check_longer(was: TrainConfig, longer: Mapping[str, Any]) -> None:
    for name, value in longer.items():
        before = getattr(was, name)
        if before is not None and value <= before:
            shown = f"{before:g} s" if name == "max_time" else str(before)
            raise UsageError(
                f"--{name.replace('_', '-')}: expected more than the run's own {shown} to make it longer, found"
                f" {value:g}"
            )
        if name == "epochs" and was.max_steps is not None:
            raise UsageError("--epochs: the run counts steps", hint=f"give --max-steps, more than {was.max_steps}")


@dataclass(frozen=True, kw_only=True)
class Resumption:
    """What is new about a run that goes on."""

    is_moved: bool = False
    """Its data are named anew."""
    is_longer: bool = False
    """It gets more steps or time."""
    was_finished: bool = False
    """It had come to its end."""


@readers_deaths_named()
def _run(
    sources: SourcesConfig,
    config: TrainConfig,
    folder: Path,
    device: torch.device,
    ranks: Ranks,
    options: RunOptions,
    listener: RunListener,
    resumption: Resumption | None,
) -> Path:
    _check_ranks(config, ranks)
    listener = listener if ranks.leads else RunListener()
    if options.tensorboard:
        check_tensorboard()
    with new_folder(folder, ranks) if resumption is None else held(folder, ranks):
        return _train(sources, config, folder, device, ranks, options, listener, resumption)


def _train(
    sources: SourcesConfig,
    config: TrainConfig,
    folder: Path,
    device: torch.device,
    ranks: Ranks,
    options: RunOptions,
    listener: RunListener,
    resumption: Resumption | None,
) -> Path:
    if not ranks.leads:
        ranks.wait()  # for the first process, which decodes videos and fetches weights that the others then find
    found = gather(sources, listener)
    start = start_weights(config) if resumption is None else None
    if ranks.leads:
        ranks.wait()
    check_shared_memory(config, uses_unlabeled=bool(found.unlabeled) and config.uses_unlabeled)
    trainer = Trainer(
        config,
        load_frames(found, config),
        folder=folder,
        device=device,
        ranks=ranks,
        start=start,
        listener=RunListener(on_warning=listener.on_warning, on_step=listener.on_step),
    )
    if resumption is not None:
        check_data_unchanged(folder, found)
        trainer.resume(extended=resumption.is_longer)
        if resumption.is_longer and trainer.is_over():
            raise UsageError(f"{folder} ended after {trainer.step} steps, which no more time or steps changes")
        if resumption.was_finished and ranks.leads:
            forget_corrective(folder / CORRECTIVE_FOLDER)
    _warn_of_warm_up(trainer, listener)
    record = _record(found, trainer, ranks)
    if ranks.leads and (resumption is None or resumption.is_moved or resumption.is_longer):
        write_config(folder / CONFIG_FILE, sources, config, record)
        write_split(folder / SPLIT_FILE, Split(labeled=found.labeled, unlabeled=found.unlabeled, val=found.val))
    if ranks.leads:
        with RunFolder(folder, trainer, listener, tensorboard=options.tensorboard) as writer:
            trainer.listener = writer.listener
            trainer.fit()
    else:
        trainer.fit()
    ranks.wait()  # for the first process, which writes the best weights
    _warn_of_unused(trainer, listener)
    bundle = make_bundle(trainer, found, folder.name, listener)
    if ranks.leads:
        save_bundle(bundle, folder / MODEL_FILE)
    if config.corrective:
        bundle = train_stage_two(bundle, trainer, sources, found, folder, listener)
        if ranks.leads:
            save_bundle(bundle, folder / MODEL_FILE)
    if ranks.leads:
        ended = {"steps": trainer.step, "seconds": round(trainer.seconds, 1)}
        write_config(folder / CONFIG_FILE, sources, config, {**_record(found, trainer, ranks, record), FINISHED: ended})
        write_card(folder, bundle)
    ranks.wait()
    return folder / MODEL_FILE


def _warn_of_warm_up(trainer: Trainer, listener: RunListener) -> None:
    schedule = trainer.schedule
    if schedule.unlabeled and schedule.warm_up_steps >= schedule.total_steps:
        listener.on_warning(
            f"no unlabelled frame will be used: the warm-up of {schedule.warm_up_steps} steps is as long as the run;"
            " lower --warm-up-steps, or train longer"
        )


def _warn_of_unused(trainer: Trainer, listener: RunListener) -> None:
    """Say how many unlabelled frames the run came to use, if not all of them."""
    count = trainer.data.unlabeled_count
    used = max(trainer.step - trainer.schedule.warm_up_steps, 0) * trainer.config.frames_unlabeled
    if not trainer.schedule.unlabeled or used >= count:
        return
    found = (
        f"none of the {count} unlabelled frames was" if not used else f"only {used} of {count} unlabelled frames were"
    )
    listener.on_warning(
        f"{found} used: the run ended after {trainer.step} steps; give it more --max-time or --max-steps"
    )


def _check_ranks(config: TrainConfig, ranks: Ranks) -> None:
    for name, batch in (("--batch-size", config.batch_size), ("--unlabeled-batch-size", config.frames_unlabeled)):
        if batch % ranks.size:
            raise UsageError(
                f"{name} must be a multiple of the {ranks.size} processes that share the batch, found {batch}",
                hint=f"use {-(-batch // ranks.size) * ranks.size}",
            )


def _record(
    found: DataSources, trainer: Trainer, ranks: Ranks = ALONE, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what the run is made of; data that were read already, `before`, are not read again."""
    resolved = {name: value for name, value in asdict(trainer.schedule).items() if name != "config"}
    frames = {name: len(getattr(found, name)) for name in ("labeled", "negatives", "unlabeled", "val")}
    return {
        "versions": versions(),
        "processes": ranks.size,
        "frames": frames,
        "data_digest": data_digest(found) if before is None else before["data_digest"],
        "schedule": resolved,
    }
