from __future__ import annotations

import numpy as np
import pytest

from endoseg_cli.annotations.shapes.rle import RunLengths, crop_runs, encode, run_lengths, unpack
from tests.annotations.drawn import hard_masks


def packed(counts: tuple[int, ...]) -> str:
    """Pack counts as COCO defines it: five bits a letter, the sixth says that more follow."""
    letters = []
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            letters.append(chr(48 + bits + 32 * more))
    return "".join(letters)


@pytest.mark.parametrize("name", hard_masks())
def test_masks_survive_plain_and_packed(name: str) -> None:
    mask = hard_masks()[name]
    runs = encode(mask)
    np.testing.assert_array_equal(runs.mask(), mask)
    assert unpack(packed(runs.counts)) == list(runs.counts)


def test_columns_come_first_and_background_begins() -> None:
    mask = np.array([[1, 0, 0], [1, 1, 0]], dtype=np.bool_)
    assert encode(mask).counts == (0, 2, 1, 1, 2)
    assert crop_runs(mask) == "0, 1, 2, 2, 1"
    assert run_lengths(np.zeros(4, dtype=np.bool_)) == [4]


def test_letters_of_the_public_coco_files_are_understood() -> None:
    # 5 rows, 6 columns: runs 6, 1, 40, 4, 5, 4, 5, 4, 21 of the format's own example of 9 by 10 pixels
    assert unpack("61X13mN000`0") == [6, 1, 40, 4, 5, 4, 5, 4, 21]


@pytest.mark.parametrize("letters", ["6\n", "61é", "6X"])
def test_letters_that_mean_nothing_are_refused(letters: str) -> None:
    with pytest.raises(ValueError, match="packed run lengths"):
        unpack(letters)


@pytest.mark.parametrize("counts", [(3,), (-1, 5), (2, 3)])
def test_counts_must_fill_the_picture(counts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="add up to 2x2"):
        RunLengths(size=(2, 2), counts=counts)
