"""A scene: everything that a picture depends on, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from endoseg_cli.phantom.world.camera import Lens, Pose, Wobble, look
from endoseg_cli.phantom.world.disturbances import Disturbance
from endoseg_cli.phantom.world.lesions import Lesion
from endoseg_cli.phantom.world.surface import Tube
from endoseg_cli.phantom.world.tables import Array, unit


@dataclass(frozen=True, kw_only=True)
class Wall:
    """What the mucosa looks like."""

    colour: Array
    """(3,): linear reflectance, red first."""
    vessels: float
    """How strongly vessels show, 0 to 1."""
    mottle: float
    """How strongly its colour varies."""
    relief: float
    """How rough the wet film is; 0 gives broad highlights, 1 many small ones."""
    gloss: float
    """Strength of its highlights."""
    foam: float
    """Share of the wall under foam, 0 to 1."""
    stain: float
    """Share of the wall under opaque yellow-green fluid, 0 to 1."""
    variant: int
    """Which tiles give it its pattern."""
    turn: float
    """Shift of the pattern, in tiles."""


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """A thin rod that comes in from the edge of the frame: a laser fibre or a snare's sheath."""

    start: Array
    """(3,): where it enters, in the camera's axes."""
    tip: Array
    """(3,): its end, in the camera's axes."""
    radius: float
    """Its radius."""
    colour: Array
    """(3,): linear reflectance, red first."""
    aiming: Array
    """(3,): light of the aiming beam in front of its tip; zero for none."""


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """What the camera chip and its processor do to the light."""

    exposure: float
    """Brightness that the automatic exposure aims at."""
    balance: Array
    """(3,): gain of each channel, red first."""
    softness: float
    """Blur, in thousandths of the frame's longer side."""
    sharpening: float
    """Strength of the processor's edge enhancement."""
    noise: float
    """Standard deviation of the noise, in grey levels."""
    vignette: float
    """Loss of light at the rim, 0 to 1."""
    fringe: float
    """Radial shift between red and blue at the rim, as a share of the radius."""
    sequential: bool
    """Whether red, green and blue are lit in turn, so that quick motion pulls them apart."""
    quality: int
    """JPEG quality of the frame, 100 for none."""
    console: bool
    """Whether the frame carries the processor's text beside the picture."""


@dataclass(frozen=True, kw_only=True)
class CameraPath:
    """Where the camera goes: knots in time, eased between, and a tremor on top."""

    times: Array
    """(K,), seconds, rising."""
    depths: Array
    """(K,): position along the tube."""
    offsets: Array
    """(K, 2): distance from the centre line, x and y."""
    attention: Array
    """(K,): 0 looks along the lumen, 1 at the target."""
    target: Array
    """(3,): what the camera looks at."""
    roll: float
    """Turn about its axis, radians."""
    wobble: Wobble
    """Channels: x, y, depth (lumen radii), yaw, pitch, roll (radians)."""

    def pose(self, tube: Tube, time: float) -> Pose:
        """The camera's pose at a time in seconds."""
        tremor = self.wobble.at(time)
        depth = self._eased(self.depths, time) + tremor[2]
        position = tube.axis(float(depth))
        position[:2] += self._eased(self.offsets, time) + tremor[:2]
        ahead = unit(tube.axis(float(depth) + 1.2) - position)
        attention = self._eased(self.attention, time)
        forward = unit((1 - attention) * ahead + attention * unit(self.target - position))
        forward[:2] += tremor[3:5]
        return look(position, forward, self.roll + float(tremor[5]))

    def _eased(self, values: Array, time: float) -> Array:
        last = len(self.times) - 1
        after = int(np.clip(np.searchsorted(self.times, time), 1, max(last, 1)))
        if last == 0:
            return np.asarray(values[0], np.float32)
        begin, end = self.times[after - 1], self.times[after]
        share = np.clip((time - begin) / (end - begin), 0, 1)
        share = share * share * (3 - 2 * share)
        return np.asarray(values[after - 1] * (1 - share) + values[after] * share, np.float32)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything a picture depends on; `render.render` turns it into one."""

    kind: str
    """colon or ureter."""
    seed: int
    """Seeds what varies from frame to frame (noise, specks)."""
    tube: Tube
    """The lumen."""
    wall: Wall
    """Its mucosa."""
    lesions: tuple[Lesion, ...]
    """What the mask shows."""
    instrument: Instrument | None
    """What may hide them."""
    lens: Lens
    """Lens and field of view."""
    path: CameraPath
    """The camera's way."""
    sensor: Sensor
    """Colours, noise, softness."""
    specks: int
    """Number of particles that drift before the camera."""
    disturbances: tuple[Disturbance, ...]
    """What spoils some of the frames."""
