"""Pictures and masks as arrays: read, written, resized, cropped to the endoscope's field of view.

The one place where image files meet endoseg. May import errors and part_file.
"""
