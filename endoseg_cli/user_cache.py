"""Where endoseg keeps what it can make or fetch again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from endoseg_cli.errors import OutputError
from endoseg_cli.part_file import write_whole


def user_cache(name: str) -> Path:
    """Return endoseg's folder `name` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "endoseg" / name


def read_measured(file: Path) -> dict[str, Any]:
    """Return what `keep_measured` wrote; a file that is not there or cannot be read holds nothing."""
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def keep_measured(file: Path, values: Mapping[str, Any]) -> None:
    """Write what was measured, as JSON; where that fails, it is measured again the next time."""
    with suppress(OutputError):
        write_whole(file, json.dumps(values, indent=2) + "\n")
