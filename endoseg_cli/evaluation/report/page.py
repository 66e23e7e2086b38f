"""An evaluation as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.evaluation.frames.gallery import GalleryFrame
from endoseg_cli.evaluation.frames.scoring import Evaluation
from endoseg_cli.evaluation.report import plots, tables
from endoseg_cli.evaluation.report.definitions import DEFINITIONS, notes
from endoseg_cli.evaluation.report.provenance import Provenance
from endoseg_cli.evaluation.report.style import STYLE
from endoseg_cli.evaluation.report.tables import Table, number

# The policy makes the browser itself refuse anything that is not inside the file.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def html_report(evaluation: Evaluation, provenance: Provenance) -> str:
    """Return the report as one HTML document; every text in it that comes from outside is escaped."""
    title = f"Evaluation of {_model_name(provenance)}"
    body = [
        _header(title, evaluation, provenance),
        _tiles(evaluation),
        *(f'<p class="note">{escape(note)}</p>' for note in notes(evaluation)),
        *_table_sections(evaluation),
        _frames("Worst frames", evaluation.worst),
        _frames("Best frames", evaluation.best),
        _provenance(provenance),
        _definitions(),
        f"<footer>Written by endoseg {escape(provenance.endoseg_version)}. Research use; not for diagnosis.</footer>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _model_name(provenance: Provenance) -> str:
    return str(provenance.model_card.get("name", provenance.weights))


def _header(title: str, evaluation: Evaluation, provenance: Provenance) -> str:
    summary = evaluation.summary
    frames = f"{summary.frames} frames, {summary.frames_with_lesion} with lesion, {summary.empty_frames} without"
    return (
        f"<h1>{escape(title)}</h1>\n"
        f'<p class="quiet">{escape(provenance.labeled)} · {escape(provenance.split)} · {frames} · '
        f"threshold {evaluation.config.threshold:g}</p>"
    )


def _tiles(evaluation: Evaluation) -> str:
    summary = evaluation.summary
    kept = f"{summary.empty_frames_kept} / {summary.empty_frames}" if summary.empty_frames else "–"
    tiles = (
        (number(summary.dice.mean), f"mean Dice, all frames (std {number(summary.dice.std)})"),
        (number(summary.dice_with_lesion.mean), "mean Dice, frames with lesion"),
        (number(summary.sensitivity.mean), "mean sensitivity"),
        (number(summary.specificity.mean), "mean specificity"),
        (number(summary.image_level.f1), "image-level F1"),
        (kept, "empty frames kept empty"),
    )
    cells = "".join(f'<div class="tile"><b>{value}</b><span>{escape(label)}</span></div>' for value, label in tiles)
    return f'<div class="tiles">{cells}</div>'


def _table_sections(evaluation: Evaluation) -> Iterable[str]:
    pictures = {
        "Summary": (("Dice of the frames", plots.dice_histogram), ("Dice against lesion size", plots.dice_by_size)),
        "Threshold sweep": (("Scores at every threshold", plots.threshold_sweep),),
        "Error against uncertainty": (
            ("Error against uncertainty", plots.error_by_uncertainty),
            ("Reliability of the probabilities", plots.reliability),
        ),
    }
    for table in tables.all_tables(evaluation):
        figures = "".join(_figure(plot, name, evaluation) for name, plot in pictures.get(table.title, ()))
        shown = f'<div class="plots">{figures}</div>' if figures else ""
        yield f"<section>\n<h2>{escape(table.title)}</h2>\n{_table(table)}\n{shown}</section>"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    rows = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    note = f'<p class="quiet small">{escape(table.note)}</p>' if table.note else ""
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>\n{note}'


def _figure(plot: plots.Plot, name: str, evaluation: Evaluation) -> str:
    light, dark = (_data_url(plots.render(plot, evaluation, theme), "png") for theme in (plots.LIGHT, plots.DARK))
    source = f'<source srcset="{dark}" media="(prefers-color-scheme: dark)">'
    return (
        f'<figure><h3>{escape(name)}</h3><picture>{source}<img src="{light}" alt="{escape(name)}"></picture></figure>'
    )


def _frames(title: str, frames: tuple[GalleryFrame, ...]) -> str:
    if not frames:
        return ""
    legend = '<span class="truth">green: true mask</span>, <span class="prediction">magenta: prediction</span>'
    shown = "\n".join(_frame(frame) for frame in frames)
    head = f'<h2>{escape(title)}</h2>\n<p class="small">{legend}</p>'
    return f'<section>\n{head}\n<div class="frames">{shown}</div></section>'


def _frame(frame: GalleryFrame) -> str:
    score = frame.score
    name = escape(score.name)
    lesion = f"lesion {100 * score.lesion_fraction:.1f} %" if score.present else "no lesion"
    caption = f"<b>Dice {number(score.dice)}</b> · {lesion}<br>{name}"
    url = _data_url(_jpeg(frame.picture), "jpeg")
    return f'<figure><img src="{url}" alt="{name}"><figcaption>{caption}</figcaption></figure>'


def _provenance(provenance: Provenance) -> str:
    facts = {
        "Weights": provenance.weights,
        "SHA-256 of the weights": provenance.weights_sha256,
        "Network": "mean of both" if provenance.network == "both" else provenance.network,
        "Device": provenance.device,
        "Frames": f"{provenance.labeled} ({provenance.split})",
        "SHA-256 of frames and masks": provenance.data_sha256,
    }
    card = {key.replace("_", " "): value for key, value in provenance.model_card.items()}
    shown = f"<h2>Model and data</h2>\n{_facts(facts)}\n<h3>Model card</h3>\n{_facts(card)}"
    return f"<section>\n{shown}</section>"


def _facts(facts: Mapping[str, Any]) -> str:
    rows = "\n".join(f"<tr><td>{escape(key)}</td><td>{_value(value)}</td></tr>" for key, value in facts.items())
    return f'<table class="facts small"><tbody>{rows}</tbody></table>'


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "<br>".join(f"{escape(str(key))}: {_value(member)}" for key, member in value.items()) or "–"
    if isinstance(value, list | tuple):
        return escape(", ".join(str(member) for member in value))
    return escape(str(value))


def _definitions() -> str:
    terms = "\n".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in DEFINITIONS)
    return f"<section>\n<h2>Definitions</h2>\n<dl>{terms}</dl></section>"


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert done, "OpenCV encodes JPEG in memory"
    return data.tobytes()


def _data_url(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
