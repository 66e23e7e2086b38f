from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from endoseg_cli.cli.options.groups import grouped
from endoseg_cli.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Size:
    width: Annotated[int, typer.Option("--width", "-w", help="Wide.")]
    height: Annotated[int, typer.Option(help="High.")] = 3

    def __post_init__(self) -> None:
        if self.width < 1:
            raise UsageError(f"--width must be at least 1, found {self.width}")


@dataclass(frozen=True, kw_only=True)
class TallSize(Size):
    depth: Annotated[int, typer.Option(help="Deep.")] = 5


@grouped
def measure(
    context: typer.Context, names: Annotated[list[str], typer.Argument()], size: TallSize, loud: bool = False
) -> None:
    """Measure things."""
    given = sorted(
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) is not None and source.name == "COMMANDLINE"
    )
    typer.echo(f"{names} {size} {loud} {given}")


app = typer.Typer()
app.command()(measure)


def test_fields_of_a_group_are_options_of_the_command() -> None:
    result = CliRunner().invoke(app, ["a", "b", "-w", "2", "--depth", "7"])
    assert result.exit_code == 0, result.output
    assert result.output.strip() == (
        "['a', 'b'] TallSize(width=2, height=3, depth=7) False ['depth', 'names', 'width']"
    )


def test_help_and_signature_show_them() -> None:
    assert list(inspect.signature(measure).parameters) == ["context", "names", "width", "height", "depth", "loud"]
    assert measure.__doc__ == "Measure things."
    output = CliRunner().invoke(app, ["--help"]).output
    assert "Measure things." in output and "--depth" in output and "Deep." in output


def test_a_field_without_a_default_is_required_and_a_group_may_refuse() -> None:
    assert CliRunner().invoke(app, ["a"]).exit_code == 2
    result = CliRunner().invoke(app, ["a", "-w", "0"])
    with pytest.raises(UsageError, match="--width must be at least 1, found 0"):
        raise result.exception or AssertionError
