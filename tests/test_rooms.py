"""The table of rooms in CONTRIBUTING.md, held against what the modules import."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import endoseg_cli

PACKAGE = Path(endoseg_cli.__file__).parent
TABLE = Path(__file__).resolve().parent.parent / "CONTRIBUTING.md"
FOR_ALL = {"errors", "part_file", "locks", "process"}
MOST_FILES = 14


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts)


def room_of(module: str) -> str:
    """Return the room of a module, itself where it lies at the top."""
    return module.rpartition(".")[0] or module


@cache
def arrows() -> dict[str, dict[str, str]]:
    """Return for every room the rooms that it imports, and one module that does."""
    files = {module_of(file): file for file in PACKAGE.rglob("*.py") if not file.name.startswith("__")}
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for module, file in files.items():
        found[room_of(module)].update({})
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("endoseg_cli"):
                continue
            base = (node.module or "").removeprefix("endoseg_cli").removeprefix(".")
            names = [base] if base in files else [f"{base}.{alias.name}".removeprefix(".") for alias in node.names]
            for name in names:
                if name in files and room_of(name) != room_of(module):
                    found[room_of(module)][room_of(name)] = module
    return found


def table() -> dict[str, list[str]]:
    """Return the rooms of the table in its order, each with what it may import."""
    rows = re.findall(r"^\| `([\w.]+?)(?:\.py)?` \|[^|]*\|([^|]*)\|$", TABLE.read_text(), flags=re.MULTILINE)
    return {room: [name.strip() for name in allowed.split(",") if name.strip()] for room, allowed in rows}


def test_every_room_is_in_the_table_and_every_row_is_a_room() -> None:
    assert set(table()) == set(arrows()) - FOR_ALL


def test_rooms_import_what_the_table_allows() -> None:
    rows = table()
    wrong = [
        f"{module} imports {target}"
        for room, targets in arrows().items()
        for target, module in targets.items()
        if target not in FOR_ALL
        and target not in rows.get(room, FOR_ALL)
        and not (target.split(".")[0] != room.split(".")[0] and target.split(".")[0] in rows.get(room, ()))
    ]
    assert not wrong


def test_the_table_allows_nothing_that_no_room_needs() -> None:
    needed = {room: {*targets, *(target.split(".")[0] for target in targets)} for room, targets in arrows().items()}
    assert not [f"{room}: {name}" for room, names in table().items() for name in names if name not in needed[room]]


def test_imports_go_down_the_table() -> None:
    place = {room: number for number, room in enumerate(table())}
    wrong = [
        f"{module} imports {target}"
        for room, targets in arrows().items()
        for target, module in targets.items()
        if target in place and place[target] < place[room]
    ]
    assert not wrong


def test_rooms_are_small_and_say_what_lives_in_them() -> None:
    rooms = Counter(file.parent for file in PACKAGE.rglob("*.py") if not file.name.startswith("__"))
    assert not {str(room): count for room, count in rooms.items() if count > MOST_FILES}
    for room in set(rooms) - {PACKAGE}:
        assert len(ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or "") > 40, room
