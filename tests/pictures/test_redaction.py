from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.errors import UsageError
from endoseg_cli.pictures.field_of_view import FieldOfView
from endoseg_cli.pictures.redaction import RedactConfig, parse_redact
from tests.burnt_in import CORNER, LABEL, NAME, SIZE, burnt_in, shows

HERE = Path("a.png")


def test_boxes_and_the_outside_are_read_in_any_order() -> None:
    config = parse_redact(["1,2,30,4", "outside-field-of-view", " 5, 6,7,8"])
    assert config.outside and config.boxes == (
        FieldOfView(x=1, y=2, width=30, height=4),
        FieldOfView(x=5, y=6, width=7, height=8),
    )
    assert not parse_redact([]) and parse_redact(["0,0,1,1"]) and parse_redact(["outside-field-of-view"])


@pytest.mark.parametrize("text", ["", "outside", "1,2,3", "1,2,0,4", "-1,2,3,4", "1,2,3,4,5", "a,b,c,d"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--redact must be outside-field-of-view or X,Y,W,H"):
        parse_redact([text])


def test_a_box_that_leaves_the_frame_is_refused_with_its_size() -> None:
    config = parse_redact(["150,0,11,5"])
    with pytest.raises(UsageError, match=r"--redact 150,0,11,5 leaves the frame of 160x120: a\.png"):
        config.check(SIZE, HERE)
    parse_redact(["150,0,10,120"]).check(SIZE, HERE)


def test_what_is_hidden_is_black_and_nothing_else_changes() -> None:
    image = burnt_in(0)
    before = image.copy()
    x, y, width, height = LABEL
    shown = parse_redact([f"{x},{y},{width},{height}"]).blanked(image, HERE)
    assert (shown[y : y + height, x : x + width] == 0).all() and np.array_equal(image, before)
    shown[y : y + height, x : x + width] = image[y : y + height, x : x + width]
    assert np.array_equal(shown, image)


def test_outside_goes_what_lies_around_the_picture_that_is_found() -> None:
    shown = parse_redact(["outside-field-of-view"]).blanked(burnt_in(0), HERE)
    assert shows(burnt_in(0), NAME) and shows(burnt_in(0), CORNER)
    assert not shows(shown, NAME) and not shows(shown, CORNER) and shows(shown, LABEL)
    disc, kept = (int((picture[..., 0] > 40).sum()) for picture in (burnt_in(0)[:, 48:], shown[:, 48:]))
    assert 0.98 * disc < kept < disc, "text has gone, and tissue has not"


def test_a_box_that_is_given_as_field_of_view_is_the_picture() -> None:
    shown = RedactConfig(outside=True).of_picture(burnt_in(0), HERE, FieldOfView(x=48, y=8, width=104, height=104))
    assert shows(shown.blanked(burnt_in(0)), CORNER) and not shows(shown.blanked(burnt_in(0)), NAME)


def test_where_no_picture_is_found_nothing_is_shown() -> None:
    found = RedactConfig(outside=True).of_picture(np.full((*SIZE, 3), 5, np.uint8), HERE)
    assert found.hidden.all() and "was not found, so the whole frame is blanked" in found.warning


def test_a_picture_that_fills_the_frame_is_told() -> None:
    found = RedactConfig(outside=True).of_picture(np.full((*SIZE, 3), 150, np.uint8), HERE)
    assert not found.hidden.any() and "blanks nothing" in found.warning
