"""Short clips to learn from and to score over time: stills under a moving camera, sequences, videos.

May import data.views, data.sets and what those may import.
"""
