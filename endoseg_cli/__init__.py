"""Segment lesions in endoscopy video, and train such models from few labelled frames.

`load`, `evaluate`, `train`, `Model` and `Result` are the public face (see api); they are imported when first used, so
that the command line starts fast.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from endoseg_cli.api import Model, Result, evaluate, load, train

__version__ = "0.1.0"
__all__ = ["Model", "Result", "__version__", "evaluate", "load", "train"]

# OpenCV reads these when it is loaded: no picture is larger, and what is wrong with one is told in endoseg's words.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 27))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")


def __getattr__(name: str) -> Any:
    if name in __all__:
        from endoseg_cli import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
