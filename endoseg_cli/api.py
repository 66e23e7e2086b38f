"""endoseg in Python: load a model, segment frames and videos, evaluate, train.

    import endoseg_cli as endoseg

    model = endoseg.load("polyp-lite")
    result = model.segment(frame)                            # (H, W, 3) uint8 RGB
    for result in model.segment_video("clip.mp4"):           # streaming, in constant memory
        print(result.time, result.mask.sum())

These names are the public face; everything else in the package may change without notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.data.labels.layout import find_labeled
from endoseg_cli.data.sets.sources import SourcesConfig
from endoseg_cli.errors import UsageError
from endoseg_cli.evaluation.frames.scoring import Evaluation, EvaluationConfig, FramePrediction
from endoseg_cli.evaluation.frames.scoring import evaluate as _evaluate
from endoseg_cli.inference.flow.predicting import Passed, Predicting
from endoseg_cli.inference.inputs.views import ViewChoice, view_of_picture, view_of_video
from endoseg_cli.inference.predict.masks import MaskConfig, Segmentation
from endoseg_cli.inference.predict.masks import segment as _segment
from endoseg_cli.inference.predict.predictor import NetworkChoice, Predictor, TestTimeAugmentation
from endoseg_cli.inference.refine.refiner import RefineChoice, RefineConfig, make_refiner
from endoseg_cli.networks.files.bundle import ModelCard, load_bundle
from endoseg_cli.networks.files.models import resolve_weights
from endoseg_cli.networks.files.runtimes import RuntimeChoice
from endoseg_cli.networks.running.device import Precision
from endoseg_cli.networks.running.entropy import binary_entropy
from endoseg_cli.pictures.resize import resize_frame
from endoseg_cli.training.methods.table import method_settings
from endoseg_cli.training.run import RunOptions, run_training
from endoseg_cli.training.settings.config import TrainConfig
from endoseg_cli.training.settings.config_file import build_config
from endoseg_cli.video.reading.reader import VideoReader

Frame = NDArray[np.uint8]
"""A picture (H, W, 3), RGB."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """What a model says of one frame, at the frame's own size."""

    mask: NDArray[np.bool_]
    """(H, W): where any class is."""
    masks: NDArray[np.bool_]
    """(C, H, W): each class of `Model.classes`."""
    probability: NDArray[np.float32]
    """(C, H, W), from 0 to 1; of a refined frame after refinement."""
    frame: int
    """Its number in the video, from 0; 0 for a picture."""
    time: float | None
    """Seconds since the video's first frame; None for a picture."""
    refined: bool
    """Whether the corrective network changed it."""

    @property
    def uncertainty(self) -> NDArray[np.float32]:
        """Binary entropy of the probability, (C, H, W), in nats: 0 to ln 2."""
        return np.asarray(binary_entropy(self.probability), np.float32)


