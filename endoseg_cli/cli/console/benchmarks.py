"""What people see of a benchmark: what is being measured, on stderr, and tables on stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from endoseg_cli.cli.console.lines import duration
from endoseg_cli.cli.console.say import one_line, say

if TYPE_CHECKING:
    from endoseg_cli.benchmark.measure import Tell
    from endoseg_cli.evaluation.report.tables import Table

RATES = ("25", "30", "60")
RATE_COLUMNS = tuple(f"{rate} fps" for rate in RATES)
REAL_TIME_NOTE = "25, 30, 60 fps: whether a camera of that rate is kept up with."


@contextmanager
def telling(*, quiet: bool) -> Iterator[Tell]:
    """Give what tells on stderr what is being measured: a line that changes on a terminal, lines elsewhere."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        with Console(stderr=True).status("") as status:
            yield lambda text: status.update(Text(one_line(text)))
    else:
        yield say


def inference_tables(report: Mapping[str, Any]) -> list[Table]:
    """Return the tables of `benchmark inference`: the machine, one a video, and the networks in every runtime."""
    tables = [_machine(report)]
    tables += [_video(video, report["settings"]) for video in report["videos"]]
    rows = [
        (
            f"{row['runtime']} {row['precision']}{' (what segment uses)' if row['used_by_segment'] else ''}",
            *_speed(row),
        )
        for row in report["networks"]
    ]
    note = f"Batches of {report['settings']['batch_size']}; no reading, no writing."
    return [*tables, _table("Networks alone", ("runtime", *SPEED_COLUMNS), rows, note)]


def io_tables(report: Mapping[str, Any]) -> list[Table]:
    """Return the tables of `benchmark io`: the machine, and one a video."""
    tables = [_machine(report)]
    for video in report["videos"]:
        rows = []
        for kind in ("read", "write"):
            for name, found in video[kind].items():
                size = f"{found['bytes_a_frame'] / 1000:.1f} kB" if "bytes_a_frame" in found else ""
                label = name if kind == "read" else f"write {name}"
                rows.append((label, *_speed(found), *_kept_up(found), size))
        columns = ("part", *SPEED_COLUMNS, *RATE_COLUMNS, "a frame")
        tables.append(_table(_title(video), columns, rows, REAL_TIME_NOTE))
    return tables


def train_tables(report: Mapping[str, Any]) -> list[Table]:
    """Return the tables of `benchmark train`: the machine, and the steps."""
    settings = report["settings"]
    rows = []
    for way in report["steps"]:
        supervised = way["supervised_step"]
        rows.append(
            (
                f"{way['schedule']} {way['precision']}",
                f"{way['step']['median']:.3f} s",
                f"{100 * way['step']['spread']:.0f} %",
                "" if supervised is None else f"{supervised['median']:.3f} s",
                duration(way["run_seconds"]),
                _memory(way["peak_memory"]),
            )
        )
    title = (
        f"{settings['method']}, {settings['encoder']}, {settings['input_size'][1]}x{settings['input_size'][0]}, batches"
        f" of {settings['batch_size']} frames with masks and {settings['unlabeled_batch_size']} without"
    )
    ratios = "; ".join(
        f"{row['of']} is {row['times_as_fast']['median']:.2f} times as fast as {row['to']}" for row in report["ratios"]
    )
    run = (
        f"A run: {settings['steps']} steps, {settings['supervised_steps']} of them on masks alone; a batch takes"
        f" {report['preparing_seconds']['median']:.3f} s to prepare; without validation and the corrective network."
    )
    columns = ("step", "whole", "spread", "on masks alone", "a run", "memory")
    return [_machine(report), _table(title, columns, rows, f"{ratios}. {run}")]


SPEED_COLUMNS = ("ms a frame", "frames/s", "spread")


def _video(video: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, stage in video["stages"].items():
        mark = " (slowest)" if name == video["limiting_stage"] else ""
        rows.append((f"{name}{mark}", *_speed(stage), *("",) * len(RATES), "", ""))
    for mode, run in video["segment"].items():
        ratio = f"{run['ratio_to_plain_loop']['median']:.2f}"
        rows.append((f"segment --refine {mode}", *_speed(run), *_kept_up(run), ratio, _memory(run["peak_memory"])))
    loop = video["plain_loop"]
    rows.append(("plain loop", *_speed(loop), *_kept_up(loop), "1", _memory(loop["peak_memory"])))
    columns = ("part", *SPEED_COLUMNS, *RATE_COLUMNS, "to the loop", "memory")
    busy = video["segment"]["off"]["busy_share"]
    thread = max(busy, key=lambda name: busy[name])
    damage = "".join(f" The input is damaged: {sentence}." for sentence in video["damage"])
    note = (
        f"Above: stages alone, one after the other; below: whole runs of {loop['frames']} frames, where stages overlap"
        f" ({settings['runtime']} {settings['precision']}, batches of {settings['batch_size']}). To the loop: times as"
        f" fast as the plain loop (one frame at a time, fp32). {REAL_TIME_NOTE} Finding the endoscope's picture, once a"
        f" video and not in these numbers: {video['finding_view_seconds']:.2f} s. Busiest thread of"
        f" --refine off: {thread}, {100 * busy[thread]:.0f} % of the time.{damage}"
    )
    return _table(_title(video), columns, rows, note)


def _machine(report: Mapping[str, Any]) -> Table:
    machine = report["machine"]
    memory = machine["memory_bytes"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items() if version)
    load = machine["load_before"]
    rows = [
        ("processor", f"{machine['processor']}, {machine['usable_cores']} of {machine['cores']} cores"),
        ("memory", "unknown" if memory is None else f"{memory / 1e9:.1f} GB"),
        ("device", f"{machine['device']} {machine['device_name'] or ''}".strip()),
        ("threads", str(machine["threads"])),
        ("busy before", "unknown" if load is None else f"{load:.1f} processes in the last minute"),
        ("versions", f"endoseg {machine['endoseg']}, Python {machine['python']}, {packages}"),
    ]
    return _table("Machine", ("",), [(f"{name}: {value}",) for name, value in rows], "")


def _title(video: Mapping[str, Any]) -> str:
    return f"{video['name']}, {video['width']}x{video['height']}, {video['codec']}"


def _speed(timing: Mapping[str, Any]) -> tuple[str, str, str]:
    spread = f"{100 * timing['spread']:.0f} %"
    return f"{timing['milliseconds_a_frame']:.2f}", f"{timing['frames_per_second']:.1f}", spread


def _kept_up(timing: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple("yes" if timing["real_time"][rate] else "no" for rate in RATES)


def _memory(peak: Mapping[str, Any]) -> str:
    shown = [] if peak["resident_bytes"] is None else [f"{peak['resident_bytes'] / 1e9:.2f} GB"]
    if peak["device_bytes"] is not None:
        shown.append(f"{peak['device_bytes'] / 1e9:.2f} GB of the GPU")
    return ", ".join(shown) or "unknown"


def _table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], note: str) -> Table:
    from endoseg_cli.evaluation.report.tables import Table

    return Table(title=title, columns=columns, rows=tuple(rows), note=note)
