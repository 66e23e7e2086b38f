"""Windows of clips as the corrective network is trained on them: what step s sees follows from (seed, s) alone."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endoseg_cli.data.views.augment import random_generator
from endoseg_cli.data.views.datasets import draw_order, share_of
from endoseg_cli.training.corrective.clips import UNCERTAIN_PIXEL, Clip
from endoseg_cli.training.corrective.loss import follow
from endoseg_cli.training.corrective.spoil import FAILURES, Predictions, apply_failure, draw_frames, spoil_window

FULL_SHARE, CAUSAL_SHARE = 0.7, 0.15
"""Share of the steps whose windows are whole, and of those without later frames; the others begin a clip."""


TWIN_SHARE, CALM_SHARE = 0.3, 0.25
"""Share of the windows whose corrected picture is degraded until the networks fail, and of those that are left as they
are; in both the truth is what both networks agree on in the whole undegraded window. The others keep their masks."""


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """The frames of a step's windows, relative to the corrected one; the next output is one place later."""

    places: tuple[int, ...]
    """Places of the frames, in order."""
    stride: int
    """Frames of the clip from one place to the next."""
    half: int
    """Places on each side that a window reaches."""
    causal: bool = False
    """Whether windows end with the corrected frame."""

    def window(self, centre: int) -> list[int]:
        """Return which of the frames the window around place `centre` holds."""
        last = centre if self.causal else centre + self.half
        return [index for index, place in enumerate(self.places) if centre - self.half <= place <= last]


@dataclass(frozen=True, kw_only=True)
class WindowBatch:
    """Windows of one pattern with n frames each, two of which, the corrected one and the next, are to be corrected."""

    pattern: Pattern
    """Where the frames lie."""
    images: Tensor
    """(B, n, 3, H, W) uint8."""
    probability: Tensor
    """(B, n, 1, H, W), spoiled."""
    uncertainty: Tensor
    """(B, n, 1, H, W)."""
    truth: Tensor
    """(B, 2, 1, H, W), 0 or 1."""
    known: Tensor
    """(B, 2, 1, H, W), 1 where the truth is known."""
    flow: Tensor
    """(B, 2, h, w): from the corrected frame to the next."""
    interval: Tensor
    """(B,): time from one place to the next, in units of 1/25 s."""


def draw_pattern(window: int, clip_frames: int, seed: int, step: int) -> Pattern:
    """Return what the windows of a step look like: whole, causal, or at the beginning of a clip; dense or sparse."""
    rng = random_generator(seed, step, 0, "pattern")
    half, kind = window // 2, rng.random()
    if kind < FULL_SHARE:
        first, last, causal = -half, half + 1, False
    elif kind < FULL_SHARE + CAUSAL_SHARE:
        first, last, causal = -half, 1, True
    else:
        first, last, causal = 0, half + 1, False
    stride = int(rng.integers(1, 3))
    while (last - first) * stride > clip_frames - 1:
        # sparse windows do not fit whole: the next output then lacks its last frame, as at the end of a clip
        if stride == 1:
            first, last = first + 1, last
        elif (last - first - 1) * stride <= clip_frames - 1:
            last -= 1
        else:
            stride = 1
    return Pattern(places=tuple(range(first, last + 1)), stride=stride, half=half, causal=causal)


class Windows:
    """Batches of windows of a set of clips."""

    def __init__(self, clips: Sequence[Clip], *, window: int, batch_size: int, seed: int) -> None:
        self._clips, self._window, self._batch_size, self._seed = clips, window, batch_size, seed

    def batch(self, step: int, share: tuple[int, int] = (0, 1)) -> WindowBatch:
        """Return this process's part of the batch of a step: windows drawn, mirrored and spoiled."""
        keys = draw_order(self._seed, step, self._batch_size, len(self._clips), "windows")
        pattern = draw_pattern(self._window, len(self._clips[0].frames), self._seed, step)
        rows = []
        for walk, index in share_of(keys, share):
            rng = random_generator(self._seed, walk, index, "window")
            clip = self._clips[index]
            rows.append(_mirrored(_draw_row(clip, pattern, rng), rng))
        return _stack(rows, pattern, [self._clips[index].interval for _, index in share_of(keys, share)])


def validation_windows(clips: Sequence[Clip], window: int, *, spoiled: bool, seed: int) -> list[WindowBatch]:
    """Return the whole window in the middle of each clip, untouched or each with its own failure, always the same."""
    half = window // 2
    pattern = Pattern(places=tuple(range(-half, half + 2)), stride=1, half=half)
    batches = []
    for number, clip in enumerate(clips):
        rng = random_generator(seed, 0, number, "validation")
        middle = _agreed_centres(clip, pattern) & set(clip.twins) if number % 2 else set()
        chosen = _places(clip, pattern, rng, middle)
        said = _said(clip, chosen)
        if spoiled and middle:
            row = _with_twin(_row(clip, chosen, said, pattern), clip, chosen, half)
            batches.append(_stack([row], pattern, [clip.interval]))
            continue
        if spoiled:
            frames = draw_frames(len(chosen), half, rng)
            frames = frames if half in frames else range(half, half + 1)
            said = apply_failure(said, FAILURES[number % len(FAILURES)], frames, rng)
        batches.append(_stack([_row(clip, chosen, said, pattern)], pattern, [clip.interval]))
    return batches


