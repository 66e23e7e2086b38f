"""Masks written for annotation tools: COCO, LabelMe, CVAT, YOLO.

May import annotations.shapes.
"""
