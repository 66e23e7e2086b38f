"""What is wrong with a command line, in endoseg's own words: the option, what was expected, what was found."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import typer

from endoseg_cli.errors import UsageError

OTHER_NAMES = {
    "predict": "segment",
    "infer": "segment",
    "inference": "segment",
    "run": "segment",
    "detect": "segment",
    "fit": "train",
    "finetune": "train",
    "fine-tune": "train",
    "resume": "train",
    "test": "evaluate",
    "eval": "evaluate",
    "validate": "evaluate",
    "score": "evaluate",
    "download": "download-weights",
    "convert": "import-weights",
    "onnx": "export",
    "version": "--version",
    "help": "--help",
}
"""What people call the commands, from other tools."""
ClickError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""The base of the errors that typer raises for a command line; where it lives differs by its release."""
_CHOICES = re.compile(r"is not one of (.+?)\.?$")
_CLOCK = re.compile(r"(?:(?:([0-9]{1,9}):)?([0-9]{1,9}):)?([0-9]{1,9}(?:\.[0-9]*)?|\.[0-9]+)")
MOST_SHOWN = 60
"""Letters of a wrong value that are shown."""
_QUOTED = re.compile(r"'([^']+)'")


def own_words(error: Any, arguments: Sequence[str], commands: Sequence[str]) -> UsageError:
    """Return the error for a command line that typer does not take."""
    message = str(getattr(error, "message", None) or error)
    hint = f"{_path(error)} --help lists what there is"
    if found := re.search(r"No such command ['\"](.+?)['\"]", message):
        return _no_command(found[1], commands)
    if wrong := getattr(error, "option_name", None) if "such option" in message else None:
        near = difflib.get_close_matches(wrong, getattr(error, "possibilities", None) or [], n=1)
        return UsageError(f"{_path(error)} has no option {wrong}", hint=f"did you mean {near[0]}?" if near else hint)
    if "missing" in message.lower() and (name := _argument(error)):
        return UsageError(f"{_path(error)}: expected {name}, found none", hint=hint)
    option = _option(error)
    value = None if option is None else _value(option, arguments)
    if option is None or value is None:
        return UsageError(_sentence(message), hint=hint)
    if choices := _CHOICES.search(message):
        return _no_choice(option, value, _QUOTED.findall(choices[1]))
    if "number" in message or "integer" in message or "float" in message:
        return _no_number(option, value, is_whole="integer" in message)
    return UsageError(f"{option} {value}: {_sentence(message)}", hint=hint)


def check_not_empty(arguments: Sequence[str]) -> None:
    """Raise UsageError for an option that is given an empty text, which as a path would be the working directory."""
    for option, value in zip_longest(arguments, arguments[1:]):
        name, equals, rest = option.partition("=")
        if name.startswith("--") and ((equals and not rest) or (not equals and value == "")):
            raise UsageError(f"{name} is empty", hint="check the shell variable that it came from")


def parse_clock(option: str, text: str | None) -> float | None:
    """Return seconds of 75, .5, 75.5, 1:15 or 00:01:15.5; raises UsageError for anything else."""
    if text is None:
        return None
    match = _CLOCK.fullmatch(text.strip())
    if match is None or (match[2] and float(match[3]) >= 60) or (match[1] and int(match[2]) >= 60):
        hint = "such as 75, .5, 1:15 or 0:01:15.5"
        if "," in text and _CLOCK.fullmatch(text.strip().replace(",", ".")):
            hint = f"write {text.strip().replace(',', '.')}"
        found = text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
        raise UsageError(f"{option}: expected seconds, mm:ss or hh:mm:ss, found '{found}'", hint=hint)
    return int(match[1] or 0) * 3600 + int(match[2] or 0) * 60 + float(match[3])


def _no_command(name: str, commands: Sequence[str]) -> UsageError:
    meant = OTHER_NAMES.get(name.lower())
    near = difflib.get_close_matches(name, commands, n=1, cutoff=0.5)
    hint = f"did you mean endoseg {meant or near[0]}?" if meant or near else f"there are {', '.join(commands)}"
    return UsageError(f"endoseg has no command {name}", hint=hint)


def _no_choice(option: str, value: str, choices: Sequence[str]) -> UsageError:
    near = difflib.get_close_matches(value.lower(), choices, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else None
    return UsageError(f"{option}: expected {', '.join(choices[:-1])} or {choices[-1]}, found '{value}'", hint=hint)


def _no_number(option: str, value: str, *, is_whole: bool) -> UsageError:
    kind = "a whole number" if is_whole else "a number"
    hint = f"write {value.replace(',', '.')}" if re.fullmatch(r"-?\d+,\d+", value) and not is_whole else None
    return UsageError(f"{option}: expected {kind}, found '{value}'", hint=hint)


def _option(error: Any) -> str | None:
    names = getattr(getattr(error, "param", None), "opts", None) or []
    options = [name for name in names if name.startswith("-")]
    return max(options, key=len) if options else None


def _argument(error: Any) -> str | None:
    names = getattr(getattr(error, "param", None), "opts", None) or [str(getattr(error, "message", "")).split()[-1]]
    return None if any(name.startswith("-") for name in names) else names[0].upper()


def _value(option: str, arguments: Sequence[str]) -> str | None:
    """Return what an option was given last."""
    for index in reversed(range(len(arguments))):
        name, equals, rest = arguments[index].partition("=")
        if name == option and (equals or index + 1 < len(arguments)):
            return rest if equals else arguments[index + 1]
    return None


def _path(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return str(getattr(context, "command_path", "endoseg"))


def _sentence(message: str) -> str:
    plain = " ".join(message.replace("Value error, ", "").split()).rstrip(".")
    return plain[:1].lower() + plain[1:]
