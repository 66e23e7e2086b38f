"""Write CVAT for images 1.1: https://docs.cvat.ai/docs/other/xml_format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from endoseg_cli.annotations.shapes.rle import crop_runs
from endoseg_cli.annotations.writing.regions import AnnotatedFrame, Region
from endoseg_cli.annotations.writing.writer import AnnotationWriter, rounded_points
from endoseg_cli.part_file import PartFile


class CvatWriter(AnnotationWriter):
    """One XML file: polygons, or masks for regions with holes, which CVAT's polygons cannot have.

    The score is an attribute; CVAT keeps it where the task's label has a number attribute called score.
    """

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        self._file = PartFile(path)
        self._class_names = class_names
        self._frames = 0
        self._file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
        self._file.write("  <meta>\n    <task>\n      <mode>annotation</mode>\n      <labels>\n")
        for name in class_names:
            self._file.write(_label(name))
        self._file.write("      </labels>\n    </task>\n  </meta>\n")

    def write(self, frame: AnnotatedFrame) -> None:
        """Append a frame; raises OutputError."""
        height, width = frame.size
        name = _quoted(frame.name.as_posix())
        self._file.write(f'  <image id="{self._frames}" name={name} width="{width}" height="{height}">\n')
        for region in frame.regions:
            self._file.write(_shape(region, self._class_names[region.class_index]))
        self._file.write("  </image>\n")
        self._frames += 1

    def finish(self) -> None:
        """Complete the file and give it its final name."""
        self.abort()
        self._file.finish()

    def abort(self) -> None:
        """Complete the part file and leave it."""
        try:
            self._file.write("</annotations>\n")
        finally:
            self._file.close()


def _quoted(text: str) -> str:
    return quoteattr(_allowed(text))


def _allowed(text: str) -> str:
    """Return text with marks in place of what XML cannot hold: control characters, and bytes that are not UTF-8."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _label(name: str) -> str:
    attribute = (
        "<attribute><name>score</name><mutable>False</mutable><input_type>number</input_type>"
        "<default_value>0</default_value><values>0\n1\n0.0001</values></attribute>"
    )
    shown = escape(_allowed(name))
    return f"        <label><name>{shown}</name><type>any</type><attributes>{attribute}</attributes></label>\n"


def _shape(region: Region, label: str) -> str:
    kind, place = ("mask", _mask_place(region)) if region.outline.holes else ("polygon", _points(region))
    return (
        f'    <{kind} label={_quoted(label)} source="auto" occluded="0" {place} z_order="0">\n'
        f'      <attribute name="score">{region.score:.4f}</attribute>\n    </{kind}>\n'
    )


def _points(region: Region) -> str:
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in rounded_points(region.outline.outer))
    return f'points="{points}"'


def _mask_place(region: Region) -> str:
    left, top, width, height = region.box
    return f'rle="{crop_runs(region.crop)}" left="{left}" top="{top}" width="{width}" height="{height}"'
