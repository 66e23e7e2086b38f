"""The formats of annotation tools by name; imports nothing heavy, so that the command line can list them."""

from typing import Literal

AnnotationFormat = Literal["coco", "labelme", "cvat", "yolo"]
