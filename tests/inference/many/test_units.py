from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from endoseg_cli.inference.inputs.sources import Source
from endoseg_cli.inference.many.units import expected_frames, make_units
from endoseg_cli.inference.pipeline import SegmentConfig
from endoseg_cli.inference.write.output_paths import Targets
from tests.inference.brightness import targets_for
from tests.inference.many.units import inputs, names_of, unit
from tests.video.rendering import Clip

LENGTHS = {"a.mp4": 10, "b.mp4": 300, "c.mp4": 0, "d.mp4": 10}


def test_the_longest_come_first_and_of_equal_ones_the_earlier() -> None:
    units = make_units(
        inputs("a.mp4", "b.mp4", "c.mp4", "d.mp4"),
        lambda target: LENGTHS[target.source.path.name],
        batch_size=4,
        processes=2,
    )
    assert names_of(units) == [["b.mp4"], ["a.mp4"], ["d.mp4"], ["c.mp4"]]
    assert [(one.first, one.frames) for one in units] == [(1, 300), (0, 10), (3, 10), (2, 1)]


@pytest.mark.parametrize(("count", "processes", "sizes"), [(3, 2, [3]), (10, 2, [4, 4, 2]), (64, 1, [16] * 4)])
def test_pictures_are_cut_where_batches_end(count: int, processes: int, sizes: list[int]) -> None:
    names = [f"{number:02}.png" for number in range(count)]
    units = make_units(inputs("v.mp4", *names, "w.mp4"), lambda _: 1, batch_size=4, processes=processes)
    pictures = sorted((one for one in units if one.is_pictures), key=lambda one: one.first)
    assert [len(one.targets) for one in pictures] == sizes
    assert [name for some in names_of(pictures) for name in some] == names
    assert pictures[0].first == 1 and pictures[-1].end == count + 1


def test_pictures_that_a_video_parts_are_not_joined() -> None:
    units = make_units(inputs("a.png", "b.mp4", "c.png"), lambda _: 9, batch_size=4, processes=1)
    assert names_of(units) == [["b.mp4"], ["a.png"], ["c.png"]]


def test_a_unit_can_be_done_singly() -> None:
    ones = unit(4, "a.png", "b.png").singly()
    assert names_of(ones) == [["a.png"], ["b.png"]] and [one.first for one in ones] == [4, 5]


def test_frames_are_those_of_the_header_between_start_and_end(render: Callable[[Clip], Path], tmp_path: Path) -> None:
    target = targets_for(render(Clip(name="a.mp4", frames=50)))
    assert expected_frames(target, SegmentConfig()) == 50
    assert expected_frames(target, SegmentConfig(start=0.4, end=1.0)) == 15
    assert expected_frames(target, SegmentConfig(start=9.0)) == 0
    broken = tmp_path / "b.mp4"
    broken.write_bytes(bytes(100_000))
    assert expected_frames(targets_for(broken), SegmentConfig()) == 5
    assert expected_frames(targets_for(tmp_path / "gone.mp4"), SegmentConfig()) == 0
    pictures = tuple(Path(f"{number}.png") for number in range(10))
    source = Source(path=tmp_path, place=Path("x"), pictures=pictures)
    sequence = Targets(**{**vars(target), "source": source})
    assert expected_frames(sequence, SegmentConfig(fps=5.0, end=1.0)) == 5
