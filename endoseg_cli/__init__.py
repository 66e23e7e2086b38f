"""Segment lesions in endoscopy video, and train such models from few labelled frames."""

__version__ = "0.1.0"
