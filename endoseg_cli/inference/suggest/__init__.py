"""Which unlabelled frames to label next: scores, the choice, and the folder for the labelling tool.

May import inference.predict, annotations and video.
"""
