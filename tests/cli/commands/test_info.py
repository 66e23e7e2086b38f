from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from endoseg_cli.networks.files.bundle import Bundle
from tests.conftest import Run
from tests.networks.tiny import save_to, tiny_bundle

Endoseg = Callable[..., Run]


def test_the_card_is_printed(endoseg: Endoseg, random_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run = endoseg("info", random_model)
    assert run.code == 0 and run.stderr == "" and "\x1b" not in run.stdout
    lines = {" ".join(line.split()) for line in run.stdout.splitlines()}
    assert {f"file {random_model}", "name tiny", "input size 64, 64", "class names lesion", "networks 2"} <= lines
    assert "architecture encoder: mobilenet_v2" in lines and "training data none" in lines
    assert "intended use research use; not for diagnosis" in lines


def test_json_is_one_object(endoseg: Endoseg, random_model: Path) -> None:
    run = endoseg("info", random_model, "--json")
    facts = json.loads(run.stdout)
    assert run.code == 0 and run.stderr == "" and facts["bytes"] == random_model.stat().st_size
    assert facts["parameters"] == sum(p.numel() for network in tiny_bundle().networks for p in network.parameters())
    assert facts["architecture"]["decoder_channels"] == [8] * 5 and facts["scores"] == {"dice": {"val": 0.5}}


def test_json_stays_valid_where_a_score_is_no_number(endoseg: Endoseg, tmp_path: Path) -> None:
    bundle = tiny_bundle(networks=1)
    bundle = Bundle(card=replace(bundle.card, scores={"dice": float("nan")}), networks=bundle.networks)
    run = endoseg("info", save_to(tmp_path, bundle), "--json")
    assert '"dice": null' in run.stdout and "NaN" not in run.stdout


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_file_that_is_no_model_is_refused_in_one_line(endoseg: Endoseg, tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"\x08\0\0\0\0\0\0\0 cut off")
    run = endoseg("info", path, *options)
    assert run.code == 5 and run.stdout == ""
    assert run.stderr.startswith(f"error: {path} is not a whole .safetensors file") and run.stderr.count("\n") == 2


def test_a_model_whose_tensors_do_not_fit_is_refused(endoseg: Endoseg, tmp_path: Path, random_model: Path) -> None:
    content = random_model.read_bytes()
    path = tmp_path / "m.safetensors"
    # same length, so that the file stays whole
    path.write_bytes(content.replace(b"network2.decoder.blocks.0", b"network2.decoder.blocks.9"))
    run = endoseg("info", path)
    assert run.code == 5 and "lacks 10 tensors, first network2.decoder.blocks.0.conv1.0.weight" in run.stderr


def test_a_name_that_is_no_model_is_refused(endoseg: Endoseg) -> None:
    run = endoseg("info", "no-such-model")
    assert run.code == 5 and "no model file or bundled model called 'no-such-model'" in run.stderr
