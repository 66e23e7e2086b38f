"""Mask and overlay videos: exact pixels, exact times, and nothing lost when it goes wrong."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from endoseg_cli.errors import OutputError
from endoseg_cli.video.geometry.rotation import Pixels
from endoseg_cli.video.reading.info import VideoInfo
from endoseg_cli.video.reading.reader import Frame, VideoReader, probe
from endoseg_cli.video.writing.writer import MaskWriter, OverlayWriter
from tests.video.conftest import Render
from tests.video.rendering import Clip

ENDINGS = [".mp4", ".mov", ".mkv"]
IRREGULAR = [700, 740, 755, 840, 841, 1000, 1033, 1100, 1110, 1255, 1600, 1901]


def hard_masks(size: tuple[int, int], count: int) -> list[Pixels]:
    """Masks that compression likes least: salt, chessboard, one-pixel rings, jagged blobs, empty and full."""
    generator = np.random.default_rng(0)
    rows, columns = np.indices(size)
    radius = np.hypot(rows - size[0] / 2, columns - size[1] / 2)
    blobs = np.kron(generator.random((size[0] // 16 + 1, size[1] // 16 + 1)) > 0.6, np.ones((16, 16), bool))
    kinds = [
        generator.random(size) > 0.99,
        (rows + columns) % 2 == 0,
        radius.astype(int) % 9 == 0,
        blobs[: size[0], : size[1]],
        np.zeros(size, bool),
        np.ones(size, bool),
        generator.random(size) > 0.5,
    ]
    return [np.where(kinds[number % len(kinds)], 255, 0).astype(np.uint8) for number in range(count)]


def write_masks(path: Path, info: VideoInfo, frames: list[Frame], masks: list[Pixels]) -> MaskWriter:
    with MaskWriter(path, info, threads=1) as writer:
        for frame, mask in zip(frames, masks, strict=True):
            writer.write(mask, frame.pts)
    return writer


def read(path: Path) -> tuple[list[Frame], VideoReader]:
    with VideoReader(path, keep_planes=True) as reader:
        return list(reader), reader


@pytest.mark.parametrize("ending", ENDINGS)
def test_masks_are_exact_at_hd(render: Render, tmp_path: Path, ending: str) -> None:
    frames, source = read(render(Clip(name="hd.mp4", size=(720, 1280), frames=7)))
    masks = hard_masks((720, 1280), 7)
    write_masks(tmp_path / f"mask{ending}", source.info, frames, masks)
    with VideoReader(tmp_path / f"mask{ending}") as reader:
        for frame, mask in zip(reader, masks, strict=True):
            for level in (27, 127, 227):
                assert np.array_equal(frame.rgb[:, :, 0] > level, mask > 0)
            if ending == ".mkv":
                assert np.array_equal(frame.rgb[:, :, 0], mask)
    expected = ("ffv1", "gray") if ending == ".mkv" else ("h264", "yuv420p")
    assert (reader.info.codec, reader.info.pixel_format) == expected


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("rotation", [0, 90, 180, 270, 360, 450, 540, 630])
def test_times_rotation_and_pixel_shape_are_the_inputs(
    render: Render, tmp_path: Path, ending: str, rotation: int
) -> None:
    shape = Fraction(16, 15)
    frames, source = read(
        render(Clip(name="in.mp4", pts=IRREGULAR, time_base=Fraction(1, 1000), rotation=rotation, pixel_shape=shape))
    )
    masks = hard_masks(source.info.upright_size, len(frames))
    mask_writer = write_masks(tmp_path / f"mask{ending}", source.info, frames, masks)
    with OverlayWriter(tmp_path / f"overlay{ending}", source.info, threads=1) as overlay:
        for frame in frames:
            assert frame.planes is not None
            overlay.write(frame.planes, frame.pts)
    for path, warnings in ((mask_writer.path, mask_writer.warnings), (overlay.path, overlay.warnings)):
        written, reader = read(path)
        assert [frame.pts * frame.time_base for frame in written] == [Fraction(pts, 1000) for pts in IRREGULAR]
        assert reader.info.rotation == rotation and reader.info.upright_size == source.info.upright_size
        assert reader.info.sample_aspect_ratio == shape or warnings
        assert not reader.damage.found
    for frame, mask in zip(read(mask_writer.path)[0], masks, strict=True):
        assert np.array_equal(frame.rgb[:, :, 0] > 127, mask > 0)


def test_a_start_offset_finer_than_a_millisecond_is_kept(render: Render, tmp_path: Path) -> None:
    frames, source = read(render(Clip(name="in.ts", container="mpegts", pts=[31 + 2 * n for n in range(12)])))
    write_masks(tmp_path / "mask.mp4", source.info, frames, hard_masks((48, 64), 12))
    written, _ = read(tmp_path / "mask.mp4")
    assert [frame.pts * frame.time_base for frame in written] == [frame.pts * frame.time_base for frame in frames]


def test_an_origin_moves_all_timestamps(render: Render, tmp_path: Path) -> None:
    frames, source = read(render(Clip(name="in.ts", container="mpegts", pts=range(50, 62))))
    with MaskWriter(tmp_path / "mask.mp4", source.info, origin_pts=frames[0].pts) as writer:
        for frame in frames:
            writer.write(np.zeros((48, 64), np.uint8), frame.pts)
    assert probe(tmp_path / "mask.mp4").first_time == 0


def test_timestamps_below_zero_are_moved_with_a_warning(render: Render, tmp_path: Path) -> None:
    frames, source = read(render(Clip(name="in.mp4")))
    with MaskWriter(tmp_path / "mask.mp4", source.info, origin_pts=512 * 3) as writer:
        for frame in frames:
            writer.write(np.zeros((48, 64), np.uint8), frame.pts)
    written, _ = read(tmp_path / "mask.mp4")
    assert len(written) == 12 and written[0].time == 0
    assert "moved by" in writer.warnings[0]


@pytest.mark.parametrize("ending", ENDINGS)
def test_odd_sizes(render: Render, tmp_path: Path, ending: str) -> None:
    frames, source = read(render(Clip(name="odd.mkv", codec="ffv1", size=(49, 65), frames=3)))
    masks = hard_masks((49, 65), 3)
    writer = write_masks(tmp_path / f"mask{ending}", source.info, frames, masks)
    assert writer.padded == (ending != ".mkv")
    for frame, mask in zip(read(writer.path)[0], masks, strict=True):
        assert frame.rgb.shape[:2] == ((50, 66) if writer.padded else (49, 65))
        assert np.array_equal(frame.rgb[:49, :65, 0] > 127, mask > 0)
        assert not writer.padded or (frame.rgb[-1].max() < 10 and frame.rgb[:, -1].max() < 10)
    with OverlayWriter(tmp_path / f"overlay{ending}", source.info) as overlay:
        for frame in frames:
            assert frame.planes is not None
            overlay.write(frame.planes, frame.pts)
    assert overlay.padded and len(read(overlay.path)[0]) == 3


def test_overlay_keeps_the_colours_and_names_them(render: Render, tmp_path: Path) -> None:
    for name, matrix in (("a.mp4", 1), ("b.mp4", 5)):
        frames, source = read(render(Clip(name=name, matrix=matrix, full_range=True, pixel_format="yuvj420p")))
        with OverlayWriter(tmp_path / "overlay.mp4", source.info, overwrite=True, crf=4) as writer:
            for frame in frames:
                assert frame.planes is not None
                writer.write(frame.planes, frame.pts)
        written, reader = read(writer.path)
        assert reader.info.colour.matrix == matrix and not reader.info.colour.full_range
        assert reader.info.pixel_format == "yuv420p"
        for before, after in zip(frames, written, strict=True):
            assert np.abs(before.rgb.astype(int) - after.rgb).max() <= 5


def test_nothing_has_the_final_name_until_the_end(render: Render, tmp_path: Path) -> None:
    frames, source = read(render(Clip(name="in.mp4")))
    target = tmp_path / "new" / "mask.mp4"
    writer = MaskWriter(target, source.info)
    for frame in frames:
        writer.write(np.zeros((48, 64), np.uint8), frame.pts)
        assert writer.part.exists() and not target.exists()
    writer.finish()
    writer.finish()
    assert target.exists() and not writer.part.exists() and writer.frames_written == 12


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_error_leaves_a_playable_part(render: Render, tmp_path: Path, ending: str) -> None:
    frames, source = read(render(Clip(name="in.mp4")))
    target = tmp_path / f"mask{ending}"
    with pytest.raises(KeyboardInterrupt), MaskWriter(target, source.info) as writer:
        for frame in frames[:7]:
            writer.write(np.zeros((48, 64), np.uint8), frame.pts)
        raise KeyboardInterrupt
    assert not target.exists()
    assert [frame.time for frame in read(writer.part)[0]] == [frame.time for frame in frames[:7]]


def test_an_error_before_the_first_frame_leaves_nothing(render: Render, tmp_path: Path) -> None:
    info = probe(render(Clip(name="in.mp4")))
    with pytest.raises(RuntimeError), MaskWriter(tmp_path / "mask.mp4", info):
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_finishing_without_a_frame_is_an_error(render: Render, tmp_path: Path) -> None:
    writer = MaskWriter(tmp_path / "mask.mp4", probe(render(Clip(name="in.mp4"))))
    with pytest.raises(OutputError, match="no frame"):
        writer.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


KILLED = """
import os, signal, sys
import numpy as np
from endoseg_cli.video.reading.reader import VideoReader
from endoseg_cli.video.writing.writer import MaskWriter
with VideoReader(sys.argv[1]) as reader:
    writer = MaskWriter(sys.argv[2], reader.info, threads=1)
    for frame in reader:
        writer.write(np.full((48, 64), 255 * (frame.index % 2), np.uint8), frame.pts)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_killed_process_leaves_all_but_the_last_seconds(render: Render, tmp_path: Path, ending: str) -> None:
    path = render(Clip(name="in.ts", container="mpegts", frames=150, pts=range(40, 190)))
    target = tmp_path / f"mask{ending}"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), str(target)], check=False)
    assert killed.returncode == -9 and not target.exists()
    frames, _ = read(path)
    left, _ = read(target.with_name(target.name + ".endoseg.part"))
    assert 100 <= len(left) <= 150
    assert [frame.time for frame in left] == pytest.approx([frame.time for frame in frames[: len(left)]], abs=0.001)
    assert all((frame.rgb.mean() > 127) == bool(frame.index % 2) for frame in left)


