from __future__ import annotations

from dataclasses import replace

import pytest

from endoseg_cli.data.labels.layout import LabeledRecord
from endoseg_cli.errors import InputError
from endoseg_cli.evaluation.report.provenance import digest_records


def test_digest_depends_on_names_and_bytes_but_not_on_order(records: list[LabeledRecord]) -> None:
    digest = digest_records(records)
    assert len(digest) == 64
    assert digest_records(records[::-1]) == digest
    assert digest_records(records[1:]) != digest
    assert digest_records([replace(records[0], name="other"), *records[1:]]) != digest
    records[2].mask.write_bytes(records[1].mask.read_bytes())
    assert digest_records(records) != digest


def test_file_that_is_gone_is_named(records: list[LabeledRecord]) -> None:
    records[0].mask.unlink()
    with pytest.raises(InputError, match=r"cannot read .*one\.png"):
        digest_records(records)
