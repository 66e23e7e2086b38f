"""What training sees of a frame: weak, strong and wide views, CutMix, and the batches made of them.

May import data.labels and pictures.
"""
