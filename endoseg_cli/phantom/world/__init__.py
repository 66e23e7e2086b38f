"""The scene: tubes, lesions, particles, textures, cameras and their settings.

May import errors.
"""
