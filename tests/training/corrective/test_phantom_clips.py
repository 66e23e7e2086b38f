from __future__ import annotations

from endoseg_cli.data.clips.training_clips import ClipShape
from endoseg_cli.training.corrective.phantom_clips import phantom_clips


def test_the_phantom_gives_clips_of_both_scenes() -> None:
    colon, ureter = phantom_clips(2, ClipShape(frames=3, size=(32, 32), seed=0))
    assert colon.frames.shape == ureter.frames.shape == (3, 32, 32, 3)
    assert colon.group != ureter.group and colon.truth is not None
