"""Metrics and reports against known masks."""