class Model:
    """A model on a device; see `load`."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    @property
    def card(self) -> ModelCard:
        """What the model's file says about it."""
        return self._predictor.card

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of `Result.masks`."""
        return self.card.class_names

    def segment(
        self, frame: Frame, *, threshold: float = 0.5, min_area: int = 0, field_of_view: ViewChoice | None = None
    ) -> Result:
        """Segment one picture (H, W, 3) uint8 RGB, as `endoseg segment` does a still.

        `field_of_view` is auto, off, or a box (data.field_of_view.FieldOfView); None does as the model was trained.
        Raises UsageError for another shape or type of array.
        """
        picture = _checked(frame)
        config = MaskConfig(threshold=threshold, min_area=min_area)
        view = view_of_picture(self._view(field_of_view), picture, Path("frame"))
        seen = picture if view is None else view.crop(picture)
        probability = self._predictor.predict([resize_frame(seen, self._predictor.input_size)])[0]
        return _result(_segment(probability, picture.shape[:2], config, view), frame=0, time=None, refined=False)

    def segment_video(
        self,
        path: str | Path,
        *,
        threshold: float = 0.5,
        min_area: int = 0,
        refine: RefineChoice = "auto",
        start: float | None = None,
        end: float | None = None,
        field_of_view: ViewChoice | None = None,
    ) -> Iterator[Result]:
        """Yield the result of each frame of a video in order, as `endoseg segment` gives it, in constant memory.

        Raises what reading raises: MissingInputError or InputError.
        """
        config = MaskConfig(threshold=threshold, min_area=min_area)
        refiner = make_refiner(self._predictor, RefineConfig(choice=refine), threshold)
        predicting = Predicting(self._predictor, refiner)
        with VideoReader(path, start=start, end=end, rgb_size=self._predictor.input_size) as reader:
            reader.crop = view_of_video(self._view(field_of_view), reader)
            seen = reader.crop or reader.info
            refiner.smallest_share = min_area / max(seen.width * seen.height, 1)

            def finished(passed: Iterable[Passed]) -> Iterator[Result]:
                for item in passed:
                    assert item.refined is not None, "every frame is predicted"
                    found = _segment(item.refined.probability, reader.info.upright_size, config, reader.crop)
                    frame = item.frame
                    yield _result(found, frame=frame.index, time=frame.time, refined=item.refined.refined)

            batch = []
            for frame in reader:
                batch.append((frame, True))
                if len(batch) >= self._predictor.batch_size:
                    yield from finished(predicting(batch))
                    batch = []
            yield from finished(predicting(batch))
            yield from finished(predicting.finish())

    def _view(self, field_of_view: ViewChoice | None) -> ViewChoice:
        return self.card.field_of_view if field_of_view is None else field_of_view

    def _predict(self, frames: Sequence[Frame]) -> list[FramePrediction]:
        maps = self._predictor.predict_any_size(frames)
        return [FramePrediction(probability=probability.max(axis=0)) for probability in maps]


def load(
    weights: str | Path | None = None,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    network: NetworkChoice = "both",
    batch_size: int | None = None,
    presence: float | None = None,
    tta: TestTimeAugmentation = "off",
    runtime: RuntimeChoice = "torch",
) -> Model:
    """Load a model: a file, a run folder, or a bundled name (None: the bundled one); options as `endoseg segment`'s.

    Raises WeightsError, DeviceError or UsageError.
    """
    bundle = load_bundle(resolve_weights(weights))
    predictor = Predictor(
        bundle,
        device=device,
        precision=precision,
        network=network,
        batch_size=batch_size,
        presence=presence,
        tta=tta,
        runtime=runtime,
    )
    return Model(predictor)


def evaluate(model: Model, labeled: str | Path, *, threshold: float = 0.5) -> Evaluation:
    """Score a model on frames with known masks; `.summary` holds the means (evaluation.metrics.Summary).

    Raises InputError with every fault of the data.
    """
    records = find_labeled(Path(labeled))
    return _evaluate(records, model._predict, EvaluationConfig(threshold=threshold))


def train(
    out: str | Path,
    *,
    labeled: Sequence[str | Path],
    unlabeled: Sequence[str | Path] = (),
    negatives: Sequence[str | Path] = (),
    val: str | Path | None = None,
    val_fraction: float | None = None,
    device: str = "auto",
    **settings: Any,
) -> Path:
    """Train as `endoseg train` does and return the model's file; `settings` are those of training.config.TrainConfig.

    Raises UsageError for a setting that is unknown or out of range, and what `training.run.run_training` raises.
    """
    data: dict[str, Any] = {
        "labeled": [str(path) for path in labeled],
        "unlabeled": [str(path) for path in unlabeled],
        "negatives": [str(path) for path in negatives],
        "val": None if val is None else str(val),
        "val_fraction": val_fraction,
    }
    unknown = set(settings) - set(TrainConfig.__dataclass_fields__)
    if unknown:
        raise UsageError(f"training has no setting {sorted(unknown)[0]}", hint="TrainConfig lists them")
    sources = build_config(SourcesConfig, data, "data.")
    settings = {**method_settings(settings.get("method", TrainConfig.method)), **settings}
    config = build_config(TrainConfig, settings, "training.")
    return run_training(sources, config, Path(out), options=RunOptions(device=device))


def _checked(frame: Frame) -> Frame:
    array = np.asarray(frame)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or 0 in array.shape:
        raise UsageError(f"a frame is an array (H, W, 3) of uint8 in RGB, found {array.shape} of {array.dtype}")
    return np.ascontiguousarray(array)


def _result(found: Segmentation, *, frame: int, time: float | None, refined: bool) -> Result:
    return Result(
        mask=found.any_class, masks=found.mask, probability=found.probability, frame=frame, time=time, refined=refined
    )
