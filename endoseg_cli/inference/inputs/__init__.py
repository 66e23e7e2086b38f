"""What there is to segment, and which part of it the networks see.

May import data and video.
"""
