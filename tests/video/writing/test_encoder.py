"""Settings that FFmpeg would ignore or refuse late are refused early."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from endoseg_cli.errors import OutputError, UsageError
from endoseg_cli.video.geometry.colour import BT709, ColourTags
from endoseg_cli.video.reading.reader import probe
from endoseg_cli.video.writing.encoder import EncoderSettings, add_video_stream, open_output
from endoseg_cli.video.writing.writer import OverlayWriter
from tests.video.conftest import Render
from tests.video.rendering import Clip

TAGS = ColourTags(matrix=BT709, primaries=BT709, transfer=BT709, full_range=False)


def settings(codec: str, options: dict[str, str]) -> EncoderSettings:
    return EncoderSettings(codec=codec, pixel_format="yuv420p", width=64, height=48, colour=TAGS, options=options)


def test_an_unknown_option_is_refused(render: Render, tmp_path: Path) -> None:
    info = probe(render(Clip(name="in.mp4")))
    output = open_output(tmp_path / "out.mp4.part", "mp4", Fraction(1, 25))
    with pytest.raises(UsageError, match="no option 'crff'"):
        add_video_stream(output, settings("libx264", {"crff": "18", "preset": "fast"}), info)


def test_a_missing_encoder_is_reported(render: Render, tmp_path: Path) -> None:
    info = probe(render(Clip(name="in.mp4")))
    output = open_output(tmp_path / "out.mp4.part", "mp4", Fraction(1, 25))
    with pytest.raises(OutputError, match="no encoder 'libx999'"):
        add_video_stream(output, settings("libx999", {}), info)


def test_values_out_of_range_are_refused(render: Render, tmp_path: Path) -> None:
    info = probe(render(Clip(name="in.mp4")))
    with pytest.raises(UsageError, match="0 to 51"):
        OverlayWriter(tmp_path / "out.mp4", info, crf=52)
    with pytest.raises(UsageError, match="preset"):
        OverlayWriter(tmp_path / "out.mp4", info, preset="fastest")
    with pytest.raises(UsageError, match="threads"):
        OverlayWriter(tmp_path / "out.mp4", info, threads=-1)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
