"""Segment lesions in endoscopy video, and train such models from few labelled frames."""

import os

__version__ = "0.1.0"

# OpenCV reads these when it is loaded: no picture is larger, and what is wrong with one is told in endoseg's words.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 27))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
