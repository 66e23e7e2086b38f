"""How frames flow: reading, predicting and writing at the same time, and the predicting stage of a video.

May import inference.predict, inference.refine and video.
"""
