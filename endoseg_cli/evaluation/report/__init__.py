"""An evaluation as tables, files, plots and a page.

May import evaluation.frames, evaluation.video, data, pictures and templates.
"""
