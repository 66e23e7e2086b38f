"""What stands in a page's file."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from endoseg_cli.errors import OutputError, UsageError
from endoseg_cli.inference.pipeline import SegmentConfig, segment_video
from endoseg_cli.pages.place import beside, page_for, pages_for
from endoseg_cli.pages.timeline import FrameFacts, Timeline
from endoseg_cli.pages.video_page import VideoPage, write_video_page
from tests.inference.brightness import STYLE, BrightnessPredictor, disc_picture
from tests.pages.targets import page_targets
from tests.video.rendering import Clip, render_clip

BREAKOUT = "a</script><script>alert(1)</script>\udce9.mp4"


def bare_page(video: Path) -> VideoPage:
    timeline = Timeline()
    timeline.add(FrameFacts(time=0, area=0, confidence=0, uncertainty=0, isolated="false_negative"))
    return VideoPage(title=BREAKOUT, facts=[("<b>", "<i>")], legend="&", timeline=timeline, appearances=(), video=video)


def stored_json(html: str) -> dict[str, object]:
    found = re.search(r'id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def test_names_cannot_break_out_and_the_video_is_inside(tmp_path: Path) -> None:
    video = tmp_path / "v.mp4"
    video.write_bytes(bytes(range(256)) * 8000)  # more than one chunk
    assert write_video_page(tmp_path / "p.html", bare_page(video))
    html = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "<script>alert" not in html and "<i>" not in html and html.count("<script") == 3
    data = stored_json(html)
    assert data["title"] == "a</script><script>alert(1)</script>?.mp4" and data["isolated"] == [[0, "false_negative"]]
    inside = re.search(r'id="video-data">(.*?)</script>', html, re.DOTALL)
    assert inside is not None and base64.b64decode(inside[1], validate=True) == video.read_bytes()
    assert "No lesion was drawn" in html and "http:" not in html and "https:" not in html


def test_a_page_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        write_video_page(tmp_path / "file" / "p.html", bare_page(tmp_path / "file"))


def test_a_video_of_its_own_is_gone_and_a_shared_overlay_stays(tmp_path: Path) -> None:
    clip = render_clip(tmp_path, Clip(name="clip.mp4", picture=disc_picture, frames=12))
    alone, shared, overlay = tmp_path / "alone.html", tmp_path / "shared.html", tmp_path / "o.mp4"
    segment_video(page_targets(clip, alone), BrightnessPredictor(), STYLE, SegmentConfig())
    segment_video(page_targets(clip, shared, overlay), BrightnessPredictor(), STYLE, SegmentConfig())
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4", "alone.html", "shared.html", "o.mp4"}
    assert base64.b64encode(overlay.read_bytes()).decode() in shared.read_text(encoding="utf-8")
    frames = stored_json(alone.read_text(encoding="utf-8"))["frames"]
    assert (
        isinstance(frames, dict)
        and len(frames["time"]) == 12
        and [i for i, a in enumerate(frames["area"]) if not a] == [4, 9]
    )


def test_one_video_takes_a_file_and_several_a_folder(tmp_path: Path) -> None:
    assert page_for(tmp_path / "p.html", Path("a"), single=True) == tmp_path / "p.html"
    assert pages_for(tmp_path, ["b/a.mp4", "c.mp4"], single=False) == [
        tmp_path / "b/a.mp4.html",
        tmp_path / "c.mp4.html",
    ]
    assert beside(tmp_path / "p.html") == tmp_path / "p.overlay.mp4"
    for given, single, message in (("p.html", False, "give a folder"), ("p.pdf", True, "ending of .html")):
        with pytest.raises(UsageError, match=message):
            page_for(tmp_path / given, Path("a"), single=single)
    with pytest.raises(UsageError, match="two videos would write"):
        pages_for(tmp_path, ["a.mp4", "a.mp4"], single=False)
