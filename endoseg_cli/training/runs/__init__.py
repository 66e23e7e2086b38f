"""What a run leaves behind: its folder, log, curves, sample, card, and what it was made of.

May import training.engine and what that may import.
"""
