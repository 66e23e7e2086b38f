"""Metrics against known masks, frame by frame and over time, and the reports made of them."""
