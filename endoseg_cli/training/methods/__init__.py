"""The methods of `--method` as peers, one file each: what teaches, what is studied, and by which terms.

A new one is a file beside the others and a line in `table`. May import training.strategies, training.shared and
data.
"""