Row = dict[str, NDArray[np.generic]]


def _draw_row(clip: Clip, pattern: Pattern, rng: np.random.Generator) -> Row:
    """Return a window of a clip: with a degraded picture, calm, or with its masks for truth and perhaps spoiled."""
    chance, agreed = rng.random(), _agreed_centres(clip, pattern)
    centre = pattern.places.index(0)
    degraded = chance < TWIN_SHARE and bool(agreed & set(clip.twins))
    if degraded or (chance < TWIN_SHARE + CALM_SHARE and agreed):
        chosen = _places(clip, pattern, rng, agreed & set(clip.twins) if degraded else agreed)
        row = _with_agreement(_row(clip, chosen, _said(clip, chosen), pattern), clip, chosen, pattern)
        return _with_twin(row, clip, chosen, centre) if degraded else row
    chosen = _places(clip, pattern, rng)
    said = spoil_window(_said(clip, chosen), clip.truth[chosen], centre, rng)
    return _row(clip, chosen, said, pattern)


def _fitting(clip: Clip, pattern: Pattern) -> range:
    before, after = -pattern.places[0] * pattern.stride, pattern.places[-1] * pattern.stride
    return range(before, len(clip.frames) - after)


def _agreed_centres(clip: Clip, pattern: Pattern) -> set[int]:
    """Return which frames can be corrected in a window that the networks agree on in all its frames."""
    agreed, steps = set(clip.agreed), [place * pattern.stride for place in pattern.places]
    return {centre for centre in _fitting(clip, pattern) if all(centre + step in agreed for step in steps)}


def _with_agreement(row: Row, clip: Clip, chosen: list[int], pattern: Pattern) -> Row:
    """Return a row whose truth is what the networks say of the pictures as they are."""
    pair = [chosen[pattern.places.index(0)], chosen[pattern.places.index(1)]]
    truth, known = clip.probability[pair] > 0.5, clip.uncertainty[pair] <= UNCERTAIN_PIXEL
    return {**row, "truth": truth[:, None].astype(np.float32), "known": known[:, None].astype(np.float32)}


def _with_twin(row: Row, clip: Clip, chosen: list[int], centre: int) -> Row:
    """Return a row whose corrected picture is the degraded twin, with what the networks say of it."""
    twin = clip.twins[chosen[centre]]
    changed = {name: row[name].copy() for name in ("images", "probability", "uncertainty")}
    changed["images"][centre] = twin.frame.transpose(2, 0, 1)
    changed["probability"][centre, 0] = twin.probability
    changed["uncertainty"][centre, 0] = twin.uncertainty
    return {**row, **changed}


def _places(clip: Clip, pattern: Pattern, rng: np.random.Generator, among: Set[int] = frozenset()) -> list[int]:
    """Return frames of the clip for the pattern's places; the corrected one is of `among`, or else its truth known."""
    fits = _fitting(clip, pattern)
    centres = sorted(among) or [centre for centre in fits if centre in clip.trusted] or list(fits)
    centre = centres[int(rng.integers(len(centres)))]
    return [centre + place * pattern.stride for place in pattern.places]


def _said(clip: Clip, chosen: list[int]) -> Predictions:
    return Predictions(
        probability=clip.probability[chosen].astype(np.float32), uncertainty=clip.uncertainty[chosen].astype(np.float32)
    )


def _row(clip: Clip, chosen: list[int], said: Predictions, pattern: Pattern) -> Row:
    pair = [chosen[pattern.places.index(0)], chosen[pattern.places.index(1)]]
    return {
        "images": clip.frames[chosen].transpose(0, 3, 1, 2),
        "probability": said.probability[:, None],
        "uncertainty": said.uncertainty[:, None],
        "truth": clip.truth[pair][:, None].astype(np.float32),
        "known": clip.known[pair][:, None].astype(np.float32),
        "flow": _summed_flow(clip.flow[pair[0] : pair[1]].astype(np.float32)),
    }


def _summed_flow(steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the flow over several frames: each step is read where the steps before have led."""
    total = torch.from_numpy(steps[:1])
    for step in steps[1:]:
        total = follow(total, torch.from_numpy(step[None]))
    summed: NDArray[np.float32] = total[0].numpy()
    return summed


def _mirrored(row: Row, rng: np.random.Generator) -> Row:
    """Return the row mirrored left to right, top to bottom, both or not at all."""
    for axis, component in ((-1, 0), (-2, 1)):
        if rng.random() < 0.5:
            row = {name: np.flip(values, axis) for name, values in row.items()}
            flow = row["flow"].copy()
            flow[component] *= -1
            row["flow"] = flow
    return row


def _stack(rows: Sequence[Row], pattern: Pattern, intervals: Sequence[float]) -> WindowBatch:
    stacked = {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}
    interval = torch.tensor(intervals) * pattern.stride
    return WindowBatch(pattern=pattern, interval=interval, **stacked)
