from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from endoseg_cli.annotations.reading.coco import parse_coco
from endoseg_cli.annotations.reading.labels import FileLabels
from endoseg_cli.errors import InputError

SQUARE = [1, 1, 4, 1, 4, 3, 1, 3]
PATH = Path("labels.json")


def coco(*annotations: object, images: list[Any] | None = None, categories: list[Any] | None = None) -> FileLabels:
    shown = [{"id": 7, "file_name": "a.png", "width": 6, "height": 5}] if images is None else images
    names = [{"id": 1, "name": "polyp"}, {"id": 2, "name": "Background"}] if categories is None else categories
    content = {"images": shown, "categories": names, "annotations": list(annotations)}
    return parse_coco(content, PATH)


def annotation(segmentation: object, **others: object) -> dict[str, object]:
    return {"id": 3, "image_id": 7, "category_id": 1, "segmentation": segmentation, **others}


def test_polygons_of_an_annotation_and_run_lengths_are_united() -> None:
    runs = {"size": [5, 6], "counts": [0, 1, 29]}
    labels = coco(annotation([SQUARE, [4, 3, 6, 3, 6, 5, 4, 5]]), annotation(runs), annotation([SQUARE]))
    expected = np.zeros((5, 6), dtype=np.bool_)
    expected[1:3, 1:4] = expected[3:5, 4:6] = expected[0, 0] = True
    np.testing.assert_array_equal(labels.pictures[0].mask(), expected)
    assert not labels.faults


def test_packed_run_lengths_are_understood() -> None:
    image = [{"id": 7, "file_name": "a.png", "width": 10, "height": 9}]
    labels = coco(annotation({"size": [9, 10], "counts": "61X13mN000`0"}), images=image)
    assert not labels.faults and labels.pictures[0].mask().sum() == 1 + 4 + 4 + 4


def test_background_is_none_of_the_lesion_and_pictures_without_shapes_are_empty() -> None:
    labels = coco(annotation([SQUARE], category_id=2))
    assert labels.foreground == ("polyp",) and not labels.pictures[0].mask().any()


def test_paths_of_windows_get_slashes() -> None:
    labels = coco(images=[{"id": 1, "file_name": "images\\p1\\a.png", "width": 6, "height": 5}])
    assert labels.pictures[0].name == "images/p1/a.png"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (annotation([]), "found a box alone"),
        (annotation([[1, 1, 2, 2]]), "three points"),
        (annotation([[1, 1, 2, 2, 3]]), "pairs of numbers"),
        (annotation([["x", 1, 2, 2, 3, 3]]), "pairs of numbers"),
        (annotation([[1, 1, 2, 2, 3, float("nan")]]), "pairs of numbers"),
        (annotation({"size": [5, 6], "counts": [3]}), "add up to 6x5"),
        (annotation({"size": [6, 5], "counts": [30]}), "like the image"),
        (annotation({"size": [5, 6], "counts": "\n"}), "packed"),
        (annotation({"size": [5, 6], "counts": None}), "counts of run lengths"),
        (annotation([SQUARE], image_id=8), "image_id 8"),
        (annotation([SQUARE], image_id=[8]), "image_id"),
        (annotation([SQUARE], category_id=9), "category_id 9"),
        ("text", "an object"),
    ],
)
def test_annotations_that_cannot_be_understood_are_faults(broken: object, message: str) -> None:
    (fault,) = coco(broken, annotation([SQUARE])).faults
    assert message in fault and "labels.json" in fault and "\n" not in fault
    assert "annotation 3" in fault or broken == "text"


@pytest.mark.parametrize(
    ("image", "message"),
    [({"id": 7}, "file_name"), ({"id": 7, "file_name": "a.png"}, "a width and a height"), (3, "file_name")],
)
def test_images_that_cannot_be_understood_are_faults(image: object, message: str) -> None:
    (fault,) = coco(images=[image]).faults
    assert message in fault and "labels.json" in fault


@pytest.mark.parametrize("content", [[], {}, {"images": []}, {"images": [], "annotations": [], "categories": []}])
def test_another_file_is_refused(content: object) -> None:
    with pytest.raises(InputError, match=r"labels\.json"):
        parse_coco(content, PATH)
