"""Networks in files: the model file, where models are found, checkpoints of others, exports.

May import networks.running and networks.architecture.
"""
