"""What annotation files say of a picture, read back as a mask: COCO, LabelMe, CVAT, YOLO.

May import annotations.shapes.
"""
