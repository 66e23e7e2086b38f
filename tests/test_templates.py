"""Pages come from templates: none of their code is in Python, and what they are given is escaped and complete."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

import endoseg_cli
from endoseg_cli.templates import page_template

PACKAGE = Path(endoseg_cli.__file__).parent
TAGS = "html|head|body|main|section|div|span|p|a|b|br|h[1-6]|table|t[rdh]|img|figure|script|style|svg"
MARKUP = re.compile(rf"</?({TAGS})\b[^<]*>")


def test_no_page_is_made_of_strings() -> None:
    found = [
        f"{file.relative_to(PACKAGE)}:{node.lineno}: {node.value[:60]!r}"
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and MARKUP.search(node.value)
    ]
    assert not found


@pytest.mark.parametrize(("room", "name"), [("pages", "video.html"), ("evaluation.report", "report.html")])
def test_a_page_that_lacks_something_is_an_error(room: str, name: str) -> None:
    with pytest.raises(UndefinedError):
        page_template(room, name).render()


def test_what_is_given_is_escaped_and_bytes_are_addresses() -> None:
    environment = page_template("pages", "video.html").environment
    shown = environment.from_string("{{ text }} {{ data | data_url('image/png') }}").render(
        text="<b>'\"&", data=b"\0\1"
    )
    assert shown == "&lt;b&gt;&#39;&#34;&amp; data:image/png;base64,AAE="
