"""The networks as torch modules: U-Net, encoders, and the corrective network.

May import errors.
"""
