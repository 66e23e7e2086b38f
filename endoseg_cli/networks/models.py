"""Find a model by file or by name, and the bundled one where nothing is said."""

from __future__ import annotations

from pathlib import Path

from endoseg_cli.errors import WeightsError

DEFAULT_MODEL = "polyp-lite"
"""Name of the bundled model that is used unless another one is asked for."""

_PACKAGE = Path(__file__).resolve().parent.parent
# An installed package carries weights/ inside itself; in a checkout they lie beside the package.
_FOLDERS = (_PACKAGE / "weights", _PACKAGE.parent / "weights")


def resolve_weights(weights: str | Path | None) -> Path:
    """Return the model file that `weights` (a file, a bundled model's name, or None for the default) stands for.

    Raises WeightsError, naming the models there are, if it is neither.
    """
    if weights is not None and Path(weights).is_file():
        return Path(weights)
    name = DEFAULT_MODEL if weights is None else str(weights)
    models = bundled_models()
    if name in models:
        return models[name]
    names = ", ".join(models) or "none"
    raise WeightsError(
        f"no model file or bundled model called '{name}'", hint=f"give a .safetensors file, or a bundled model: {names}"
    )


def bundled_models() -> dict[str, Path]:
    """Return the models that come with endoseg, by name."""
    files = (file for folder in _FOLDERS if folder.is_dir() for file in sorted(folder.glob("*.safetensors")))
    return {file.stem: file for file in files}
