"""From folders, annotation files and videos as people keep them to frames and their masks.

May import pictures, annotations and video.
"""
