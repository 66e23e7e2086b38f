"""Rendered endoscopy with known truth: clips and data sets, made of a world and the pictures of it.

May import video, for writing clips.
"""
