"""What `model_card.py write` makes of results: the card, the figures in README.md, the scores in the model file."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from compare_methods import interval
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from model_card_measure import PRESENCES

from endoseg_cli.errors import InputError, MissingInputError, UsageError
from endoseg_cli.part_file import write_whole

SHARED = ("model", "stills", "clips", "clips-spoiled", "rendered", "rendered-spoiled")
"""Measurements of both models."""
OF_THE_NEW = (*SHARED, *(f"presence-{presence}" for presence in PRESENCES), "flips")
VIDEO_SETS = {"clips": "C4", "clips-spoiled": "C4, spoiled", "rendered": "colon", "rendered-spoiled": "colon, spoiled"}
"""Columns of the table over time."""
METHODS = {"as predicted": "as predicted", "refined, flagged": "`--refine flagged`", "refined, all": "`--refine all`"}
BEGIN = "<!-- polyp-lite's figures: written by examples/model_card.py -->"
END = "<!-- end of polyp-lite's figures -->"
UNFINISHED = "TODO"

Entries = dict[str, dict[str, Any]]
"""What stands in the result files, by their names without the ending."""


@dataclass(frozen=True, kw_only=True)
class Texts:
    """What the card says that was not measured by the script, in Markdown, without final full stops where short."""

    title: str
    """Name of the model."""
    summary: str
    """What it does, in a sentence."""
    stills: str
    """What the stills are, to be followed by their number."""
    stills_are_new: str
    """In what the stills are new to the model, and what they chose nevertheless; a sentence."""
    before: str
    """What the model before was, a few words; its size and presence are added."""
    architecture: str
    """What info does not tell of the architecture."""
    use: str
    """What it is for, and what not."""
    learned_from: str
    """Data sets, with citations and licences."""
    training: str
    """Stages, steps, choices."""
    corrective: str
    """How the corrective network was trained, and where it was measured before."""
    outside: str
    """What others measured, and of which version."""
    did_not_help: str
    """What was tried in vain."""
    licence: str
    """Terms."""
    training_runs: int
    """How many runs stand behind the figures."""
    clips: dict[str, str] = field(default_factory=dict)
    """What the clips show, by their names."""


def write(results: Path, training: Path, out: Path, readme: Path | None, scores: Path | None) -> None:
    """Write the card, the marked block of `readme`, and the scores; nothing if anything is missing.

    Raises EndosegError: MissingInputError for a result that is not there, InputError for results of another model,
    UsageError for a text that is missing, unknown or unfinished.
    """
    context = facts(results, read_texts(training))
    written = {out: render("model_card.md.j2", context)}
    if readme is not None:
        written[readme] = with_block(readme, render("model_card_readme.md.j2", context))
    if scores is not None:
        written[scores] = yaml.safe_dump({"scores": score_card(context)}, sort_keys=False, allow_unicode=True)
    for path, text in written.items():
        write_whole(path, text)


def facts(results: Path, texts: Texts) -> dict[str, Any]:
    """Return what the templates are filled with."""
    new = read_results(results, OF_THE_NEW)
    before = read_results(results / "before", SHARED) if (results / "before").is_dir() else None
    if before is not None:
        for name in sorted(new.keys() & before.keys() - {"model"}):
            if (before[name]["data"], normal(before[name])) != (new[name]["data"], normal(new[name])):
                message = f"{results / 'before' / name}.json was measured on other data or by another command"
                raise InputError(message, hint="run measure again, with both models")
    return {
        "texts": texts,
        "entries": new,
        "new": plain(new),
        "before": None if before is None else plain(before),
        "hits": new["stills"]["result"]["frames"]["hit"].count("1"),
        "dice_range": lesion_range(new["stills"]["result"]["frames"]),
        "columns": columns(new, before),
        "difference": None if before is None else difference(new["stills"], before["stills"]),
        "presences": presences(new),
        "video": over_time(new),
        "video_before": None if before is None else over_time(before),
        "video_sets": VIDEO_SETS,
        "clips": sorted(name.removeprefix("clip-") for name in new if name.startswith("clip-")),
        "machines": machines([*new.values(), *(before or {}).values()]),
        "dates": dates([*new.values(), *(before or {}).values()]),
    }


def read_texts(path: Path) -> Texts:
    """Read the TOML file; raises MissingInputError, InputError, UsageError."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingInputError(f"no such file: {path}", hint="give --training FILE.toml") from error
    except ValueError as error:
        raise InputError(f"{path} is not TOML: {error}", hint="mend it") from error
    known = {one.name: one for one in fields(Texts)}
    if unknown := sorted(set(found) - set(known)):
        raise UsageError(f"{path} has {unknown[0]}, which the card does not show", hint=f"it shows {', '.join(known)}")
    for name in known:
        if name not in found and name != "clips":
            raise UsageError(f"{path} lacks {name}", hint="add it")
        if UNFINISHED in str(found.get(name)):
            raise UsageError(f"{path}: {name} is unfinished, it says {UNFINISHED}", hint="finish it")
    return Texts(**{key: value.strip() if isinstance(value, str) else value for key, value in found.items()})


