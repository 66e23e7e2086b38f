from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from endoseg_cli.inference.suggest import selection
from endoseg_cli.inference.suggest.selection import Candidates, Numbers, choose, rank_scores, thin

RNG = np.random.default_rng(0)


def looks(kinds: list[int], noise: float = 0.02) -> Numbers:
    """Features of frames: one of eight directions each, and a little noise."""
    rng = np.random.default_rng(1)
    return np.asarray(np.eye(8)[kinds] + noise * rng.standard_normal((len(kinds), 8)), dtype=np.float32)


def pictures(kinds: list[int], uncertainty: list[float]) -> Candidates:
    return Candidates(
        uncertainty=np.array(uncertainty, dtype=np.float32),
        disagreement=None,
        features=looks(kinds),
        source=np.arange(len(kinds)),
        seconds=np.full(len(kinds), np.nan, dtype=np.float32),
    )


def test_one_frame_of_each_look_is_taken_before_any_look_comes_twice() -> None:
    kinds = [0] * 20 + [1] * 3 + [2] * 3 + [3] * 3
    chosen = choose(pictures(kinds, [0.9] * 20 + [0.5] * 9), 4)
    assert {kinds[choice.index] for choice in chosen} == {0, 1, 2, 3}
    assert kinds[chosen[0].index] == 0, "the look of many unsure frames comes first"
    assert chosen[0].novelty == 1 and all(choice.novelty > 0.5 for choice in chosen)
    further = choose(pictures(kinds, [0.9] * 20 + [0.5] * 9), 8)
    assert [choice.index for choice in further[:4]] == [choice.index for choice in chosen]
    assert len({choice.index for choice in further}) == 8 and all(choice.novelty < 0.1 for choice in further[4:])


def test_among_frames_of_one_look_the_unsure_one_is_taken() -> None:
    kinds = [0, 0, 0, 1, 1, 1]
    chosen = choose(pictures(kinds, [0.1, 0.9, 0.2, 0.3, 0.1, 0.8]), 2)
    assert [choice.index for choice in chosen] == [1, 5]
    assert chosen[0].score == 1.0 and chosen[1].score == pytest.approx(5 / 6)


def test_a_frame_like_nothing_else_does_not_come_first() -> None:
    kinds = [0] * 5 + [1] * 5 + [7]
    chosen = choose(pictures(kinds, [0.5] * 10 + [0.9]), 3)
    assert [kinds[choice.index] for choice in chosen][-1] == 7


def test_frames_like_labelled_ones_come_last() -> None:
    kinds = [0] * 6 + [1] * 3 + [2] * 3
    chosen = choose(pictures(kinds, [0.9] * 6 + [0.5] * 6), 3, labelled=looks([0, 0]))
    assert {kinds[choice.index] for choice in chosen[:2]} == {1, 2}
    assert kinds[chosen[2].index] != 0 or chosen[2].novelty < 0.3


def test_one_moment_is_one_frame_however_it_looks() -> None:
    kinds = [0, 1, 2, 3, 4, 5, 6, 7]
    unsure = pictures(kinds, [0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1])
    video = replace(
        unsure,
        source=np.zeros(8, dtype=np.int64),
        seconds=np.array([10, 10.5, 11, 11.5, 60, 70, 80, 90], np.float32),
    )
    first, second = choose(video, 2)
    assert first.index < 4 <= second.index
    strangers = choose(replace(video, source=np.arange(8)), 2)
    assert [choice.index for choice in strangers] == [0, 1], "moments of different videos do not compare"


def test_both_measures_count_the_same_whatever_their_scale() -> None:
    candidates = replace(
        pictures([0, 1, 2, 3], [0.1, 0.2, 0.3, 0.4]), disagreement=np.array([4e-4, 3e-4, 1e-4, 2e-4], np.float32)
    )
    np.testing.assert_allclose(rank_scores(candidates), [0.625, 0.625, 0.5, 0.75])
    equal = pictures([0, 1, 2], [0.2, 0.2, 0.7])
    np.testing.assert_allclose(rank_scores(equal), [0.5, 0.5, 1.0])


def test_long_videos_keep_the_best_frame_of_every_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.array([0.1, 0.9, 0.8, 0.2, 0.3, 0.1], np.float32)
    assert thin(scores, 3).tolist() == [1, 2, 4] and thin(scores, 10).tolist() == [0, 1, 2, 3, 4, 5]
    monkeypatch.setattr(selection, "POOL", 3)
    chosen = choose(pictures([0, 1, 2, 3, 4, 5], scores.tolist()), 10)
    assert sorted(choice.index for choice in chosen) == [1, 2, 4]


def test_the_same_frames_are_chosen_each_time() -> None:
    candidates = pictures([0, 1, 2, 3] * 5, RNG.random(20).tolist())
    assert choose(candidates, 7) == choose(candidates, 7)
    assert choose(candidates, 0) == []
