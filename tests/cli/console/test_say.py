"""Whatever names hold, a message is one line, and only one module of the command line prints."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

import endoseg_cli.cli
from endoseg_cli.cli.console.say import one_line, print_path, safe_lines, say
from endoseg_cli.cli.console.tables import print_tables
from endoseg_cli.evaluation.report.tables import Table

CLI = Path(endoseg_cli.cli.__file__).parent


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Fall  3 Ä 内視鏡 \U0001f44d\u200d.mp4", "Fall  3 Ä 内視鏡 \U0001f44d\u200d.mp4"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[2Ja\x07\x7f\x85", r"\x1b[2Ja\x07\x7f\x85"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("it's \\ \udcff", "it's \\ \udcff"),
    ],
)
def test_only_what_steers_a_terminal_is_escaped(text: str, line: str) -> None:
    assert one_line(text) == line


def test_lines_stay_where_they_are_meant() -> None:
    assert safe_lines("a\n\x1b[1mb") == "a\n\\x1b[1mb"


def test_a_label_stands_before_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\nb", label="note: ")
    assert capsys.readouterr() == ("", "note: a\\nb\n")


def test_a_program_gets_a_path_as_it_is_and_a_person_on_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "a\n\x1b[31mb.mp4"
    print_path(Path(name))
    assert capsys.readouterr().out == f"{name}\n"

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    print_path(Path(name))
    assert terminal.getvalue() == "a\\n\\x1b[31mb.mp4\n"


def test_a_table_keeps_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("p\n1", "[red]p2")
    print_tables([Table(title="[b]t\x1b", columns=("name", "n"), rows=tuple((name, "1") for name in names), note="x")])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [r"p\n1", "1"] in lines and ["[red]p2", "1"] in lines and [r"[b]t\x1b"] in lines


def test_nothing_else_of_the_command_line_prints_text() -> None:
    """Results in JSON, which escapes, and the version are the exceptions."""
    found = {
        f"{path.relative_to(CLI)}: {line.strip()}"
        for path in CLI.rglob("*.py")
        if path.name != "say.py"
        for line in path.read_text().splitlines()
        if re.search(r"typer\.s?echo|(?<![.\w])print\(", line)
        and "json.dumps" not in line
        and "__version__" not in line
    }
    assert found == set()
