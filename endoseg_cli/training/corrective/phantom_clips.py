"""Clips of rendered scenes, whose truth is known to the pixel, for the corrective network to learn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from endoseg_cli.data.clips.training_clips import UNIT_RATE, ClipShape, RawClip, estimated_flow
from endoseg_cli.data.views.augment import random_generator
from endoseg_cli.phantom.dataset import clip_scene
from endoseg_cli.phantom.picture.render import render
from endoseg_cli.phantom.world.config import ClipConfig, PhantomConfig

PHANTOM_SECONDS = 4.0
"""Length of the phantom clip that a few consecutive frames are taken from."""


def phantom_clips(count: int, shape: ClipShape, scenes: Sequence[str] = ("colon", "ureter")) -> Iterator[RawClip]:
    """Yield clips of rendered scenes, in turn, at 25 frames per second."""
    for index in range(count):
        config = PhantomConfig(scene=scenes[index % len(scenes)], size=shape.size, seed=shape.seed)
        scene = clip_scene(config, ClipConfig(seconds=PHANTOM_SECONDS), index)
        longest = PHANTOM_SECONDS - shape.frames / UNIT_RATE
        begin = random_generator(shape.seed, index, 0, "phantom").uniform(0, max(longest, 0))
        shown = [render(scene, shape.size, begin + place / UNIT_RATE) for place in range(shape.frames)]
        frames = np.stack([frame.picture for frame in shown])
        truth = np.stack([frame.mask > 0 for frame in shown])
        yield RawClip(group=f"phantom {index}", frames=frames, truth=truth, flow=estimated_flow(frames), interval=1.0)
