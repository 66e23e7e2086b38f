"""Mask and overlay videos with the input's timestamps and sound, whole or, after a crash, up to the last second.

May import video.reading and video.geometry.
"""
