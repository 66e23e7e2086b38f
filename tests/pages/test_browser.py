"""The pages in a real browser: clicks, keys, downloads, and names that want to be code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from endoseg_cli.inference.pipeline import SegmentConfig, segment_video
from tests.inference.brightness import STYLE, BrightnessPredictor, disc_picture
from tests.pages.browser import CHROMIUM, Browser
from tests.pages.targets import page_targets
from tests.video.rendering import Clip, Picture, render_clip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
HOSTILE = 'a"><script>alert(1)<script>.mp4'
RATE = 25
LESIONS = ((10, 30), (60, 80))
"""First and last frame but one of the discs."""


def two_lesions(index: int, size: tuple[int, int]) -> Picture:
    """A disc twice, and nothing in between for over half a second."""
    seen = any(first <= index < after for first, after in LESIONS)
    return disc_picture(0 if seen else 4, size)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    clip = render_clip(folder, Clip(name="clip.mp4", picture=two_lesions, frames=100))
    hostile = clip.rename(folder / HOSTILE)
    report = folder / "report.html"
    segment_video(page_targets(hostile, report), BrightnessPredictor(), STYLE, SegmentConfig())
    return report


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def browser(started: Browser, page: Path) -> Browser:
    """A browser that shows the page as it is when it is opened, whatever other tests did."""
    started.look(1280)
    started.open(page)
    return started


def test_a_click_on_the_timeline_goes_there(browser: Browser) -> None:
    browser.click("#timeline", across=0.25)
    assert browser.settle() == pytest.approx(1.0, abs=0.02)
    browser.click("#timeline", across=0.75, down=0.9)
    assert browser.settle() == pytest.approx(3.0, abs=0.02)
    assert str(browser.value("document.getElementById('readout').textContent")).startswith("3.0")


def test_keys_go_from_lesion_to_lesion_and_from_frame_to_frame(browser: Browser) -> None:
    browser.click("#timeline", across=0.001)
    browser.settle()

    def frame_after(key: str) -> int:
        browser.press(key)
        return int(browser.settle() * RATE)

    assert [frame_after(key) for key in ("n", "n", "n", "p", "p")] == [10, 60, 60, 10, 10]
    assert [frame_after(key) for key in ("ArrowRight", "ArrowRight", "ArrowLeft")] == [11, 12, 11]
    browser.press(" ")
    browser.wait_for("!document.querySelector('video').paused")
    browser.press(" ")
    browser.wait_for("document.querySelector('video').paused")


def test_a_thumbnail_goes_to_its_lesion_and_is_marked(browser: Browser) -> None:
    assert browser.value("[...document.images].every((one) => one.naturalWidth > 0) && document.images.length") == 2
    browser.click(".appearance:nth-child(2)")
    assert LESIONS[1][0] <= browser.settle() * RATE < LESIONS[1][1]
    browser.wait_for("document.querySelector('.appearance.current').dataset.index === '1'")


def test_buttons_do_what_they_say(browser: Browser) -> None:
    browser.click("#timeline", across=0.5)
    browser.settle()
    browser.click("#next")
    assert int(browser.settle() * RATE) == 60
    browser.click("#previous")
    assert int(browser.settle() * RATE) == 10


def test_tables_are_downloaded(browser: Browser) -> None:
    browser.click("#export-appearances")
    header, *rows = browser.downloaded("a_script_alert_1_script__appearances.csv").splitlines()
    assert header.split(",")[:4] == ["appearance", "start_seconds", "end_seconds", "frames_with_mask"]
    cells = [row.split(",") for row in rows]
    assert [row[:4] for row in cells] == [["1", "0.400", "1.160", "20"], ["2", "2.400", "3.160", "20"]]
    browser.click("#export-frames")
    header, *rows = browser.downloaded("a_script_alert_1_script__frames.csv").splitlines()
    assert header == "time,area,confidence,uncertainty,isolated" and len(rows) == 100
    areas = [float(row.split(",")[1]) for row in rows]
    assert areas[5] == 0 and areas[12] > 0.05


def test_a_name_is_text_and_nothing_is_fetched(browser: Browser, page: Path) -> None:
    assert browser.value("document.querySelector('h1').textContent") == HOSTILE == browser.value("document.title")
    said = [event["method"] for event in browser.events]
    assert "Page.javascriptDialogOpening" not in said and "Runtime.exceptionThrown" not in said
    fetched = [event["params"]["request"]["url"] for event in browser.events if event["method"].endswith("BeSent")]
    assert page.as_uri() in fetched
    assert not [url for url in fetched if not url.startswith(("data:", "blob:")) and url != page.as_uri()]
    browser.value("fetch('http://127.0.0.1:9/').catch(() => { window.refused = true; }); 1")
    browser.wait_for("window.refused === true")
    assert any("Content Security Policy" in str(event) for event in browser.events)


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_sticks_out(browser: Browser, width: int) -> None:
    for dark in (False, True):
        browser.look(width, dark=dark)
        browser.wait_for(f"window.innerWidth === {width}")
        assert browser.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        background = str(browser.value("getComputedStyle(document.body).backgroundColor"))
        assert (background == "rgb(15, 19, 24)") == dark


def test_a_video_beside_the_page_plays_too(tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("endoseg_cli.pages.video_page.MOST_EMBEDDED", 100)
    clip = render_clip(tmp_path, Clip(name="clip.mp4", picture=disc_picture, frames=12))
    report = tmp_path / "a #1 page.html"
    outcome = segment_video(page_targets(clip, report), BrightnessPredictor(), STYLE, SegmentConfig())
    assert (tmp_path / "a #1 page.overlay.mp4").exists() and "is not inside the page" in " ".join(outcome.warnings)
    browser.open(report)
    browser.click("#timeline", across=0.5)
    assert browser.settle() == pytest.approx(0.24, abs=0.02)
