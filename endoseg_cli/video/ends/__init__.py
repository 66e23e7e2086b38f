"""Whether a video file is cut off, told by its bytes and by the length that it states.

May import nothing of the package.
"""
