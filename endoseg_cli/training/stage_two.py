"""Stage two of a run: the corrective network, on the same data, kept if it does more good than harm."""

from __future__ import annotations

from pathlib import Path

from endoseg_cli.data.labels.layout import find_videos
from endoseg_cli.data.sets.sources import DataSources, SourcesConfig
from endoseg_cli.networks.files.bundle import Bundle, save_bundle
from endoseg_cli.training.corrective.config import CorrectiveTrainConfig
from endoseg_cli.training.corrective.run import corrective_gain, train_corrective
from endoseg_cli.training.corrective.sources import ClipSources
from endoseg_cli.training.engine.records import RunListener
from endoseg_cli.training.engine.trainer import LAST, Trainer
from endoseg_cli.training.runs.run_folder import MODEL_FILE

CORRECTIVE_FOLDER = "corrective"
"""Folder of stage two within the run folder."""
CORRECTIVE_STEPS = 1000
"""Most steps of stage two unless asked otherwise."""
FEWEST_SECONDS = 1.0
"""What stage two gets of --max-time where stage one left nothing."""
CLIPS_PER_STEP = 4
"""Clips that stage two makes for each of its steps at most, so that short runs stay short."""


def train_stage_two(
    bundle: Bundle, trainer: Trainer, sources: SourcesConfig, found: DataSources, folder: Path, listener: RunListener
) -> Bundle:
    """Return the model with a corrective network trained on the same data; what it leaves lies in RUN/corrective."""
    steps = trainer.config.corrective_steps or min(trainer.step, CORRECTIVE_STEPS)
    own = folder / CORRECTIVE_FOLDER
    listener.on_note(f"stage two: the corrective network, {steps} steps; the model so far is {folder / MODEL_FILE}")
    if trainer.ranks.leads:
        own.mkdir(exist_ok=True)
    resume = trainer.ranks.lead((own / LAST).is_file())
    clips = ClipSources(stills=found.labeled, val=found.val, videos=tuple(find_videos(sources.unlabeled)))
    limit = trainer.config.max_time
    config = CorrectiveTrainConfig(
        max_time=None if limit is None else max(limit - trainer.seconds, FEWEST_SECONDS),
        max_steps=steps,
        clips=min(CorrectiveTrainConfig.clips, steps * CLIPS_PER_STEP),
        batch_size=CorrectiveTrainConfig.batch_size * trainer.ranks.size,
        seed=trainer.config.seed,
    )
    corrected = train_corrective(
        bundle,
        clips,
        config,
        own,
        device=trainer.learner.device,
        ranks=trainer.ranks,
        listener=listener,
        resume=resume,
    )
    return corrected if corrective_gain(corrected.card) > 0 else _without(bundle, corrected, own, trainer, listener)


def _without(bundle: Bundle, corrected: Bundle, own: Path, trainer: Trainer, listener: RunListener) -> Bundle:
    """Return the model as it was before stage two, which did harm; what came of that is kept beside it."""
    if trainer.ranks.leads:
        save_bundle(corrected, own / MODEL_FILE)
    listener.on_warning(
        "the corrective network does no more good than harm on held-out clips, so the model goes without it; "
        f"with it, the model is {own / MODEL_FILE}"
    )
    return bundle
