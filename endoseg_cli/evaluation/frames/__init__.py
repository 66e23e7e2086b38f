"""Overlap with known masks, frame by frame: metrics, thresholds, calibration, breakdown, gallery.

May import data and networks.
"""
