"""Pages from Jinja2's templates, which lie in `templates/` of the room that fills them; nothing else makes HTML."""

from __future__ import annotations

import base64
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def page_template(room: str, name: str) -> Template:
    """Return a template of a room (as `evaluation.report`), which escapes what it is given and misses nothing quietly.

    Its filter `data_url` puts bytes of a kind (as `image/png`) into the page.
    """
    environment = Environment(
        loader=PackageLoader(f"endoseg_cli.{room}"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_url"] = _data_url
    return environment.get_template(name)


def page_text(room: str, name: str) -> str:
    """Return a file that lies beside a room's templates as it is: a style or a script."""
    return files(f"endoseg_cli.{room}").joinpath("templates", name).read_text(encoding="utf-8")


def _data_url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
