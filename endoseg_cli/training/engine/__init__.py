"""What moves a run from step to step: the learner, the trainer, its feed, schedule, checkpoints,
validation and statistics.

Knows no folders and no files but checkpoints. May import training.settings, methods and shared, data, the metrics of
evaluation.frames and networks.
"""
