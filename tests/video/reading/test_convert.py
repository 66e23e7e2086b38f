"""Colours: the same swatches come out of every way to store them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.video.geometry.colour import BT709, SMPTE170M
from endoseg_cli.video.reading.convert import PictureConverter
from endoseg_cli.video.reading.reader import Frame, VideoReader
from tests.video.conftest import Render
from tests.video.rendering import Clip, Picture

SWATCHES = [(200, 60, 50), (60, 160, 70), (50, 70, 190), (128, 128, 128), (230, 200, 190), (20, 20, 20)]
FORMATS = [
    ("libx264", "yuv420p", False),
    ("libx264", "yuv422p", False),
    ("libx264", "yuv444p", False),
    ("libx264", "yuvj420p", True),
    ("libx264", "yuv420p10le", False),
    ("ffv1", "bgra", False),
    ("utvideo", "gbrp", False),
    ("ffv1", "yuv444p16le", False),
]


def swatches(index: int, size: tuple[int, int]) -> Picture:
    """Six upright stripes."""
    picture = np.zeros((*size, 3), np.uint8)
    for number, stripe in enumerate(np.array_split(np.arange(size[1]), len(SWATCHES))):
        picture[:, stripe] = SWATCHES[number]
    return picture


def stripe_centres(rgb: Picture) -> NDArray[np.int64]:
    width = rgb.shape[1] / len(SWATCHES)
    return np.array([rgb[rgb.shape[0] // 2, int((n + 0.5) * width)] for n in range(len(SWATCHES))]).astype(np.int64)


def first(render: Render, clip: Clip) -> tuple[Frame, VideoReader]:
    with VideoReader(render(clip), keep_planes=True) as reader:
        return next(iter(reader)), reader


@pytest.mark.parametrize(("codec", "pixel_format", "full_range"), FORMATS)
def test_swatches_survive_every_pixel_format(render: Render, codec: str, pixel_format: str, full_range: bool) -> None:
    clip = Clip(
        name="swatches.avi" if codec == "utvideo" else "swatches.mkv",
        codec=codec,
        pixel_format=pixel_format,
        full_range=full_range,
        size=(48, 96),
        frames=2,
        picture=swatches,
        options={"crf": "4"} if codec == "libx264" else {},
    )
    frame, reader = first(render, clip)
    assert np.abs(stripe_centres(frame.rgb) - SWATCHES).max() <= 5
    assert frame.planes is not None and not frame.planes.colour.full_range
    # The planes show the same colours, now as limited-range 4:2:0.
    again = _as_frame(frame.planes.y, frame.planes.u, frame.planes.v)
    converter = PictureConverter(width=96, height=48, rotation=0, fallback=frame.planes.colour)
    assert np.abs(stripe_centres(converter.rgb(again)) - SWATCHES).max() <= 6
    assert reader.info.bit_depth == {"yuv420p10le": 10, "yuv444p16le": 16}.get(pixel_format, 8)


def test_gray_stays_gray(render: Render) -> None:
    frame, _ = first(render, Clip(name="gray.mkv", codec="ffv1", pixel_format="gray", full_range=True, frames=2))
    assert abs(float(frame.rgb.mean()) - 30) <= 1
    assert frame.planes is not None
    assert np.ptp(frame.planes.u) == 0 and abs(int(frame.planes.u[0, 0]) - 128) <= 1
    assert abs(int(frame.planes.y[0, 0]) - round(16 + 30 * 219 / 255)) <= 1


@pytest.mark.parametrize(
    ("height", "written", "tagged", "expected"),
    [(720, 1, False, BT709), (48, 5, False, SMPTE170M), (720, 5, True, 5), (48, 1, True, BT709)],
    ids=["untagged HD is 709", "untagged SD is 601", "HD tagged 601", "SD tagged 709"],
)
def test_matrix_is_the_tag_or_follows_the_height(
    render: Render, tmp_path: Path, height: int, written: int, tagged: bool, expected: int
) -> None:
    clip = Clip(name="c.mp4", size=(height, 96), frames=1, picture=swatches, matrix=written, options={"crf": "4"})
    path = render(clip) if tagged else _without_tags(tmp_path / "untagged.mkv", height, written)
    with VideoReader(path, keep_planes=True) as reader:
        frame = next(iter(reader))
    assert np.abs(stripe_centres(frame.rgb) - SWATCHES).max() <= 5
    assert frame.planes is not None and frame.planes.colour.matrix == expected


def test_planes_of_limited_420_are_those_of_the_decoder(render: Render) -> None:
    path = render(Clip(name="c.mp4", size=(48, 96), frames=3, picture=swatches))
    with VideoReader(path, keep_planes=True) as reader, av.open(str(path)) as container:
        for frame, decoded in zip(reader, container.decode(video=0), strict=True):
            expected = decoded.to_ndarray()
            assert frame.planes is not None
            assert np.array_equal(frame.planes.y, expected[:48])
            assert np.array_equal(frame.planes.u, expected[48:60].reshape(24, 48))
            assert np.array_equal(frame.planes.v, expected[60:].reshape(24, 48))


def test_odd_sizes_keep_their_picture_and_get_padded_planes(render: Render) -> None:
    frame, reader = first(render, Clip(name="odd.mkv", codec="ffv1", size=(49, 97), frames=2, picture=swatches))
    assert frame.rgb.shape == (49, 97, 3) and (reader.info.height, reader.info.width) == (49, 97)
    assert frame.planes is not None
    assert frame.planes.y.shape == (50, 98) and frame.planes.u.shape == (25, 49)
    assert np.array_equal(frame.planes.y[-1], frame.planes.y[-2])
    assert np.abs(stripe_centres(frame.rgb) - SWATCHES).max() <= 5


def _as_frame(*planes: Picture) -> av.VideoFrame:
    height, width = planes[0].shape
    stacked = np.concatenate([plane.reshape(-1) for plane in planes]).reshape(height * 3 // 2, width)
    return av.VideoFrame.from_ndarray(stacked, "yuv420p")


def _without_tags(path: Path, height: int, matrix: int) -> Path:
    """Store swatches with a matrix that the file does not name."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = height, 96, "yuv420p"
        rgb = av.VideoFrame.from_ndarray(swatches(0, (height, 96)), "rgb24")
        yuv = rgb.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range=1)
        bare = av.VideoFrame.from_ndarray(yuv.to_ndarray(), "yuv420p")
        output.mux(stream.encode(bare))
        output.mux(stream.encode(None))
    with av.open(str(path)) as check:
        assert next(check.decode(video=0)).colorspace == 2
    return path
