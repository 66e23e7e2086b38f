from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from endoseg_cli.annotations.reading.labelme import parse_labelme
from endoseg_cli.annotations.reading.labels import PictureLabels
from endoseg_cli.annotations.shapes.polygons import within_a_pixel
from endoseg_cli.errors import InputError
from tests.annotations.drawn import disc

PATH = Path("a.json")
SQUARE = [[1, 1], [4, 1], [4, 3], [1, 3]]


def labelme(*shapes: object, size: tuple[Any, Any] = (40, 56)) -> PictureLabels:
    content = {"shapes": list(shapes), "imagePath": "p1\\a.png", "imageHeight": size[0], "imageWidth": size[1]}
    return parse_labelme(content, PATH)


def shape(points: object, kind: str | None = "polygon", **others: object) -> dict[str, object]:
    return {"label": "polyp", "points": points, "shape_type": kind, **others}


def png(mask: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(cv2.imencode(".png", mask.astype(np.uint8))[1].tobytes()).decode()


@pytest.mark.parametrize("kind", ["polygon", None, "rectangle", "oriented_rectangle"])
def test_four_corners_are_a_rectangle(kind: str | None) -> None:
    mask = labelme(shape(SQUARE, kind)).mask()
    assert mask[1:3, 1:4].all() and mask.sum() == 6


def test_shapes_outside_the_picture_are_counted() -> None:
    outside = [[[60, 1], [70, 1], [70, 9]], [[1, 40], [9, 40], [9, 50]], [[-9, 1], [0, 1], [0, 9]]]
    labels = labelme(shape(SQUARE), shape([[55, 1], [70, 1], [70, 9]]), *map(shape, outside))
    assert labels.outside == 3 and labels.mask().any()


def test_two_corners_of_a_rectangle_suffice() -> None:
    assert labelme(shape([[4, 3], [1, 1]], "rectangle")).mask().sum() == 6


def test_a_circle_has_a_middle_and_a_point_on_its_rim() -> None:
    mask = labelme(shape([[30.5, 18.5], [30.5, 28]], "circle")).mask()
    assert mask.sum() == pytest.approx(np.pi * 9.5**2, rel=0.05)
    assert within_a_pixel(mask, disc())


def test_a_mask_is_pasted_at_its_corner_and_cut_at_the_border() -> None:
    mask = labelme(shape([[50, 3], [59, 8]], "mask", mask=png(np.ones((6, 10))))).mask()
    assert mask[3:9, 50:].all() and mask.sum() == 36


def test_all_labels_but_background_are_united() -> None:
    far = [[20, 20], [22, 20], [22, 22], [20, 22]]
    mask = labelme(shape(SQUARE), shape(far, label="stone"), shape(far, label="_background_")).mask()
    assert mask.sum() == 6 + 4


def test_a_file_without_shapes_is_an_empty_mask() -> None:
    labels = labelme()
    assert not labels.mask().any() and labels.mask().shape == (40, 56) and labels.name == "p1/a.png"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (shape([[1, 1], [2, 2]]), "polygon of 2 points"),
        (shape([[1, 1]], "point"), "found point"),
        (shape([[1, 1], [2, 2], [3, 3]], "linestrip"), "found linestrip"),
        (shape("x"), "pairs of numbers"),
        (shape([[1, 1]], "mask", mask="%%"), "damaged"),
        (shape([[1, 1]], "mask", mask=None), "PNG in base64"),
        (shape([[100, 1]], "mask", mask=png(np.ones((2, 2)))), "inside the picture"),
        (7, "an object for shape 1"),
    ],
)
def test_shapes_that_cannot_be_understood_name_file_and_shape(broken: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        labelme(broken)
    assert "a.json" in raised.value.message and "shape 1" in raised.value.message


@pytest.mark.parametrize("size", [(None, 5), (0, 5), ("four", 5), (10**9, 5), (60_000, 60_000)])
def test_a_size_is_needed(size: tuple[Any, Any]) -> None:
    with pytest.raises(InputError, match="a width and a height"):
        labelme(size=size)


def test_a_size_may_be_text_and_a_stray_point_counts_nothing() -> None:
    square = shape([[1, 1], [4, 1], [4, 3], [1, 3]])
    labels = labelme(square, shape([[9, 9]], "point"), size=("40", "56"))
    assert labels.size == (40, 56) and labels.mask().sum() == 6


def test_a_file_of_labelme_3_has_the_size_of_its_picture(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((30, 50), np.uint8))
    content = {"shapes": [shape([[1, 1], [4, 1], [4, 3], [1, 3]])], "imagePath": "..\\..\\media\\a.png"}
    labels = parse_labelme(content, tmp_path / "a.json")
    assert labels.size == (30, 50) and labels.mask().sum() == 6
    assert parse_labelme({**content, "imageData": png(np.zeros((20, 10)))}, tmp_path / "b.json").size == (20, 10)
    with pytest.raises(InputError, match="found neither"):
        parse_labelme({**content, "imagePath": "absent.png"}, tmp_path / "a.json")


def test_another_file_is_refused() -> None:
    with pytest.raises(InputError, match="expected a LabelMe file"):
        parse_labelme({"shapes": 3}, PATH)
