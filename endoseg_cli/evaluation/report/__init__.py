"""An evaluation as tables, files, plots and a page.

May import evaluation.frames and evaluation.video.
"""
