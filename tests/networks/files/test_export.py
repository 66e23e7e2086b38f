from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import onnx
import pytest
import torch

from endoseg_cli.errors import OutputError, UsageError
from endoseg_cli.networks.files.bundle import Bundle
from endoseg_cli.networks.files.deployable import Deployable
from endoseg_cli.networks.files.export import SUFFIXES, ExportFormat, check_file, export_model
from endoseg_cli.networks.files.export_formats import describe, open_onnx, open_torchscript
from tests.networks.tiny import constant_bundle, tiny_bundle

KINDS: tuple[ExportFormat, ...] = get_args(ExportFormat)


def odd_bundle() -> Bundle:
    """A model of two classes, whose own normalisation and padded input size would show if they were lost."""
    bundle = tiny_bundle(class_names=("polyp", "instrument"))
    card = replace(bundle.card, input_size=(40, 70), mean=(0.2, 0.3, 0.4), std=(0.5, 0.4, 0.3))
    return replace(bundle, card=card)


def expected_probability(bundle: Bundle, image: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (bundle.card.mean, bundle.card.std))
    with torch.no_grad():
        one, two = (torch.sigmoid(network((image / 255 - mean) / std)) for network in bundle.networks)
    return (one + two) / 2


def test_the_function_is_what_endo_semis_predicts_at_any_size() -> None:
    bundle = odd_bundle()
    image = torch.rand(2, 3, 40, 70) * 255
    with torch.no_grad():
        found = Deployable(bundle.card, bundle.networks)(image)
    torch.testing.assert_close(found, expected_probability(bundle, image))


def test_onnx_takes_any_batch_and_carries_its_card(tmp_path: Path) -> None:
    bundle = odd_bundle()
    exported = export_model(bundle, tmp_path / "new" / "model.onnx", "onnx")
    assert exported.largest_difference < 1e-5 and exported.pictures == 8
    assert [path.name for path in exported.path.parent.iterdir()] == ["model.onnx"]
    run = open_onnx(exported.path)
    for count in (1, 2, 5):
        image = torch.rand(count, 3, 40, 70) * 255
        torch.testing.assert_close(run(image), expected_probability(bundle, image), atol=1e-5, rtol=0)
    content = onnx.load(exported.path)
    card = json.loads({entry.key: entry.value for entry in content.metadata_props}["endoseg"])
    assert card["class_names"] == ["polyp", "instrument"] and card["mean"] == [0.2, 0.3, 0.4]
    assert [value.name for value in (*content.graph.input, *content.graph.output)] == ["image", "probability"]
    assert "RGB, 0 to 255" in content.doc_string
    assert not any(node.op_type == "BatchNormalization" for node in content.graph.node)
    assert str(Path(__file__).parents[3]).encode() not in exported.path.read_bytes()


def test_torchscript_takes_any_batch_and_carries_its_card(tmp_path: Path) -> None:
    bundle = odd_bundle()
    path = export_model(bundle, tmp_path / "model.pt", "torchscript").path
    run = open_torchscript(path)
    for count in (1, 3):
        image = torch.rand(count, 3, 40, 70) * 255
        torch.testing.assert_close(run(image), expected_probability(bundle, image), atol=1e-5, rtol=0)
    extra = {"endoseg.json": ""}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # torch says at every call that its format is old
        torch.jit.load(str(path), _extra_files=extra)  # type: ignore[no-untyped-call]
    assert json.loads(extra["endoseg.json"])["input_size"] == [40, 70]


def test_a_file_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    path = export_model(constant_bundle(1.0, 1.0), tmp_path / "model.pt", "torchscript").path
    with pytest.raises(OutputError, match=r"differs from tiny by 0\.0"):
        check_file(constant_bundle(1.1, 1.0), path, "torchscript")
    with pytest.raises(OutputError, match="differs from tiny by nan"):
        check_file(constant_bundle(float("nan"), 1.0), path, "torchscript")


def test_a_refused_file_is_removed_and_the_old_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.pt").write_text("old")
    monkeypatch.setattr("endoseg_cli.networks.files.export.TOLERANCE", -1.0)
    with pytest.raises(OutputError, match="expected at most"):
        export_model(tiny_bundle(networks=1), tmp_path / "model.pt", "torchscript")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_folder_that_is_a_file_is_an_error_of_the_output(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        export_model(tiny_bundle(networks=1), tmp_path / "file" / "model.pt", "torchscript")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_its_packages_onnx_says_what_to_install(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=f"found no {package}") as caught:
        export_model(tiny_bundle(networks=1), tmp_path / "model.onnx", "onnx")
    assert caught.value.hint == 'pip install "endoseg-cli[onnx]"' and not list(tmp_path.iterdir())


def test_every_format_has_its_ending() -> None:
    assert [SUFFIXES[kind] for kind in KINDS] == [".onnx", ".pt"]


def test_what_is_said_of_a_file_names_the_crop_that_is_left_to_the_caller() -> None:
    card = tiny_bundle().card
    assert "crop" not in describe(card)
    assert "the endoscope's picture cropped out of the frame" in describe(replace(card, field_of_view="auto"))
