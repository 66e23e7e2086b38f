"""What masks do over time, against truth and baselines.

May import evaluation.frames, data, temporal and video.
"""
