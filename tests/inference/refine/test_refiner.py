from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from torch import Tensor

from endoseg_cli.errors import UsageError
from endoseg_cli.inference.predict.corrector import PredictedFrame
from endoseg_cli.inference.refine.refiner import RefineConfig, RefinedFrame, RefineMode, Refiner
from tests.inference.mean_network import MeanNetwork, level_of, mean_refiner, predicted

RATE = 25


def clip(levels: Sequence[float], rate: float = RATE, scenes: Sequence[int] | None = None) -> list[PredictedFrame]:
    scenes = scenes or [0] * len(levels)
    pairs = zip(levels, scenes, strict=True)
    return [predicted(level, 2 + index / rate, scene) for index, (level, scene) in enumerate(pairs)]


def push(refiner: Refiner[Tensor], frames: Sequence[PredictedFrame]) -> tuple[list[RefinedFrame], list[int]]:
    """Return all refined frames, and for each how many frames had gone in when it came out."""
    done: list[RefinedFrame] = []
    after: list[int] = []
    for number, frame in enumerate(frames, start=1):
        new = refiner.step(frame)
        done += new
        after += [number] * len(new)
    last = refiner.finish()
    assert [one.predicted for one in done + last] == list(frames), "every frame once and in order"
    return done + last, after + [len(frames)] * len(last)


LEVELS = [0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4]


def mean(levels: Sequence[float]) -> float:
    return sum(levels) / len(levels)


def test_each_frame_sees_its_window_and_clip_ends_see_less() -> None:
    network = MeanNetwork()
    done, after = push(mean_refiner(network), clip(LEVELS))
    expected = [mean(LEVELS[max(i - 2, 0) : i + 3]) for i in range(7)]
    assert [level_of(one) for one in done] == pytest.approx(expected, abs=1e-5)
    assert after == [3, 4, 5, 6, 7, 7, 7] and network.encoded == 7, "each frame is encoded once"
    assert network.windows == [(3, 0), (4, 1), (5, 2), (5, 2), (5, 2), (4, 2), (3, 2)]
    assert network.offsets[2] == [-2, -1, 0, 1, 2]
    assert all(one.refined for one in done)


def test_causal_sees_the_past_only_and_waits_for_nothing() -> None:
    done, after = push(mean_refiner(MeanNetwork(), causal=True), clip(LEVELS))
    expected = [mean(LEVELS[max(i - 2, 0) : i + 1]) for i in range(7)]
    assert [level_of(one) for one in done] == pytest.approx(expected, abs=1e-5)
    assert after == list(range(1, 8))
    assert all(one.flags == (None,) for one in done)


@pytest.mark.parametrize("causal", [False, True])
def test_no_window_crosses_a_scene_cut_or_a_long_pause(causal: bool) -> None:
    frames = clip(LEVELS, scenes=[0, 0, 0, 1, 1, 1, 1])
    paused = [*frames[:6], predicted(LEVELS[6], 9.0, scene=1)]
    refiner = mean_refiner(MeanNetwork(), causal=causal)
    done, _ = push(refiner, paused)
    for scene in (range(3), range(3, 6), range(6, 7)):
        for i in scene:
            window = [j for j in scene if i - 2 <= j <= (i if causal else i + 2)]
            assert level_of(done[i]) == pytest.approx(mean([LEVELS[j] for j in window]), abs=1e-5)
    assert refiner.counts.scene_cuts == 1


def test_at_60_frames_a_second_every_second_neighbour_is_seen() -> None:
    levels = [index / 20 for index in range(14)]
    network = MeanNetwork()
    done, after = push(mean_refiner(network), clip(levels, rate=60))
    assert level_of(done[6]) == pytest.approx(mean([levels[i] for i in (2, 4, 6, 8, 10)]), abs=1e-5)
    assert after[6] == 11 and network.encoded == 14
    assert network.offsets[6] == pytest.approx([-5 / 3, -5 / 6, 0, 5 / 6, 5 / 3])


def test_slow_videos_say_how_far_apart_their_frames_are() -> None:
    network = MeanNetwork()
    push(mean_refiner(network, window=3), clip(LEVELS, rate=5))
    assert network.offsets[3] == [-5, 0, 5]


SLOW = 4
"""Frames a second at which a run of two is no longer short."""
OUT_OF_LINE = [0.9, 0.8, 0.9, 0.1, 0.8, 0.9, 0.8, 0.9, 0.1, 0.1, 0.2, 0.9, 0.1, 0.2, 0.1]
REFINED = {2, 3, 4, 10, 11, 12}


def test_flagged_refines_flagged_frames_and_their_neighbours_and_leaves_the_others_as_they_are() -> None:
    network = MeanNetwork()
    refiner = mean_refiner(network, "flagged")
    done, after = push(refiner, clip(OUT_OF_LINE, rate=SLOW))
    assert [one.flags[0] for one in done].count(None) == 13
    assert done[3].flags == ("false_negative",) and done[11].flags == ("false_positive",)
    for index, one in enumerate(done):
        assert one.refined == (index in REFINED), index
        if one.refined:
            assert level_of(one) == pytest.approx(mean(OUT_OF_LINE[index - 2 : index + 3]), abs=1e-5)
        else:
            assert one.probability is one.predicted.probability
    assert after == [2, 3, 5, 6, 7, 7, 8, 10, 10, 11, 13, 14, 15, 15, 15]
    assert network.encoded == 14 and len(network.windows) == 6, "nothing is computed that nobody asked for"
    counts = refiner.counts
    assert (counts.false_positive_frames, counts.false_negative_frames, counts.refined_frames) == (1, 1, 6)


