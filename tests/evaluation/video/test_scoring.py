from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.data.clips.scored_clips import ClipFrame
from endoseg_cli.evaluation.report.video_tables import frame_table, video_tables
from endoseg_cli.evaluation.video.scoring import BEFORE, ClipScorer, Probability, video_report
from endoseg_cli.evaluation.video.spoil import Spoiler

SIDE = 32


def frames(present: Sequence[bool], *, truth: bool = True, scene: int = 0) -> Iterator[ClipFrame]:
    """A reddish square on a texture that stands still, and the truth; it is seen where it is `present`."""
    texture = np.random.default_rng(scene).integers(0, 256, (SIDE // 4, SIDE // 4, 3), dtype=np.uint8)
    texture = texture.repeat(4, axis=0).repeat(4, axis=1)
    texture[..., 0] = 0
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[10:20, 12:22] = True
    for index, is_seen in enumerate(present):
        picture = texture.copy()
        if is_seen:
            picture[mask, 0] = 150
        yield ClipFrame(picture=picture, time=index / 25, truth=mask if truth else None)


def reddish(picture: NDArray[np.uint8]) -> tuple[Probability, Probability]:
    probability = (picture[..., 0].astype(np.float32) / np.float32(255))[None]
    return probability, np.zeros_like(probability)


class HoldLast:
    """Repeats the last frame where a frame is empty, and gives everything back two frames late."""

    def __init__(self) -> None:
        self._held: list[Probability] = []
        self._last: Probability | None = None

    def step(
        self, picture: NDArray[np.uint8], probability: Probability, uncertainty: Probability, time: float
    ) -> list[Probability]:
        if probability.max() > 0.5 or self._last is None:
            self._last = probability
        self._held.append(self._last)
        return [self._held.pop(0)] if len(self._held) > 2 else []

    def finish(self) -> list[Probability]:
        return self._held


def scored(*, truth: bool = True) -> ClipScorer:
    scorer = ClipScorer(reddish, {"held": HoldLast})
    scorer.add("one", frames([True, True, False, True, True], truth=truth))
    scorer.add("two", frames([True, True, True], truth=truth))
    return scorer


def test_late_methods_are_scored_against_their_own_frames() -> None:
    before, held = scored().summaries()
    assert (before.method, held.method, before.frames) == (BEFORE, "held", 8)
    assert before.dice == pytest.approx(7 / 8, abs=1e-4) and held.dice == pytest.approx(1)
    assert (before.isolated_false_negatives, held.repaired_false_negatives) == (1, 1)
    assert (before.flicker, held.flicker) == (2, 0)
    assert held.truth_steadiness > 0.9 and before.steadiness < held.steadiness


def test_scenes_are_kept_apart() -> None:
    scorer = ClipScorer(reddish, {})
    clip = [*frames([True, True]), *frames([True, False], scene=5), *frames([True], scene=9)]
    scorer.add("cut", clip)
    assert [score.scene for score in scorer.scores[BEFORE]] == [0, 0, 1, 1, 2]
    assert [math.isnan(score.steadiness) for score in scorer.scores[BEFORE]] == [True, False, True, False, True]
    assert scorer.summaries()[0].isolated_false_negatives == 0


def test_every_method_sees_the_same_spoiled_frames() -> None:
    scorer = ClipScorer(reddish, {"held": HoldLast})
    told: list[int] = []
    scorer.add("one", frames([True] * 40), Spoiler(seed=4, clip=0), on_frame=lambda: told.append(1))
    before, held = scorer.summaries()
    spoiled = [score.frame for score in scorer.scores[BEFORE] if score.spoiled]
    assert len(told) == 40 and spoiled == [score.frame for score in scorer.scores["held"] if score.spoiled]
    assert before.false_negative_frames == len(spoiled) > 2 and held.dice_untouched == pytest.approx(1)
    inner = [frame for frame in spoiled if 0 < frame < 39]
    assert held.repaired_false_negatives == held.isolated_false_negatives == len(inner)


@pytest.mark.parametrize("truth", [True, False])
def test_reports_and_tables_hold_every_method(truth: bool) -> None:
    scorer = scored(truth=truth)
    report = video_report(scorer)
    assert [entry["method"] for entry in report["methods"]] == [BEFORE, "held"] and set(report["clips"]) == {
        "one",
        "two",
    }
    assert report["clips"]["two"][0]["frames"] == 3
    assert (report["methods"][0]["dice"] is None) != truth
    tables = video_tables(scorer.summaries())
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)
    assert ("1 of 1" in tables[1].rows[1]) == truth
    rows = list(csv.DictReader(frame_table(scorer.scores["held"]).splitlines()))
    assert len(rows) == 8 and rows[2]["clip"] == "one" and (rows[2]["dice"] == "") != truth
