"""From frames to masks, overlays and tables."""
