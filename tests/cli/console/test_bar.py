from __future__ import annotations

import pytest

from endoseg_cli.cli.console.bar import passing_bar


def test_nothing_is_written_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with passing_bar() as bar:
        bar.advance(bar.add_task("reading", total=2))
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_the_bar_is_seen_and_gone_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TERM": "xterm", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    with passing_bar() as bar:
        bar.advance(bar.add_task("reading", total=2))
    out, err = capsys.readouterr()
    assert not out and "reading" in err and err.endswith("\x1b[2K")
