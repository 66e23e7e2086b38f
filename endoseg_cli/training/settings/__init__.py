"""The settings of a run: ranges checked, read from YAML and written back resolved.

May import training.methods, for the names of their choices, data and networks.
"""
