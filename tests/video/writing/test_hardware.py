"""A GPU's encoder is taken where a trial shows that it works, keeps the picture and wins; here x264 plays its part."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from endoseg_cli.inference.job import style_of
from endoseg_cli.inference.pipeline import SegmentConfig
from endoseg_cli.inference.write.output_paths import OutputConfig
from endoseg_cli.inference.write.overlay import OverlayConfig
from endoseg_cli.video.reading.info import VideoInfo
from endoseg_cli.video.reading.reader import VideoReader
from endoseg_cli.video.writing import hardware
from endoseg_cli.video.writing.encoder import EncoderSettings
from endoseg_cli.video.writing.hardware import MOST_LOSS, QUALITIES, Trial, faster_on_gpu
from endoseg_cli.video.writing.writer import OverlayWriter, _h264_overlay
from tests.inference.many.test_processes import FACTS
from tests.video.rendering import Clip

GPU = "A GPU"
Tried = Callable[[EncoderSettings], Trial | None]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def info(render: Callable[[Clip], Path]) -> VideoInfo:
    with VideoReader(render(Clip(name="a.mp4", size=(96, 128)))) as reader:
        return reader.info


@pytest.fixture
def fast_x264(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "GPU_CODEC", "libx264")
    monkeypatch.setattr(hardware, "GPU_OPTIONS", {"preset": "ultrafast"})


def plain(info: VideoInfo) -> EncoderSettings:
    return _h264_overlay(info, 18, "superfast", 1)


def trials(monkeypatch: pytest.MonkeyPatch, tried: Tried) -> list[str]:
    """Let trials end so; return which settings were tried, by quantiser or codec."""
    seen: list[str] = []

    def one(settings: EncoderSettings, info: VideoInfo, frames: Sequence[object]) -> Trial | None:
        seen.append(settings.options.get("qp", settings.codec))
        return tried(settings)

    monkeypatch.setattr(hardware, "_tried", one)
    return seen


def test_a_trial_tells_how_good_an_encoder_is(info: VideoInfo, fast_x264: None) -> None:
    frames = list(hardware._frames(128, 96))
    assert len(frames) == hardware.FRAMES and all(frame.shape == (96, 128) for frame in frames)
    good, bad = (hardware._tried(hardware._on_gpu(plain(info), quality), info, frames) for quality in (10, 40))
    assert good is not None and bad is not None
    assert good.psnr > 45 > 36 > bad.psnr > 20 and good.seconds > 0


def test_a_machine_without_such_a_gpu_keeps_x264_and_is_asked_once(
    info: VideoInfo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = plain(info)
    assert hardware._tried(hardware._on_gpu(settings, 19), info, list(hardware._frames(128, 96))) is None
    assert faster_on_gpu(settings, info, GPU) is settings
    (kept,) = json.loads((tmp_path / "cache" / "endoseg" / "runtimes" / "encoders.json").read_text()).values()
    assert kept is None
    seen = trials(monkeypatch, lambda settings: None)
    assert faster_on_gpu(settings, info, GPU) is settings and not seen
    assert faster_on_gpu(settings, info, "another") is settings and seen
    seen.clear()
    (tmp_path / "cache" / "endoseg" / "runtimes" / "encoders.json").write_text("[")
    assert faster_on_gpu(settings, info, GPU) is settings and seen


@pytest.mark.parametrize(
    ("psnr", "seconds", "chosen"),
    [
        ({22: 39, 19: 41, 16: 44}, 0.5, "19"),
        ({22: 41, 19: 44, 16: 46}, 0.5, "22"),
        ({22: 40 - MOST_LOSS / 2, 19: 44, 16: 46}, 0.5, "22"),
        ({22: 35, 19: 37, 16: 39}, 0.5, None),
        ({22: 41, 19: 44, 16: 46}, 0.9, None),
    ],
)
def test_the_smallest_file_that_is_as_good_and_made_faster_wins(
    info: VideoInfo,
    fast_x264: None,
    monkeypatch: pytest.MonkeyPatch,
    psnr: dict[int, float],
    seconds: float,
    chosen: str | None,
) -> None:
    def tried(settings: EncoderSettings) -> Trial:
        quality = settings.options.get("qp")
        return Trial(seconds=1.0, psnr=40.0) if quality is None else Trial(seconds=seconds, psnr=psnr[int(quality)])

    trials(monkeypatch, tried)
    settings = plain(info)
    for _ in range(2):  # measured, and remembered
        found = faster_on_gpu(settings, info, GPU)
        assert found.options.get("qp") == chosen
        assert found == (settings if chosen is None else replace(settings, options=found.options))
    monkeypatch.setattr(hardware, "_opens", lambda settings: False)
    assert faster_on_gpu(settings, info, GPU) is settings, "all its encoders are taken"


def test_an_overlay_is_written_by_it(
    info: VideoInfo, fast_x264: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trials(monkeypatch, lambda settings: Trial(seconds=0.1 if "qp" in settings.options else 1.0, psnr=40.0))
    written: list[dict[str, str]] = []
    with VideoReader(info.path, keep_planes=True) as reader:
        path = tmp_path / "o.mp4"
        with OverlayWriter(path, info, gpu=GPU) as writer:
            written.append(writer._settings.options)
            for frame in reader:
                assert frame.planes is not None
                writer.write(frame.planes, frame.pts, frame.duration)
    assert written == [{"preset": "ultrafast", "qp": str(QUALITIES[0])}]
    with av.open(str(path)) as container, av.open(str(info.path)) as source:
        found, expected = (list(each.decode(video=0)) for each in (container, source))
    assert [frame.pts for frame in found] == [frame.pts for frame in expected]
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one.to_ndarray(format="gray").astype(int) - other.to_ndarray(format="gray")).mean() < 3


def test_only_a_model_on_a_gpu_has_one_encode() -> None:
    facts = replace(FACTS, device="cuda:0", gpu=GPU)
    for found, name in ((facts, GPU), (FACTS, "")):
        assert style_of(found, (), OutputConfig(masks=Path("m.mp4")), OverlayConfig(), SegmentConfig()).gpu == name
