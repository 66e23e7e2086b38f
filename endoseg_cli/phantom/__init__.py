"""Rendered endoscopy with known truth."""
