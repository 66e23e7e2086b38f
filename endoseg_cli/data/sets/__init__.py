"""Which frames train, which validate, and whether they can be trusted: sources, splits, leaks, the check of all files.

May import data.labels and what that may import.
"""
