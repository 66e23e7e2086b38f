from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.evaluation.frames.gallery import LONGEST_SIDE, PREDICTION_COLOUR, TRUTH_COLOUR, Gallery, draw_contours
from endoseg_cli.evaluation.frames.metrics import FrameScore, score_counts

BLACK = np.zeros((10, 10, 3), np.uint8)
EMPTY = np.zeros((10, 10), bool)


def score(name: str, *, tp: int = 0, fp: int = 0, fn: int = 0) -> FrameScore:
    return score_counts(tp=tp, fp=fp, fn=fn, tn=100 - tp - fp - fn, name=name)


def gallery_of(keep: int, scores: list[FrameScore]) -> Gallery:
    gallery = Gallery(keep)
    for each in scores:
        gallery.offer(each, BLACK, EMPTY, EMPTY)
    return gallery


def box(size: tuple[int, int], rows: slice, columns: slice) -> NDArray[np.bool_]:
    mask = np.zeros(size, bool)
    mask[rows, columns] = True
    return mask


def has_colour(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> bool:
    return bool((picture == colour).all(axis=-1).any())


def test_best_and_worst_are_ranked_by_dice() -> None:
    scores = [score(f"{tp}", tp=tp, fn=10 - tp) for tp in (3, 9, 1, 7, 5)]
    gallery = gallery_of(2, scores)
    assert [frame.score.name for frame in gallery.worst()] == ["1", "3"]
    assert [frame.score.name for frame in gallery.best()] == ["9", "7"]


def test_of_equal_dice_more_wrong_pixels_are_worse() -> None:
    gallery = gallery_of(1, [score("few", fn=5), score("many", fn=50), score("some", fn=20)])
    assert [frame.score.name for frame in gallery.worst()] == ["many"]


def test_empty_frames_can_be_worst_but_never_best() -> None:
    gallery = gallery_of(
        3, [score("kept"), score("false alarm", fp=40), score("found", tp=9, fn=1), score("half", tp=1)]
    )
    assert gallery.worst()[0].score.name == "false alarm"
    assert "kept" not in [frame.score.name for frame in gallery.best()]


def test_a_frame_is_not_among_the_best_and_the_worst() -> None:
    gallery = gallery_of(6, [score("a", tp=1, fn=9), score("b", tp=9, fn=1), score("c", tp=5, fn=5)])
    assert [frame.score.name for frame in gallery.worst()] == ["a", "c"]
    assert [frame.score.name for frame in gallery.best()] == ["b"]


def test_a_gallery_of_none_keeps_none() -> None:
    gallery = gallery_of(0, [score("a", tp=1)])
    assert gallery.worst() == [] and gallery.best() == []


def test_contours_are_green_and_magenta() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    truth, prediction = box((60, 80), slice(5, 20), slice(5, 20)), box((60, 80), slice(35, 55), slice(40, 70))
    picture = draw_contours(image, truth, prediction)
    assert has_colour(picture[:30, :30], TRUTH_COLOUR) and not has_colour(picture[:30, :30], PREDICTION_COLOUR)
    assert has_colour(picture[30:, 30:], PREDICTION_COLOUR) and not has_colour(picture[30:, 30:], TRUTH_COLOUR)
    assert not image.any(), "the frame itself stays as it is"


def test_large_frames_shrink_and_a_tiny_lesion_stays_visible() -> None:
    size = (1080, 1920)
    truth = box(size, slice(500, 503), slice(900, 903))
    picture = draw_contours(np.zeros((*size, 3), np.uint8), truth, np.zeros(size, bool))
    assert picture.shape == (LONGEST_SIDE * 9 // 16, LONGEST_SIDE, 3)
    assert has_colour(picture, TRUTH_COLOUR)
