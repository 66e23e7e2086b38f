"""What `model_card.py measure` runs, and what it keeps of each: small JSON files that name no folder and no frame."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from endoseg_cli.errors import DAMAGED_EXIT_CODE, EndosegError, MissingInputError, UsageError, WeightsError
from endoseg_cli.part_file import write_whole

PRESENCES = ("0", "0.9", "0.95", "0.96", "0.98")
"""Peak probabilities that are tried besides the model's own."""
SPOIL = {"clips": "2", "rendered": "1"}
"""Seeds of the spoiled frames."""
DESCRIBING = ("name", "training_data", "licence", "intended_use", "scores", "endoseg_version")
"""What a model file says of itself that changes no prediction."""
DECIMALS = 6


@dataclass(frozen=True, kw_only=True)
class Place:
    """A path in a command, and the name that stands for it in what is kept."""

    path: Path
    shown: str


Command = tuple[str | Place, ...]
Trim = Callable[[Sequence[dict[str, Any]]], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Commands of endoseg that print JSON, and what is kept of it."""

    name: str
    """The result's file, without its ending."""
    commands: tuple[Command, ...]
    """Words after `endoseg`."""
    data: str
    """Digest of what it is measured on, or the command that renders it."""
    trim: Trim
    """Takes what each command printed, returns what is kept."""
    after: tuple[Path, Command] | None = None
    """A folder, and the command that makes it if it is not there."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """On what a model is measured."""

    stills: Path
    """Folder with images/ and masks/."""
    clips: dict[str, Path]
    """Videos without masks, by the names that the card gives them."""
    still_clips: int
    """Clips of a moving camera over the stills."""
    rendered_clips: int
    """Clips of the phantom."""
    rendered_seconds: float
    """Length of each."""
    seed: int
    """Seed of the phantom."""
    speed: bool
    """Whether to time it as well, which needs a machine that does nothing else."""


def read_model(weights: Path) -> tuple[str, dict[str, int]]:
    """Return a digest of all in a model file that decides what it predicts, and its parameters by network.

    Texts and scores in its card are left out, so that a model to which its scores are added keeps its results. Raises
    MissingInputError, WeightsError.
    """
    if not weights.is_file():
        raise MissingInputError(f"no model file at {weights}", hint="give --weights FILE.safetensors")
    with weights.open("rb") as file:
        try:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            card = json.loads(header.pop("__metadata__")["endoseg"])
        except (ValueError, KeyError, OverflowError, MemoryError) as error:
            raise WeightsError(f"{weights} is not a model of endoseg: {error}", hint="give another file") from error
        deciding = without_unset({key: value for key, value in card.items() if key not in DESCRIBING})
        digest = hashlib.sha256(json.dumps([deciding, header], sort_keys=True).encode())
        digest.update(file.read())
    parameters: dict[str, int] = {}
    for name, tensor in header.items():
        network = name.partition(".")[0]
        parameters[network] = parameters.get(network, 0) + math.prod(tensor["shape"])
    return digest.hexdigest(), parameters


def without_unset(value: Any) -> Any:
    """Leave out what is null: a later endoseg writes more fields, unset, of the same model."""
    if isinstance(value, dict):
        return {key: without_unset(member) for key, member in value.items() if member is not None}
    return value


def measure(weights: Path, plan: Plan, out: Path, scratch: Path, *, whole: bool, only: Sequence[str]) -> None:
    """Measure a model and write OUT/NAME.json for each measurement whose file is not there for it already.

    `whole` adds what is measured of the new model alone. Raises EndosegError, among others where a command fails.
    """
    digest, parameters = read_model(weights)
    planned = list(measurements(weights, plan, parameters, scratch, whole=whole))
    names = [one.name for one in planned]
    if unknown := [name for name in only if name not in names]:
        raise UsageError(f"--only {unknown[0]}: no such measurement", hint=f"there are {', '.join(names)}")
    for one in planned:
        path = out / f"{one.name}.json"
        if only and one.name not in only:
            continue
        shown = [shell(command) for command in one.commands]
        if is_measured(path, digest, shown, one.data):
            print(f"{path}: there already", file=sys.stderr, flush=True)
            continue
        began = time.monotonic()
        found = run_all(one)
        content = {"measurement": one.name, "commands": shown, "data": one.data, "model": digest, **head(weights)}
        write_whole(path, json.dumps({**content, "result": rounded(found)}, indent=1) + "\n")
        print(f"{path}: measured in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def measurements(
    weights: Path, plan: Plan, parameters: dict[str, int], scratch: Path, *, whole: bool
) -> Iterator[Measurement]:
    """Yield all measurements, those that both models share first."""
    model = Place(path=weights, shown="model.safetensors" if whole else "before.safetensors")
    stills = Place(path=plan.stills, shown="c4")
    frames = Place(path=scratch / "frames.csv", shown="frames.csv")
    digest = digest_folder(plan.stills)
    score: Command = ("evaluate", "--labeled", stills, "--weights", model, "--json")

    def with_frames(printed: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return trim_stills(printed) | {"frames": read_frames(frames.path)}

    def with_parameters(printed: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return trim_model(printed) | {"parameters_of": parameters}

    yield Measurement(name="model", commands=(("info", model, "--json"),), data="", trim=with_parameters)
    per_frame = (*score, "--per-frame", frames, "--overwrite")
    yield Measurement(name="stills", commands=(per_frame,), data=digest, trim=with_frames)
    for name, video in plan.clips.items():
        clip = Place(path=video, shown=name)
        table = Place(path=scratch / f"{name}.csv", shown="records.csv")
        fixed: Command = ("--weights", model, "--precision", "fp32", "--runtime", "torch", "--json", "--quiet")
        pair = tuple(
            ("segment", clip, "--records", table, "--overwrite", "--refine", mode, *fixed)
            for mode in ("off", "flagged")
        )
        yield Measurement(name=f"clip-{name}", commands=pair, data=digest_file(video), trim=trim_segment)
    moving: Command = ("evaluate", "--stills", stills, "--still-clips", str(plan.still_clips), "--weights", model)
    yield from over_time("clips", moving, digest)
    rendered = Place(path=scratch / "rendered", shown="rendered")
    options = ("--clips", str(plan.rendered_clips), "--seconds", f"{plan.rendered_seconds:g}", "--size", "384")
    render: Command = ("phantom", rendered, "--scene", "colon", *options, "--seed", str(plan.seed))
    shown = Place(path=rendered.path / "clips", shown="rendered/clips")
    yield from over_time("rendered", ("evaluate", "--video", shown, "--weights", model), shell(render), render)
    if whole:
        for presence in PRESENCES:
            command = (*score, "--presence", presence)
            yield Measurement(name=f"presence-{presence}", commands=(command,), data=digest, trim=trim_totals)
        yield Measurement(name="flips", commands=((*score, "--tta", "flips"),), data=digest, trim=trim_totals)
    if plan.speed:
        timed: Command = ("benchmark", "inference", "--sizes", "720p", "--weights", model, "--json")
        yield Measurement(name="speed", commands=(timed,), data="", trim=trim_speed)


def over_time(name: str, command: Command, data: str, render: Command | None = None) -> Iterator[Measurement]:
    """Yield a measurement over clips, and the same with spoiled frames."""
    after = None
    if render is not None:
        place = render[1]
        assert isinstance(place, Place)
        after = (place.path, render)
    for ending, more in (("", ()), ("-spoiled", ("--spoil", SPOIL[name]))):
        commands = ((*command, *more, "--json"),)
        yield Measurement(name=name + ending, commands=commands, data=data, trim=trim_video, after=after)


def run_all(one: Measurement) -> dict[str, Any]:
    """Run the commands of a measurement and return what is kept; raises EndosegError where one fails."""
    if one.after is not None and not one.after[0].exists():
        run(one.after[1])
    return one.trim([json.loads(run(command)) for command in one.commands])


def run(command: Command) -> str:
    """Run a command of endoseg and return what it prints; a damaged video is no failure. Raises EndosegError."""
    words = [str(word.path) if isinstance(word, Place) else word for word in command]
    done = subprocess.run([sys.executable, "-m", "endoseg_cli", *words], stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, DAMAGED_EXIT_CODE):
        message = f"{shell(command)} ended with {done.returncode}"
        raise EndosegError(message, hint="what it says stands above; what is measured so far is kept")
    return done.stdout


def shell(command: Command) -> str:
    """Return a command as one would type it, beside the files."""
    return shlex.join(["endoseg", *(word.shown if isinstance(word, Place) else word for word in command)])


def is_measured(path: Path, model: str, commands: Sequence[str], data: str) -> bool:
    """Say whether a file holds this measurement of this model on these data."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return bool((found["model"], found["commands"], found["data"]) == (model, list(commands), data))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def head(weights: Path) -> dict[str, Any]:
    """Return what stands in every file: the model file, the day, and the machine."""
    import torch

    from endoseg_cli.benchmark.machine import describe_machine

    return {
        "weights_sha256": digest_file(weights),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe_machine(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
    }


def digest_folder(folder: Path) -> str:
    """Return one digest of all frames and masks; raises EndosegError where they are not as they should be."""
    from endoseg_cli.data.labels.layout import find_labeled
    from endoseg_cli.evaluation.report.provenance import digest_records

    return digest_records(find_labeled(folder))


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file; raises MissingInputError."""
    if not path.is_file():
        raise MissingInputError(f"no such file: {path}", hint="give --clip NAME=VIDEO")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_frames(table: Path) -> dict[str, Any]:
    """Return scores of single frames in the order of their names, which are left out.

    A frame is `hit` where the mask and the truth overlap.
    """
    with table.open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["name"])
    present = "".join(row["present"] for row in rows)
    hit = "".join(str(int(int(row["tp"]) > 0)) for row in rows)
    return {"dice": [round(float(row["dice"]), 4) for row in rows], "present": present, "hit": hit}


def trim_model(printed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Keep what a model is."""
    (info,) = printed
    keys = ("name", "bytes", "parameters", "architecture", "networks", "input_size", "mean", "std", "corrective")
    return {key: info.get(key) for key in keys} | {
        "field_of_view": info.get("field_of_view", "off"),
        "presence": info.get("presence", 0.0),
    }


def trim_stills(printed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Keep the scores on stills: of both networks, of each, by size of the lesion."""
    (report,) = printed
    return {
        **trim_totals(printed),
        "networks": [totals(summary) for summary in report["networks"]],
        "sizes": {size: totals(summary) for size, summary in report["sizes"].items()},
        "size_bounds": report["config"]["size_bounds"],
        "auroc": report["calibration"]["auroc"],
    }


def trim_totals(printed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Keep the scores over all stills, and the settings behind them."""
    (report,) = printed
    settings = {"threshold": report["config"]["threshold"]} | {
        key: report["provenance"][key] for key in ("presence", "tta", "device")
    }
    return {**settings, "both": totals(report["summary"])}


def totals(summary: dict[str, Any]) -> dict[str, Any]:
    """Keep of a summary of frames what the card shows."""
    counts = ("frames", "frames_with_lesion", "empty_frames", "empty_frames_kept", "image_level")
    measures = ("dice", "dice_with_lesion", "sensitivity", "specificity")
    return {key: summary[key] for key in (*counts, *measures)}


def trim_video(printed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Keep the scores over time, without those of single clips."""
    (report,) = printed
    return {"clips": len(report["clips"]), "methods": {one["method"]: one for one in report["methods"]}}


def trim_segment(printed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Keep on how many frames something is drawn, without and with refinement."""
    kept = {}
    for mode, report in zip(("off", "flagged"), printed, strict=True):
        (video,) = report["results"]
        kept[mode] = {key: video[key] for key in ("predicted_frames", "lesion_frames")}
    return kept


def trim_speed(printed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Keep how fast whole runs are."""
    (report,) = printed
    (video,) = report["videos"]
    rates = {
        mode.removeprefix("refine "): {key: ran[key] for key in ("frames_per_second", "spread")}
        for mode, ran in video["segment"].items()
    }
    settings = {key: report["settings"][key] for key in ("runtime", "precision")}
    return {**settings, "width": video["width"], "height": video["height"], "rates": rates}


def rounded(value: Any) -> Any:
    """Round all that is a fraction."""
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, dict):
        return {key: rounded(member) for key, member in value.items()}
    return [rounded(member) for member in value] if isinstance(value, list) else value
