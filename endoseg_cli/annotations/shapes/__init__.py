"""Masks as shapes and back: rings, polygons, run lengths.

May import nothing else of endoseg but errors.
"""
