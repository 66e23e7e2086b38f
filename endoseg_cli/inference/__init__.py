"""From frames to masks, overlays and tables: a job of many inputs, videos and stills, reading, predicting and writing at once.

Inputs, prediction, refinement, writing and suggestions have rooms of their own, which this one imports.
"""
