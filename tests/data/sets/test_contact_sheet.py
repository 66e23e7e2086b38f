from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.data.labels.layout import LabeledRecord, find_labeled, find_unlabeled
from endoseg_cli.data.sets.contact_sheet import (
    CAPTION_HEIGHT,
    COLUMNS,
    CONTOUR,
    GAP,
    HEADING_HEIGHT,
    TILE,
    labeled_tile,
    unlabeled_tile,
    write_contact_sheet,
)
from endoseg_cli.errors import OutputError
from endoseg_cli.pictures.images import read_image
from tests.data.drawing import draw_frame, draw_mask, save, save_pair

ROW = TILE[0] + CAPTION_HEIGHT


def make_record(folder: Path, size: tuple[int, int], mask_radius: int) -> LabeledRecord:
    image, mask = save(folder / "images" / "a.png", draw_frame(0, size) // 2), folder / "masks" / "a.png"
    save(mask, draw_mask(size, mask_radius) if mask_radius else np.zeros(size, dtype=np.uint8))
    return LabeledRecord(image=image, mask=mask, group="", name="a")


def contour_pixels(tile: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> int:
    return int((np.abs(tile.astype(int) - CONTOUR).max(axis=2) < 30).sum())


def test_sections_rows_and_columns(tmp_path: Path) -> None:
    for index in range(COLUMNS + 1):
        save_pair(tmp_path / "l" / "images" / f"{index}.png", tmp_path / "l" / "masks" / f"{index}.png", index)
    save(tmp_path / "u" / "x.png", draw_frame(9))
    labeled = find_labeled(tmp_path / "l")
    write_contact_sheet(tmp_path / "sheet.png", labeled, find_unlabeled([tmp_path / "u"]), labeled[:1], frames=24)
    sheet = read_image(tmp_path / "sheet.png")
    assert sheet.shape == (3 * HEADING_HEIGHT + 4 * ROW, COLUMNS * (TILE[1] + GAP), 3)
    first = sheet[HEADING_HEIGHT : HEADING_HEIGHT + ROW, : TILE[1] + GAP]
    np.testing.assert_array_equal(first, labeled_tile(labeled[0]))


def test_no_more_frames_than_asked_for(tmp_path: Path) -> None:
    for index in range(5):
        save_pair(tmp_path / "images" / f"{index}.png", tmp_path / "masks" / f"{index}.png", index)
    write_contact_sheet(tmp_path / "sheet.png", find_labeled(tmp_path), frames=2)
    sheet = read_image(tmp_path / "sheet.png")
    assert sheet.shape[0] == HEADING_HEIGHT + ROW
    third = sheet[HEADING_HEIGHT:, 2 * (TILE[1] + GAP) :]
    assert (third == 255).all()


@pytest.mark.parametrize(("size", "radius"), [((48, 64), 10), ((900, 1600), 200), ((900, 1600), 2)])
def test_a_lesion_is_outlined_even_a_tiny_one(tmp_path: Path, size: tuple[int, int], radius: int) -> None:
    assert contour_pixels(labeled_tile(make_record(tmp_path, size, radius))) > 0


def test_a_frame_without_lesion_has_no_outline(tmp_path: Path) -> None:
    assert contour_pixels(labeled_tile(make_record(tmp_path, (48, 64), 0))) == 0


def test_faulty_frames_are_shown_as_such(tmp_path: Path) -> None:
    record = make_record(tmp_path, (48, 64), 10)
    save(record.mask, draw_mask((30, 30), 5))
    assert contour_pixels(labeled_tile(record)) == 0
    record.image.write_bytes(b"broken")
    assert (labeled_tile(record)[: TILE[0]] == 255).all()
    assert (unlabeled_tile(find_unlabeled([tmp_path / "images"])[0])[: TILE[0]] == 255).all()


def test_empty_data_still_give_a_sheet_and_a_bad_path_an_error(tmp_path: Path) -> None:
    write_contact_sheet(tmp_path / "sheet.png", [])
    assert read_image(tmp_path / "sheet.png").shape[0] == HEADING_HEIGHT
    with pytest.raises(OutputError, match="cannot write"):
        write_contact_sheet(tmp_path / "sheet.png" / "sheet.png", [])
