from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.data.labels.layout import LabeledRecord
from endoseg_cli.evaluation.frames.scoring import Evaluation, EvaluationConfig, FramePrediction, Predict, evaluate
from endoseg_cli.evaluation.report.provenance import Provenance

# Side lengths (H, W) and the lesion's box: top, bottom, left, right.
SHAPES = (
    ("a/one", (24, 32), (4, 12, 4, 12)),
    ("a/two", (20, 20), (0, 0, 0, 0)),
    ("b/three", (40, 16), (10, 30, 2, 14)),
    ("b/<four>", (16, 24), (8, 10, 8, 10)),
)


def lesion_mask(size: tuple[int, int], box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(size, dtype=bool)
    mask[box[0] : box[1], box[2] : box[3]] = True
    return mask


def write_frame(root: Path, name: str, mask: NDArray[np.bool_]) -> LabeledRecord:
    """Write an image whose red channel is 200 in the lesion and 50 outside, and its mask."""
    paths = [root / kind / f"{name}.png" for kind in ("images", "masks")]
    image = np.full((*mask.shape, 3), 50, dtype=np.uint8)
    image[mask, 2] = 200  # OpenCV writes BGR
    for path, pixels in zip(paths, (image, mask.astype(np.uint8) * 255), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return LabeledRecord(image=paths[0], mask=paths[1], group=name.rpartition("/")[0], name=name)


def see_red(frames: Sequence[NDArray[np.uint8]]) -> list[FramePrediction]:
    """A model that sees the red lesion, but shifted down by two pixels; its second network is surer of itself."""
    predictions = []
    for frame in frames:
        first: NDArray[np.float32] = np.roll(frame[..., 0].astype(np.float32) / np.float32(255), 2, axis=0)
        second = np.square(first)
        mean = np.asarray((first + second) / 2, dtype=np.float32)
        predictions.append(FramePrediction(probability=mean, networks=(first, second)))
    return predictions


def write_records(root: Path) -> list[LabeledRecord]:
    return [write_frame(root, name, lesion_mask(size, box)) for name, size, box in SHAPES]


@pytest.fixture
def records(tmp_path: Path) -> list[LabeledRecord]:
    return write_records(tmp_path / "data")


@pytest.fixture(scope="session")
def shared_evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """The same as `evaluation`, made once, for tests of slow reports."""
    return evaluate(write_records(tmp_path_factory.mktemp("shared")), see_red, EvaluationConfig(gallery_frames=2))


@pytest.fixture
def predict() -> Predict:
    return see_red


@pytest.fixture
def evaluation(records: list[LabeledRecord], predict: Predict) -> Evaluation:
    return evaluate(records, predict, EvaluationConfig(gallery_frames=2))


@pytest.fixture(scope="session")
def provenance() -> Provenance:
    return Provenance(
        endoseg_version="0.0.0",
        weights="model.safetensors",
        weights_sha256="ab" * 32,
        model_card={"name": "<b>model</b>", "input_size": (64, 64), "scores": {"dice": 0.5}},
        network="both",
        device="cpu",
        labeled="data & more",
        split="all frames",
        data_sha256="cd" * 32,
    )


FrameWriter = Callable[[str, NDArray[np.bool_]], LabeledRecord]


@pytest.fixture
def write(tmp_path: Path) -> FrameWriter:
    return lambda name, mask: write_frame(tmp_path / "data", name, mask)
