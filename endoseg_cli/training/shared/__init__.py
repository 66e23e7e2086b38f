"""What every room of training stands on: processes that train as one, and the precision of sums and losses.

May import networks.
"""
