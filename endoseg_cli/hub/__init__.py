"""Fetch weights: the manifest, caches, folders from other machines, the Hugging Face Hub; nothing else uses the network.

May import networks.
"""
