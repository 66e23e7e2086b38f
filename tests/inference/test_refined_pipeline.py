"""Whole videos through prediction and refinement, with networks whose answers are known."""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from endoseg_cli.inference.flow.predicting import Passed, Predicted, Predicting
from endoseg_cli.inference.pipeline import Outcome, SegmentConfig, segment_video
from endoseg_cli.inference.predict.corrector import Corrector
from endoseg_cli.inference.predict.predictor import Pixels, Predictor, Probability
from endoseg_cli.inference.refine.refiner import RefineConfig, Refiner
from endoseg_cli.inference.write.records import RecordsWriter
from endoseg_cli.networks.architecture.corrective import CorrectiveConfig, CorrectiveNetwork
from endoseg_cli.networks.files.bundle import Bundle
from tests.inference.brightness import STYLE, BrightnessPredictor, decode, disc_picture, targets_for
from tests.inference.mean_network import MeanNetwork
from tests.networks.tiny import tiny_bundle
from tests.video.rendering import Clip

Render = Callable[[Clip], Path]
FRAMES = 12  # frames 4 and 9 have no disc: two false-negative frames
RATE = 12  # at which the four frames between them are no short run


class UncertainBrightness(BrightnessPredictor):
    """Brightness with an uncertainty."""

    def predict_with_uncertainty(self, frames: Sequence[Pixels]) -> tuple[Probability, Probability]:
        probability = self.predict(frames)
        return probability, np.zeros_like(probability)


@pytest.fixture
def clip(render: Render) -> Path:
    return render(Clip(name="in.mp4", picture=disc_picture, frames=FRAMES, time_base=Fraction(1, RATE)))


@pytest.fixture
def averaging(monkeypatch: pytest.MonkeyPatch) -> MeanNetwork:
    """Put the averaging network in the place of the corrective one."""
    network = MeanNetwork()

    def make(predictor: Predictor, config: RefineConfig, threshold: float) -> Refiner[Tensor]:
        corrector = Corrector(network, window=3, device=predictor.device)
        mode = config.mode(has_network=True, model="mean")
        return Refiner(corrector if mode != "off" else None, mode, threshold=threshold, causal=config.causal)

    monkeypatch.setattr("endoseg_cli.inference.pipeline.make_refiner", make)
    return network


def run(
    clip: Path, refine: RefineConfig, *, every: int = 1
) -> tuple[Outcome, list[dict[str, str]], list[NDArray[np.uint8]]]:
    folder = clip.parent
    targets = targets_for(clip, masks=folder / "m.mkv")
    config = SegmentConfig(refine=refine, every=every, overwrite=True)
    with RecordsWriter(folder / "t.csv") as records:
        outcome = segment_video(targets, UncertainBrightness(batch_size=4), STYLE, config, records)
    rows = list(csv.DictReader((folder / "t.csv").read_text().splitlines()))
    return outcome, rows, decode(folder / "m.mkv")[0]


def test_flagged_frames_are_repaired_and_the_table_says_so(clip: Path, averaging: MeanNetwork) -> None:
    _, plain, before = run(clip, RefineConfig(choice="off"))
    outcome, rows, after = run(clip, RefineConfig(choice="flagged"))
    assert [row["frame"] for row in rows] == [str(index) for index in range(FRAMES)] and len(after) == FRAMES
    assert [index for index, row in enumerate(rows) if row["isolated"] == "false_negative"] == [4, 9]
    assert [index for index, row in enumerate(plain) if row["isolated"]] == [4, 9], "flags do not need refinement"
    refined = [index for index, row in enumerate(rows) if row["refined"] == "True"]
    assert refined == [3, 4, 5, 8, 9, 10]
    for index in (4, 9):
        assert rows[index]["raw_foreground_pixels"] == plain[index]["foreground_pixels"] == "0"
        assert int(rows[index]["foreground_pixels"]) > 0 and after[index].max() > 127
    for index in set(range(FRAMES)) - set(refined):
        assert rows[index] == plain[index] and np.array_equal(before[index], after[index])
    assert outcome.to_dict()["refine"] == {
        "mode": "flagged",
        "false_positive_frames": 0,
        "false_negative_frames": 2,
        "refined_frames": 6,
        "scene_cuts": 0,
    }
    assert outcome.lesion_frames == 12


@pytest.mark.parametrize("causal", [False, True])
def test_all_frames_come_out_once_and_in_order(clip: Path, averaging: MeanNetwork, causal: bool) -> None:
    outcome, rows, after = run(clip, RefineConfig(choice="all", causal=causal))
    assert outcome.frames == len(after) == FRAMES and outcome.refine_counts.refined_frames == FRAMES
    assert all(row["refined"] == "True" for row in rows)
    assert averaging.windows[5] == ((2, 1) if causal else (3, 1))


def test_every_nth_frame_is_refined_from_the_predicted_ones_and_the_others_wait_for_them(
    clip: Path, averaging: MeanNetwork
) -> None:
    outcome, rows, after = run(clip, RefineConfig(choice="all"), every=3)
    assert [row["frame"] for row in rows] == ["0", "3", "6", "9"] and outcome.frames == len(after) == FRAMES
    step = 3 * 25 / RATE  # in intervals of the rate that corrective networks learn at
    assert averaging.offsets == [[0, step], [-step, 0, step], [-step, 0, step], [-step, 0]]
    for index in range(FRAMES):
        assert np.array_equal(after[index], after[index // 3 * 3])


def test_an_untrained_corrective_network_changes_no_mask(render: Render) -> None:
    clip = render(Clip(name="in.mp4", picture=disc_picture, frames=6))
    bundle, config = tiny_bundle(), CorrectiveConfig()
    card = replace(bundle.card, corrective=config)
    full = Bundle(card=card, networks=bundle.networks, corrective=CorrectiveNetwork(config).eval())
    masks = []
    for choice in ("off", "all"):
        targets = targets_for(clip, masks=clip.parent / f"{choice}.mkv")
        predictor = Predictor(full, device="cpu", batch_size=4)
        outcome = segment_video(targets, predictor, STYLE, SegmentConfig(refine=RefineConfig(choice=choice)))
        assert outcome.refine_counts.refined_frames == (6 if choice == "all" else 0)
        masks.append(np.stack(decode(clip.parent / f"{choice}.mkv")[0]))
    assert np.array_equal(masks[0], masks[1]) and masks[0].any()


@pytest.mark.parametrize(("most", "names"), [(1 << 30, {"endoseg-refine"}), (-1, {"MainThread"})])
def test_large_frames_are_refined_between_predictions(
    most: int, names: set[str], clip: Path, averaging: MeanNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()
    refine = Predicting.refine

    def watched(self: Predicting, batch: Sequence[Predicted]) -> list[Passed]:
        seen.add(threading.current_thread().name)
        return refine(self, batch)

    monkeypatch.setattr(Predicting, "refine", watched)
    monkeypatch.setattr("endoseg_cli.inference.pipeline.MOST_BYTES_BESIDE", most)
    run(clip, RefineConfig(choice="all"))
    assert seen == names and averaging is not None
