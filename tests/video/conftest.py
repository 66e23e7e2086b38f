"""Fixtures of the video tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.video.rendering import Clip, render_clip

Render = Callable[[Clip], Path]


@pytest.fixture
def render(tmp_path: Path) -> Render:
    """Give a function that renders a `Clip` into the test's folder."""
    return lambda clip: render_clip(tmp_path, clip)
