"""Trained networks made ready to predict: the device, folded layers, both networks as one, entropy.

May import networks.architecture and errors.
"""
