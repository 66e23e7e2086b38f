from __future__ import annotations

import numpy as np

from endoseg_cli.evaluation.video.spoil import LEAST_DISTANCE, Probability, Spoiler


def run(spoiler: Spoiler, level: float, count: int = 80) -> list[tuple[Probability, Probability, bool]]:
    found = []
    for _ in range(count):
        probability = np.full((1, 24, 24), 0.05, np.float32)
        probability[0, 8:12, 8:14] = level
        found.append(spoiler(probability, np.full_like(probability, 0.1)))
    return found


def test_masks_are_emptied_and_stand_apart() -> None:
    found = run(Spoiler(seed=1, clip=0), 0.9)
    spoiled = [index for index, (_, _, was) in enumerate(found) if was]
    assert 5 <= len(spoiled) <= 20 and np.diff(spoiled).min() >= LEAST_DISTANCE
    for probability, uncertainty, was in found:
        assert (probability.max() <= 0.5) == was and 0 <= probability.min()
        assert uncertainty.max() <= np.log(2) + 1e-6


def test_blobs_are_invented_where_there_is_nothing() -> None:
    for probability, uncertainty, was in run(Spoiler(seed=2, clip=0), 0.05):
        assert (probability > 0.5).any() == was
        untouched = probability == np.float32(0.05)
        assert (uncertainty[untouched] == np.float32(0.1)).all()
        assert not was or 0 < (probability > 0.5).mean() < 0.15


def test_the_same_seed_spoils_the_same_and_clips_differ() -> None:
    one, same, other = (run(Spoiler(seed=3, clip=clip), 0.9) for clip in (0, 0, 1))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(one, same, strict=True))
    assert [was for *_, was in one] != [was for *_, was in other]
