from __future__ import annotations

from pathlib import Path

import pytest

from endoseg_cli.data.labels.layout import LabeledRecord
from endoseg_cli.data.sets.validation_split import flat_split_warning, split_by_group
from endoseg_cli.errors import UsageError


def records(counts: dict[str, int]) -> list[LabeledRecord]:
    """Return so many records in each group."""
    return [
        LabeledRecord(image=Path(f"{group}/{i}.png"), mask=Path(f"{group}/{i}m.png"), group=group, name=f"{group}/{i}")
        for group, count in counts.items()
        for i in range(count)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_no_patient_is_on_both_sides(seed: int) -> None:
    given = records({f"p{index}": 3 + index for index in range(10)})
    train, val = split_by_group(given, 0.25, seed)
    assert not {record.group for record in train} & {record.group for record in val}
    assert sorted(record.name for record in train + val) == sorted(record.name for record in given)
    assert 0.1 < len(val) / len(given) < 0.4


def test_videos_of_one_patient_stay_together() -> None:
    given = records({"study/p1/v1": 4, "study/p1/v2": 4, "study/p2/v1": 4, "study/p3/v1": 4})
    train, val = split_by_group(given, 0.3, 1)
    patients = [{record.group.split("/")[1] for record in side} for side in (train, val)]
    assert patients[0] and patients[1] and not patients[0] & patients[1]


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_both_sides_get_a_patient(fraction: float) -> None:
    train, val = split_by_group(records({"p1": 50, "p2": 5}), fraction, 0)
    assert train and val


def test_a_flat_folder_gives_a_run_of_neighbours_and_a_warning() -> None:
    given = records({"": 20})
    train, val = split_by_group(given, 0.25, 3)
    numbers = [int(record.image.stem) for record in val]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    assert len(train) == 15 and not set(numbers) & {int(record.image.stem) for record in train}
    assert "one folder" in (flat_split_warning([given]) or "")
    assert flat_split_warning([records({"p1": 1, "p2": 1})]) is None


def test_the_seed_decides_and_the_order_of_records_does_not() -> None:
    given = records({f"p{index}": 4 for index in range(12)})
    chosen = {tuple(record.name for record in split_by_group(given, 0.25, seed)[1]) for seed in range(6)}
    assert len(chosen) > 1
    assert split_by_group(given, 0.25, 7) == split_by_group(given[::-1], 0.25, 7)


@pytest.mark.parametrize(("count", "fraction"), [(10, 0.0), (10, 1.0), (10, float("nan")), (1, 0.5)])
def test_what_cannot_be_split_is_refused(count: int, fraction: float) -> None:
    with pytest.raises(UsageError, match="--val-fraction"):
        split_by_group(records({"": count}), fraction, 0)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("counts", [{"": 8}, {f"p{index}": 2 for index in range(6)}])
def test_both_sides_show_a_lesion_if_they_can(counts: dict[str, int], seed: int) -> None:
    given = records(counts)
    with_lesion = {given[index].name for index in (0, 3, 4)}
    train, val = split_by_group(given, 0.2, seed, has_lesion=lambda record: record.name in with_lesion)
    assert any(record.name in with_lesion for record in train)
    assert any(record.name in with_lesion for record in val)


def test_a_split_that_shows_lesions_already_stays_and_one_that_cannot_is_taken_as_it_is() -> None:
    given = records({f"p{index}": 3 for index in range(6)})
    assert split_by_group(given, 0.3, 5, has_lesion=lambda record: True) == split_by_group(given, 0.3, 5)
    assert split_by_group(given, 0.3, 5, has_lesion=lambda record: False) == split_by_group(given, 0.3, 5)
