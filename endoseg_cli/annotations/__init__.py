"""Masks as annotation tools keep them: COCO, LabelMe, CVAT and YOLO, read, written, and the shapes between."""
