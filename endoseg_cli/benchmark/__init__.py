"""How fast this machine does what endoseg does: each stage alone, whole runs, a plain loop beside them, training steps.

May import inference, training, networks, data, phantom, pictures and video.
"""
