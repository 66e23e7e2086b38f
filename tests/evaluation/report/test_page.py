from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from endoseg_cli.data.labels.layout import LabeledRecord
from endoseg_cli.evaluation.frames.scoring import Evaluation, EvaluationConfig, Predict, evaluate
from endoseg_cli.evaluation.report.page import html_report
from endoseg_cli.evaluation.report.provenance import Provenance

VOID = {"meta", "img", "source", "br"}


class Page(HTMLParser):
    """Reads a page and checks that every tag that opens closes again, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for key, value in attrs if key in {"src", "href", "srcset", "action"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def text(shared_evaluation: Evaluation, provenance: Provenance) -> str:
    return html_report(shared_evaluation, provenance)


def test_page_is_well_formed_and_needs_nothing_from_elsewhere(text: str) -> None:
    page = Page(text)
    assert page.addresses and all(address.startswith("data:image/") for address in page.addresses)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[^\"]*", "", text))
    assert "script" not in page.tags and "link" not in page.tags
    assert "default-src 'none'" in text


def test_names_are_escaped(text: str) -> None:
    page = Page(text)
    assert "<four>" not in text and "b/<four>" in page.text
    assert "<b>model</b>" not in text and "Evaluation of <b>model</b>" in page.text
    assert "data &amp; more" in text


def test_every_picture_decodes_and_plots_come_in_both_themes(text: str, shared_evaluation: Evaluation) -> None:
    addresses = Page(text).addresses
    kinds = [address.partition(";")[0] for address in addresses]
    assert kinds.count("data:image/png") == 2 * 5
    assert kinds.count("data:image/jpeg") == len(shared_evaluation.worst) + len(shared_evaluation.best) == 3
    for address in addresses:
        data = np.frombuffer(base64.b64decode(address.partition(",")[2]), np.uint8)
        assert cv2.imdecode(data, cv2.IMREAD_COLOR) is not None


def test_page_states_the_definitions_the_data_and_the_warning(text: str) -> None:
    words = Page(text).text
    assert "Two empty masks give 1" in words
    assert "optimistic" in words
    assert "cd" * 32 in words and "ab" * 32 in words
    assert "not for diagnosis" in words


def test_page_can_be_made_from_frames_without_lesion(
    records: list[LabeledRecord], predict: Predict, provenance: Provenance
) -> None:
    text = Page(html_report(evaluate(records[1:2], predict, EvaluationConfig()), provenance)).text
    assert "No frame has a lesion" in text