FULL_DISK = """
import resource, signal, sys
import numpy as np
from endoseg_cli.errors import OutputError
from endoseg_cli.video.reading.reader import probe
from endoseg_cli.video.writing.writer import MaskWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = (np.random.default_rng(0).random((48, 64)) > 0.5).astype(np.uint8) * 255
try:
    with MaskWriter(sys.argv[2], probe(sys.argv[1]), threads=1) as writer:
        for number in range(500):
            writer.write(np.roll(noise, number), number * 512)
except OutputError as error:
    print(error.message)
"""


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_is_reported(render: Render, tmp_path: Path, ending: str) -> None:
    arguments = [sys.executable, "-c", FULL_DISK, str(render(Clip(name="in.mp4"))), str(tmp_path / f"mask{ending}")]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("cannot write") and "File too large" in done.stdout
    assert done.stderr == "" and not (tmp_path / f"mask{ending}").exists()


def test_existing_outputs_are_refused_at_once(render: Render, tmp_path: Path) -> None:
    info = probe(render(Clip(name="in.mp4")))
    (tmp_path / "mask.mp4").touch()
    with pytest.raises(OutputError, match="exists already"):
        MaskWriter(tmp_path / "mask.mp4", info)
    with pytest.raises(OutputError, match="replace the input"):
        OverlayWriter(tmp_path / "in.mp4", info, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "mask.mp4"]


def test_a_writer_works_in_another_thread(render: Render, tmp_path: Path) -> None:
    frames, source = read(render(Clip(name="in.mp4")))
    writer = MaskWriter(tmp_path / "mask.mp4", source.info)

    def work() -> None:
        for frame in frames:
            writer.write(np.zeros((48, 64), np.uint8), frame.pts)
        writer.finish()

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert len(read(writer.path)[0]) == 12
