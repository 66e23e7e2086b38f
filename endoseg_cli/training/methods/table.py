"""All methods by name; a new one is a file beside this one and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from endoseg_cli.errors import UsageError
from endoseg_cli.training.methods import cps, endo_semis, fixmatch, mean_teacher, supervised, unimatch
from endoseg_cli.training.methods.method import Method

METHODS: Mapping[str, type[Method]] = {
    "supervised": supervised.Supervised,
    "mean-teacher": mean_teacher.MeanTeacher,
    "fixmatch": fixmatch.FixMatch,
    "unimatch": unimatch.UniMatch,
    "cps": cps.CrossPseudoSupervision,
    "endo-semis": endo_semis.EndoSemiS,
}
"""What --method takes."""


def find_method(name: str) -> type[Method]:
    """Return a method by name; raises UsageError for one that is not known."""
    if name not in METHODS:
        raise UsageError(f"--method must be {' or '.join(METHODS)}, found {name}")
    return METHODS[name]


def method_settings(name: str) -> dict[str, Any]:
    """Return what `--method` sets besides the method itself; raises UsageError for one that is not known."""
    return {"method": name, **find_method(name).settings}


def idle_options(name: str) -> set[str]:
    """Return the settings that count in other methods, but not in this one."""
    of_some = {option for method in METHODS.values() for option in method.options}
    return of_some - find_method(name).options
