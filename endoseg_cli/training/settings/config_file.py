"""Settings as YAML: read with every key checked, written resolved into the run folder."""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from endoseg_cli.data.sets.sources import SourcesConfig
from endoseg_cli.errors import MissingInputError, UsageError, folded
from endoseg_cli.part_file import write_whole
from endoseg_cli.training.settings.config import TrainConfig

SECTIONS: dict[str, type] = {"data": SourcesConfig, "training": TrainConfig}
"""What a config file may set, by section."""
RECORD = "record"
"""Section of a run's config.yaml that says what happened; it sets nothing, so reading skips it."""
FORMAT, FORMAT_KEY = 2, "config_format"
"""Version of the settings' meaning, which a run's record says; without it the run is of version 1."""
BEFORE_FORMAT_2: dict[str, Any] = {
    "method": "endo-semis",
    "certainty": "own",
    "settle_over": "learned",
    "mutual_form": {"on": "logits", "low_level": 0.5, "bottleneck": "paper"},
    "augment": {"strong": {"at_least": 0}},
}
"""What settings that came with version 2 stood at before; a run of version 1 recorded every other one."""
Config = TypeVar("Config")
Settings = dict[str, Any]


class _PlainLoader(yaml.SafeLoader):
    """Reads plain values only; aliases, with which a short file can stand for gigabytes, are refused."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it uses aliases (*name), which a config file does not need")
        return super().compose_node(parent, index)


def read_config(path: Path, sections: Mapping[str, type] = SECTIONS) -> dict[str, Settings]:
    """Return the settings of a YAML file by section, as plain values; a run's own config.yaml is such a file.

    Raises MissingInputError if there is none, UsageError for text that is not YAML, or a key that is not known (with
    the nearest one that is).
    """
    if not path.is_file():
        raise MissingInputError(f"no config file at {path}", hint="check the path")
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader) or {}
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"{path} is not YAML: {folded(error)}") from error
    _check_mapping(found, "", path)
    _check_keys(found, [*sections, RECORD], "", path)
    for name, kind in sections.items():
        _check_section(kind, found.get(name) or {}, f"{name}.", path)
    settings = {name: dict(found.get(name) or {}) for name in sections}
    return _with_old_meaning(settings, found.get(RECORD))


def _with_old_meaning(settings: dict[str, Settings], record: Any) -> dict[str, Settings]:
    """Return the settings of a run of an older format with what settings that it did not have yet stood at then."""
    is_run = isinstance(record, Mapping) and "training" in settings
    if not is_run or record.get(FORMAT_KEY, 1) >= FORMAT:
        return settings
    return {**settings, "training": merge_settings(BEFORE_FORMAT_2, settings["training"])}


def merge_settings(first: Mapping[str, Any], second: Mapping[str, Any]) -> Settings:
    """Return both, section by section; where both say something, the second one's word counts."""
    merged = dict(first)
    for name, value in second.items():
        before = merged.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[name] = merge_settings(before, value) if both else value  # type: ignore[arg-type]
    return merged


def build_config(kind: type[Config], settings: Mapping[str, Any], where: str) -> Config:
    """Return a config dataclass from plain values, lists as tuples and texts as paths where the fields say so.

    Raises UsageError, naming the key, for a value of the wrong type or out of range.
    """
    hints = get_type_hints(kind)
    return kind(**{name: _convert(hints[name], value, f"{where}{name}") for name, value in settings.items()})


def write_config(path: Path, sources: SourcesConfig, config: TrainConfig, record: Mapping[str, Any]) -> None:
    """Write resolved settings, and what the run is made of, so that `read_config` reads the settings back."""
    write_sections(path, {"data": dataclasses.asdict(sources), "training": dataclasses.asdict(config)}, record)


def write_sections(path: Path, sections: Mapping[str, Settings], record: Mapping[str, Any]) -> None:
    """Write the sections of a config file and the record; raises OutputError when the disk does not take it."""
    dated = {FORMAT_KEY: FORMAT, **record}
    resolved = {**{name: plain(settings) for name, settings in sections.items()}, RECORD: plain(dated)}
    write_whole(path, yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True), durable=True)


def read_record(path: Path) -> Settings:
    """Return the record section of a run's config.yaml."""
    found = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)
    record: Settings = found.get(RECORD) or {}
    return record


def plain(value: Any) -> Any:
    """Turn mappings, tuples and paths into what YAML knows."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _check_section(kind: type, found: Any, where: str, path: Path) -> None:
    _check_mapping(found, where, path)
    _check_keys(found, [field.name for field in dataclasses.fields(kind)], where, path)
    hints = get_type_hints(kind)
    for name, value in found.items():
        if dataclasses.is_dataclass(hints[name]):
            _check_section(hints[name], value, f"{where}{name}.", path)


def _check_mapping(found: Any, where: str, path: Path) -> None:
    if not isinstance(found, dict):
        raise UsageError(f"{path}: expected keys and values{f' in {where[:-1]}' if where else ''}, found {found!r}")


def _check_keys(found: Mapping[Any, Any], known: list[str], where: str, path: Path) -> None:
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"did you mean {where}{near[0]}?" if near else f"known are {', '.join(known)}"
            raise UsageError(f"{path}: the setting {where}{key} is not known", hint=hint)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        return _convert(next(option for option in get_args(hint) if option is not type(None)), value, where)
    if origin is Literal:
        return _checked(value, value in get_args(hint), where, " or ".join(map(str, get_args(hint))))
    if origin is tuple:
        _checked(value, isinstance(value, list | tuple), where, "a list")
        return tuple(_convert(get_args(hint)[0], item, where) for item in value)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else build_config(hint, value, f"{where}.")
    return _convert_plain(hint, value, where)


def _convert_plain(hint: Any, value: Any, where: str) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is Path:
        return Path(_checked(value, isinstance(value, str | Path), where, "a path"))
    if hint is float:
        return float(_checked(value, is_number, where, "a number"))
    if hint is int:
        return _checked(value, is_number and isinstance(value, int), where, "a whole number")
    kinds = {bool: "true or false", str: "a text"}
    return _checked(value, isinstance(value, hint), where, kinds[hint])


def _checked(value: Any, fits: bool, where: str, expected: str) -> Any:
    if not fits:
        raise UsageError(f"{where}: expected {expected}, found {value!r}")
    return value
