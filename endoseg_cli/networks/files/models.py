"""Find a model by file or by name, and the bundled one where nothing is said."""

from __future__ import annotations

from pathlib import Path

from endoseg_cli.errors import WeightsError

DEFAULT_MODEL = "polyp-lite"
"""Name of the bundled model that is used unless another one is asked for."""
MODEL_OF_A_RUN = "model.safetensors"
"""The model in a run folder."""
EXPORTED = (".onnx",)
"""Endings of models for other runtimes."""

_PACKAGE = Path(__file__).resolve().parent.parent.parent
# An installed package carries weights/ inside itself; in a checkout they lie beside the package.
_FOLDERS = (_PACKAGE / "weights", _PACKAGE.parent / "weights")


def resolve_weights(weights: str | Path | None) -> Path:
    """Return the model file that `weights` stands for: a file, run folder, bundled name, or None for the default.

    Raises WeightsError, naming the models there are, if it is neither.
    """
    if weights is not None and Path(weights).is_file():
        return _checked(Path(weights))
    if weights is not None and str(weights) and (Path(weights) / MODEL_OF_A_RUN).is_file():
        return Path(weights) / MODEL_OF_A_RUN
    name = DEFAULT_MODEL if weights is None else str(weights)
    models = bundled_models()
    if name in models:
        return models[name]
    names = ", ".join(models) or "none"
    raise WeightsError(
        f"no model file or bundled model called '{name}'",
        hint=f"give a .safetensors file, a run folder, or a bundled model: {names}",
    )


def _checked(path: Path) -> Path:
    """Return a model file; raises WeightsError for what `endoseg export` made of one."""
    if path.suffix.lower() in EXPORTED:
        raise WeightsError(
            f"{path} is an exported model ({path.suffix}), which endoseg does not run",
            hint="give the .safetensors file that it was exported from",
        )
    return path


def bundled_models() -> dict[str, Path]:
    """Return the models that come with endoseg, by name."""
    files = (file for folder in _FOLDERS if folder.is_dir() for file in sorted(folder.glob("*.safetensors")))
    return {file.stem: file for file in files}
