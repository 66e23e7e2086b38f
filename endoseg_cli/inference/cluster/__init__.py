"""Many videos by many machines: files in stores, one video as a task, what is finished, and Ray, which hands tasks out.

May import inference.
"""