def read_results(folder: Path, names: tuple[str, ...]) -> Entries:
    """Return the results of a folder, all of one model; raises MissingInputError, InputError."""
    for name in names:
        if not (folder / f"{name}.json").is_file():
            hint = f"python examples/model_card.py measure --only {name} ..."
            raise MissingInputError(f"no result {folder / name}.json", hint=hint)
    entries: Entries = {}
    for path in sorted(folder.glob("*.json")):
        try:
            entries[path.stem] = json.loads(path.read_text(encoding="utf-8"))
            model = entries[path.stem]["model"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is not a result of measure", hint="remove it, and measure again") from error
        if model != entries.get("model", entries[path.stem])["model"]:
            raise InputError(f"{path} and model.json are of two models", hint="run measure again")
    if len({entry["model"] for entry in entries.values()}) > 1:
        raise InputError(f"results of several models in {folder}", hint="run measure again")
    return entries


def plain(entries: Entries) -> dict[str, Any]:
    """Return the results alone."""
    return {name: entry["result"] for name, entry in entries.items()}


def normal(entry: dict[str, Any]) -> list[str]:
    """Return the commands of a result, whichever model they name."""
    return [re.sub(r"\b(model|before)\.safetensors", "MODEL", command) for command in entry["commands"]]


def columns(new: Entries, before: Entries | None) -> list[tuple[str, dict[str, Any]]]:
    """Return titles and scores of the table on stills."""
    found = new["stills"]["result"]
    single = enumerate(found["networks"], start=1)
    shown = [("both networks", found["both"]), *((f"network {number}", one) for number, one in single)]
    return shown if before is None else [*shown, ("before", before["stills"]["result"]["both"])]


def lesion_range(frames: dict[str, Any]) -> tuple[float, float]:
    """Return a 95 % interval of the mean Dice of frames with a lesion."""
    values = [dice for dice, flag in zip(frames["dice"], frames["present"], strict=True) if flag == "1"]
    return interval(np.array([values]))


def difference(new: dict[str, Any], before: dict[str, Any]) -> dict[str, tuple[float, float, float]]:
    """Return how much Dice rose, with a 95 % interval over frames: of all frames, and of those with a lesion."""
    frames = new["result"]["frames"]
    rise = np.array(frames["dice"]) - np.array(before["result"]["frames"]["dice"])
    present = np.array([flag == "1" for flag in frames["present"]])
    parts = {"all": rise, "lesions": rise[present]}
    return {name: (float(part.mean()), *interval(part[None])) for name, part in parts.items() if part.size}


def presences(new: Entries) -> list[tuple[float, dict[str, Any], bool]]:
    """Return each presence that was tried, its scores, and whether it is the model's own, in rising order."""
    own = new["stills"]["result"]
    tried = [(new[f"presence-{presence}"]["result"], False) for presence in PRESENCES]
    tried = [(one, False) for one, _ in tried if one["presence"] != own["presence"]] + [(own, True)]
    return sorted(((one["presence"], one["both"], is_own) for one, is_own in tried), key=lambda row: row[0])


def over_time(entries: Entries) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return a row for each method: its title, and its summary on each set."""
    sets = [entries[name]["result"]["methods"] for name in VIDEO_SETS]
    return [(title, [one[method] for one in sets]) for method, title in METHODS.items() if method in sets[0]]


def machines(entries: list[dict[str, Any]]) -> list[str]:
    """Return what was measured on, each kind once."""
    kinds = {}
    for machine in (entry["machine"] for entry in entries):
        packages = ", ".join(f"{name} {machine['packages'][name]}" for name in ("torch", "opencv"))
        device = machine["device_name"] or f"threads: {machine['threads']}, cores: {machine['usable_cores']}"
        kinds[f"{machine['processor']} ({device}; endoseg {machine['endoseg']}, {packages})"] = None
    return list(kinds)


def dates(entries: list[dict[str, Any]]) -> str:
    """Return the day, or the first and the last one."""
    days = sorted(entry["date"] for entry in entries)
    return days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def score_card(context: dict[str, Any]) -> dict[str, Any]:
    """Return the scores that the model file holds itself."""
    stills, texts = context["new"]["stills"], context["texts"]
    both = stills["both"]
    what = f"{texts.stills}: {both['frames']} stills, {both['empty_frames']} without a lesion"
    return {
        "data": f"{what}; threshold {stills['threshold']:g}, presence {stills['presence']:g}. {texts.stills_are_new}",
        "dice_mean": round(both["dice"]["mean"], 3),
        "dice_std_over_frames": round(both["dice"]["std"], 3),
        "dice_on_frames_with_polyp": round(both["dice_with_lesion"]["mean"], 3),
        "empty_frames_kept_empty": f"{both['empty_frames_kept']} of {both['empty_frames']}",
        "sensitivity": round(both["sensitivity"]["mean"], 3),
        "specificity": round(both["specificity"]["mean"], 3),
        "image_level_f1": round(both["image_level"]["f1"], 3),
        "training_runs": texts.training_runs,
    }


def with_block(readme: Path, block: str) -> str:
    """Return the text of `readme` with the block between its two comments; raises InputError without them."""
    text = readme.read_text(encoding="utf-8")
    found = re.compile(f"({re.escape(BEGIN)}\n).*?({re.escape(END)})", re.DOTALL)
    if len(found.findall(text)) != 1:
        raise InputError(f"{readme} has no place for the figures", hint=f"write {BEGIN} and {END} around it")
    return found.sub(lambda match: match[1] + block.strip() + "\n" + match[2], text)


def render(name: str, context: dict[str, Any]) -> str:
    """Fill a template that lies beside this script."""
    # Markdown: what stands in it is text of this project and figures, and must not be escaped as HTML
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"score": score, "spread": spread, "points": points, "rise": rise}
    return re.sub(r"\n{3,}", "\n\n", environment.get_template(name).render(context))


def score(value: float | None) -> str:
    """Show a score, or that there is none."""
    return "-" if value is None else f"{value:.3f}"


def spread(value: dict[str, float | None]) -> str:
    """Show a mean and its standard deviation."""
    return score(value["mean"]) if value["std"] is None else f"{score(value['mean'])} ± {score(value['std'])}"


def points(value: float) -> str:
    """Show a difference of scores in points."""
    return f"{100 * value:+.1f}"


def rise(value: tuple[float, float, float]) -> str:
    """Show a difference with its interval."""
    mean, low, high = value
    return f"{points(mean)} points ({points(low)} to {points(high)})"
