"""Train the segmentation networks (Endo-SemiS): `run` goes from folders to a model file, by way of `run_data`
and `stage_two`.

Methods, settings, engine, runs and the corrective network have rooms of their own, which this one imports.
"""
