from __future__ import annotations

from pathlib import Path

import pytest

from endoseg_cli.errors import WeightsError
from endoseg_cli.networks.files import models


def test_a_file_stands_for_itself(random_model: Path) -> None:
    assert models.resolve_weights(random_model) == models.resolve_weights(str(random_model)) == random_model


@pytest.mark.parametrize("name", ["nothing-of-this-name", "absent.safetensors", ""])
def test_neither_file_nor_name_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(WeightsError, match=f"no model file or bundled model called '{name}'") as caught:
        models.resolve_weights(name)
    assert "give a .safetensors file" in (caught.value.hint or "")


def test_a_run_folder_is_its_model(random_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    model.write_bytes(random_model.read_bytes())
    assert models.resolve_weights(tmp_path) == models.resolve_weights(str(tmp_path)) == model


def test_an_exported_model_is_called_one(tmp_path: Path) -> None:
    exported = tmp_path / "m.onnx"
    exported.touch()
    with pytest.raises(WeightsError, match="is an exported model"):
        models.resolve_weights(exported)


def test_another_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no model file"):
        models.resolve_weights(tmp_path)


def test_names_are_those_of_the_files_in_the_weights_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, beside = tmp_path / "package" / "weights", tmp_path / "weights"
    beside.mkdir()
    for name in ("polyp-lite.safetensors", "b.safetensors", "manifest.json"):
        (beside / name).touch()
    monkeypatch.setattr(models, "_FOLDERS", (inside, beside))
    assert set(models.bundled_models()) == {"polyp-lite", "b"}
    assert models.resolve_weights(None) == models.resolve_weights("polyp-lite") == beside / "polyp-lite.safetensors"
    with pytest.raises(WeightsError) as caught:
        models.resolve_weights("c")
    assert "b, polyp-lite" in (caught.value.hint or "")


def test_without_the_bundled_model_the_default_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_FOLDERS", (tmp_path,))
    with pytest.raises(WeightsError, match="'polyp-lite'") as caught:
        models.resolve_weights(None)
    assert "bundled model: none" in (caught.value.hint or "")
