"""From frames to probabilities, and from these to masks.

May import networks, pictures and temporal.
"""
