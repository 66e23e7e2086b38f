"""Fetch weights."""
