"""Fetch weights: the manifest, caches, folders from other machines, the Hugging Face Hub, which nothing else asks.

May import networks.
"""
