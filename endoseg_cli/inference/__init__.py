"""From frames to masks, overlays and tables: jobs of many inputs, videos and stills; reading and writing go on at once.

Inputs, prediction, refinement, writing and suggestions have rooms of their own, which this one imports.
"""
