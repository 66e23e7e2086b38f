"""Masks as annotation tools keep them: polygons and run lengths, for COCO, LabelMe, CVAT and YOLO."""
