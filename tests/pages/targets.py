"""Outputs of one input of which the page is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from endoseg_cli.inference.write.output_paths import Targets
from tests.inference.brightness import targets_for


def page_targets(path: Path, report: Path, overlay: Path | None = None) -> Targets:
    """Say that a page is wanted, and where."""
    return replace(targets_for(path, overlay=overlay), report=report)
