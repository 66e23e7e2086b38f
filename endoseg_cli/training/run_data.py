"""What a run learns from and starts with, read and checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from endoseg_cli.data.labels.layout import LabeledRecord, UnlabeledRecord
from endoseg_cli.data.sets.check import check_data
from endoseg_cli.data.sets.sources import DataSources, SourcesConfig, gather_sources, lacks_for_training
from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.errors import InputError, UsageError
from endoseg_cli.hub.encoders import imagenet_encoder
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.networks.files.pretrained import load_encoder_weights, load_network_weights
from endoseg_cli.training.engine.feed import TrainingData
from endoseg_cli.training.engine.learner import Start
from endoseg_cli.training.engine.records import RunListener
from endoseg_cli.training.runs.provenance import data_digest
from endoseg_cli.training.runs.run_folder import CONFIG_FILE
from endoseg_cli.training.settings.config import TrainConfig
from endoseg_cli.training.settings.config_file import read_record


def gather(sources: SourcesConfig, listener: RunListener) -> DataSources:
    """Return the frames of all sources; raises InputError with every fault, UsageError for what is missing."""
    found = gather_sources(sources)
    report = check_data(
        found.labeled,
        found.unlabeled,
        found.val,
        negatives=found.negatives,
        faults=found.faults,
        warnings=found.warnings,
        cheap=True,
    )
    report.raise_faults()
    for warning in report.warnings:
        listener.on_warning(warning)
    for what, hint in lacks_for_training(found):
        raise UsageError(what, hint=hint)
    return found


def load_frames(found: DataSources, config: TrainConfig) -> TrainingData:
    """Read the frames, or make them ready to be read; raises InputError, UsageError as `--empty-share` needs."""
    unlabeled = None
    if found.unlabeled:
        # A supervised run counts them, so that its epochs are as long as those it is compared with, but reads none.
        keep = config.keep_frames and config.uses_unlabeled
        unlabeled = FrameStore(
            [record.image for record in found.unlabeled],
            None,
            size=config.size,
            keep=keep,
            crop=config.field_of_view == "auto",
        )
    labeled = _store(found.labeled, config, found.negatives)
    if config.empty_share is not None:
        _check_empty_share(config, len(labeled.empty()), len(labeled))
    return TrainingData(labeled=labeled, validation=_store(found.val, config), unlabeled=unlabeled)


def _store(
    records: Sequence[LabeledRecord], config: TrainConfig, negatives: Sequence[UnlabeledRecord] = ()
) -> FrameStore:
    images = [*(record.image for record in records), *(record.image for record in negatives)]
    masks = [*(record.mask for record in records), *(None for _ in negatives)]
    return FrameStore(images, masks, size=config.size, keep=config.keep_frames, crop=config.field_of_view == "auto")


def _check_empty_share(config: TrainConfig, empty: int, frames: int) -> None:
    assert config.empty_share is not None
    wanted = round(config.empty_share * config.batch_size)
    if wanted and not empty:
        raise UsageError(
            "--empty-share needs frames without a lesion, found none", hint="give some with --negatives DIR"
        )
    if wanted < config.batch_size and empty == frames:
        raise UsageError("training needs frames with a lesion, found none", hint="check the masks given to --labeled")


def start_weights(config: TrainConfig) -> Start | None:
    """Return what gives the networks the weights they start from; nothing is fetched while networks are built."""
    if config.start_from is not None:
        model = Path(config.start_from)
        return lambda network, number: load_network_weights(network, number, model)
    if config.encoder_weights == "none":
        return None
    imagenet = config.encoder_weights == "imagenet"
    path = imagenet_encoder(config.encoder) if imagenet else Path(config.encoder_weights)

    def start(network: UNet, _: int) -> None:
        load_encoder_weights(network, path)

    return start


def check_data_unchanged(folder: Path, found: DataSources) -> None:
    """Raise InputError unless the data are those that the run in `folder` began with."""
    if read_record(folder / CONFIG_FILE).get("data_digest") != data_digest(found):
        raise InputError(
            f"the data are no longer those that {folder} was trained on: files were changed, added or removed",
            hint="restore them, or begin a new run",
        )