def test_a_cut_is_no_neighbour() -> None:
    levels = [0.1, 0.1, 0.9, 0.1, 0.1]
    done, _ = push(mean_refiner(MeanNetwork(), "flagged"), clip(levels, scenes=[0, 0, 0, 1, 1]))
    assert not any(one.refined or any(one.flags) for one in done)


def test_without_a_network_frames_are_flagged_and_wait_for_the_next_one() -> None:
    refiner: Refiner[Tensor] = Refiner(None, "off", threshold=0.5)
    done, after = push(refiner, clip(OUT_OF_LINE, rate=SLOW))
    assert [index for index, one in enumerate(done) if any(one.flags)] == [3, 11]
    assert not any(one.refined for one in done) and after[:3] == [2, 3, 4]


@pytest.mark.parametrize(("rate", "short", "long"), [(25, 4, 5), (50, 9, 10), (60, 11, 12), (5, 1, 2)])
def test_what_comes_or_goes_for_less_than_a_fifth_of_a_second_is_flagged_at_any_frame_rate(
    rate: float, short: int, long: int
) -> None:
    for inside, outside, flag in ((0.9, 0.1, "false_positive"), (0.1, 0.9, "false_negative")):
        for run, expected in ((short, flag), (long, None)):
            levels = [outside] * 20 + [inside] * run + [outside] * 20
            done, after = push(mean_refiner(MeanNetwork(), "flagged"), clip(levels, rate=rate))
            flags = [one.flags[0] for one in done]
            assert flags == [None] * 20 + [expected] * run + [None] * 20
            assert [one.refined for one in done].count(True) == (run + 2 if expected else 0)
            waits = [out - index for index, out in enumerate(after[:-20])]
            assert max(waits) <= rate / 5 + 3, "no frame waits longer than it takes to judge it"


def test_one_class_alone_can_have_a_frame_refined() -> None:
    frames = [predicted(0.9, index / RATE, classes=2) for index in range(5)]
    frames[2].probability[1] = 0.1
    done, _ = push(mean_refiner(MeanNetwork(), "flagged"), frames)
    assert done[2].flags == (None, "false_negative") and [one.refined for one in done] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert done[2].probability[1].mean() == pytest.approx(0.74, abs=1e-5)


@pytest.mark.parametrize("mode", ["all", "flagged"])
@pytest.mark.parametrize("rate", [25, 60, 1e6])
def test_memory_holds_a_window_however_long_the_video_is(mode: RefineMode, rate: float) -> None:
    refiner = mean_refiner(MeanNetwork(), mode)
    held = 0
    for index in range(50):
        refiner.step(predicted(0.9 if index % 3 else 0.1, index / rate))
        held = max(held, len(refiner._scene))
    assert held <= {25: 16, 60: 32, 1e6: 70}[rate]


def test_a_scene_of_one_frame_and_no_frame_at_all() -> None:
    done, _ = push(mean_refiner(MeanNetwork()), clip([0.7]))
    assert level_of(done[0]) == pytest.approx(0.7, abs=1e-5)
    assert mean_refiner(MeanNetwork()).finish() == []


def test_auto_is_silent_without_a_network_and_everything_else_is_refused() -> None:
    assert RefineConfig().mode(has_network=False, model="polyp") == "off"
    assert RefineConfig().mode(has_network=True, model="polyp") == "flagged"
    assert RefineConfig(causal=True).mode(has_network=True, model="polyp") == "all"
    assert RefineConfig(choice="off").mode(has_network=True, model="polyp") == "off"
    for config in (RefineConfig(choice="all"), RefineConfig(choice="flagged"), RefineConfig(causal=True)):
        with pytest.raises(UsageError, match="the model polyp has no corrective network"):
            config.mode(has_network=False, model="polyp")


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="--causal belongs to refinement"):
        RefineConfig(choice="off", causal=True)
    with pytest.raises(UsageError, match="--refine flagged needs the next frame"):
        RefineConfig(choice="flagged", causal=True)


def test_numbers_that_are_not_finite_are_an_error() -> None:
    frame = predicted(0.5, 0.0)
    frame.probability[0, 0, 0] = np.nan
    refiner = mean_refiner(MeanNetwork(), causal=True)
    with pytest.raises(RuntimeError, match="corrective network gives numbers that are not finite"):
        refiner.step(frame)


def test_a_speck_hides_no_failure() -> None:
    frames = clip([0.9, 0.9, 0.1, 0.9, 0.9])
    frames[2].probability[:, 0, 0] = 0.9
    for share, expected in ((0.0, None), (0.1, "false_negative")):
        refiner = mean_refiner(MeanNetwork(), "flagged")
        refiner.smallest_share = share
        done, _ = push(refiner, frames)
        assert done[2].flags == (expected,)
