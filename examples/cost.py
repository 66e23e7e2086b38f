"""Say what it takes to segment a hospital's day or an archive, from what `endoseg benchmark` measured.

    endoseg benchmark inference --sizes 720p --json > speed.json
    python examples/cost.py speed.json --price 0.04

`--price` is what an hour of one core costs you. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

RATE = 25
"""Frames a second of the procedures."""
MINUTES = 20
"""Minutes of one procedure."""
DAY, ARCHIVE = 100, 1_000_000
"""Procedures of a large hospital's day, and of an archive."""
DAY_HOURS, NIGHT_HOURS, YEAR_HOURS = 24, 8, 24 * 365


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, nargs="+", help="what `endoseg benchmark inference --json` printed")
    parser.add_argument("--price", type=float, help="price of one core for an hour")
    arguments = parser.parse_args()
    for path in arguments.measured:
        found = json.loads(path.read_text(encoding="utf-8"))
        print(heading(found))
        print("| video | refine | frames/s | a core | a procedure | cores for a day | in a night | archive |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for video in found["videos"]:
            for mode, ran in video["segment"].items():
                print(row(video, mode, ran["frames_per_second"], found["machine"]["usable_cores"], arguments.price))
        print()


def heading(found: dict[str, Any]) -> str:
    """Return what was measured, on what."""
    machine, settings = found["machine"], found["settings"]
    height, width = settings["input_size"]
    return (
        f"{machine['processor']}, {machine['usable_cores']} cores, {settings['model']} at {width}x{height} in"
        f" {settings['runtime']} {settings['precision']}. A procedure: {MINUTES} minutes at {RATE} frames a second;"
        f" a day: {DAY} of them; a night: {NIGHT_HOURS} hours; the archive: {ARCHIVE:,} procedures.\n"
    )


def row(video: dict[str, Any], mode: str, rate: float, cores: int, price: float | None) -> str:
    """Return one line of the table; `rate` are frames a second on all the cores."""
    core_seconds = MINUTES * 60 * RATE * cores / rate
    day, archive = DAY * core_seconds / 3600, ARCHIVE * core_seconds / 3600
    paid = "" if price is None else f", {archive * price:,.0f} at {price:g} an hour"
    return (
        f"| {video['width']}x{video['height']} | {mode.removeprefix('refine ')} | {rate:.1f} | {rate / cores:.1f}"
        f" | {core_seconds / 60:.0f} core minutes | {day / DAY_HOURS:.1f} | {day / NIGHT_HOURS:.1f}"
        f" | {archive / YEAR_HOURS:,.0f} core years{paid} |"
    )


if __name__ == "__main__":
    main()
