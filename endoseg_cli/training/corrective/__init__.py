"""The corrective network's training, alone or as stage two of a run: clips, windows, loss, learner, trainer and run.

May import training.runs and what that may import.
"""
