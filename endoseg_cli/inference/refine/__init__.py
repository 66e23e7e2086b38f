"""The corrective network over a window of frames.

May import inference.predict.
"""
