"""The corrective network over a window of frames, and the predicting stage of a video that contains it.

May import inference.predict.
"""
