"""From a scene to a picture and its true mask: tracing, shading, the sensor; scenes drawn until their lesion fits.

May import phantom.world.
"""
