"""What is written of a frame: where it goes, masks, overlay, table, annotations, the frame itself.

May import inference.predict, inference.inputs, annotations and video.
"""
