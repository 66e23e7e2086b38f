"""Lesions on the wall as signed distances: polyps (sessile, lobed, stalked, flat) and faceted stones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from endoseg_cli.phantom.world.surface import Tube
from endoseg_cli.phantom.world.tables import Array, unit

_POLYP_REACH, _STONE_REACH = 2.6, 1.85  # none is larger, from its point on the wall, in units of its radius
_ROUNDING = 0.12  # radius of a stone's edges
_EXACT = 0.6  # closer to that sphere, distances are exact


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One lesion that sits on the wall; lengths of its shape are in units of `radius`."""

    point: Array
    """(3,): where it sits on the wall."""
    frame: Array
    """(3, 3): rows are two directions along the wall and the one into the lumen."""
    radius: float
    """Its size in units of the lumen's radius."""
    bodies: Array
    """(B, 2, 3): centres and half axes of ellipsoids that melt into each other; none for a stone."""
    facets: Array
    """(F, 4): unit normals and distances of the planes that cut a stone; none for a polyp."""
    stalk: float
    """Radius of the stalk from the wall to the first ellipsoid; 0 for none."""
    melt: float
    """How softly it grows out of the wall."""
    ripple: float
    """Height of the waves on its surface."""
    colour: Array
    """(3,): linear reflectance, red first."""
    pits: float
    """How much darker (or, below 0, lighter) its pits or grains are."""
    gloss: float
    """Strength of its wet highlights."""
    variant: int
    """Which tile gives it its pattern."""

    @property
    def middle(self) -> Array:
        """The middle (3,) of its bulk."""
        lift = float(self.bodies[0, 0, 2]) if len(self.bodies) else 0.55
        return np.asarray(self.point + self.frame[2] * np.float32(lift * self.radius), np.float32)

    @property
    def is_stone(self) -> bool:
        """Whether planes cut it."""
        return len(self.facets) > 0

    def resized(self, factor: float) -> Lesion:
        """The same lesion, `factor` times as large."""
        return replace(self, radius=self.radius * factor)

    def local(self, points: Array) -> Array:
        """`points` (3, N) in the lesion's own axes, in units of its radius."""
        offset = (points - self.point[:, None]) * np.float32(1 / self.radius)
        return np.asarray(self.frame @ offset, np.float32)

    def distance(self, points: Array) -> Array:
        """Distance (N,) from `points` (3, N) to its surface, negative inside; coarse when far away."""
        local = self.local(points)
        result = np.sqrt(_squares(local)) - np.float32(_STONE_REACH if self.is_stone else _POLYP_REACH)
        near = np.flatnonzero(result < _EXACT)
        if near.size:
            result[near] = self._near(local[:, near])
        return np.asarray(result * np.float32(self.radius), np.float32)

    def normals(self, points: Array) -> Array:
        """Outward unit vectors (3, N) of its surface at `points` (3, N)."""
        local, step = self.local(points), np.float32(0.02)
        total = np.zeros_like(local)
        for corner in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
            direction = np.asarray(corner, np.float32)[:, None]
            total += direction * self._near(local + step * direction)
        return unit(np.asarray(self.frame.T @ total, np.float32))

    def _near(self, local: Array) -> Array:
        shape = self._stone(local) if self.is_stone else self._polyp(local)
        if self.ripple:
            x, y, z = local * np.float32(5.3)
            coarse = np.sin(x + 0.6 * y) * np.sin(1.2 * y + 1) * np.sin(z + 0.4 * x)
            fine = np.sin(1.9 * x - y + 2) * np.sin(2.3 * z + 0.8 * y)
            shape = shape + np.float32(self.ripple) * (coarse + np.float32(0.4) * fine)
            shape = shape * np.float32(1 / (1 + 6 * self.ripple))  # waves are steeper than a distance may be
        return np.asarray(shape, np.float32)

    def _polyp(self, local: Array) -> Array:
        result = _ellipsoid(local, self.bodies[0])
        for body in self.bodies[1:]:
            result = soft_minimum(result, _ellipsoid(local, body), 0.14)
        if self.stalk:
            result = soft_minimum(result, _capsule(local, self.bodies[0, 0], self.stalk), 0.25)
        return result

    def _stone(self, local: Array) -> Array:
        centred = local - np.asarray([[0], [0], [0.55]], np.float32)
        edge = np.float32(_ROUNDING)
        planes = self.facets[:, :3] @ centred - (self.facets[:, 3:] - edge)
        beyond = np.maximum(planes, 0)
        reach = np.sqrt(_squares(centred)) - np.float32(1.15)
        rounded = np.sqrt(np.einsum("fn,fn->n", beyond, beyond)) + np.minimum(planes.max(axis=0), 0) - edge
        return np.asarray(np.maximum(rounded, reach), np.float32)


def soft_minimum(first: Array, second: Array, softness: float) -> Array:
    """The smaller of two distances, rounded where they are closer than `softness`."""
    share = np.minimum(np.maximum(0.5 + (second - first) * np.float32(0.5 / softness), 0), 1)
    return np.asarray(second + (first - second) * share - np.float32(softness) * share * (1 - share), np.float32)


def random_polyp(rng: np.random.Generator, tube: Tube, depth: float, angle: float, wall: Array) -> Lesion:
    """A polyp on the wall whose colour (3,) is `wall`; its radius is drawn from 0.15 to 0.45."""
    kind = rng.choice(["sessile", "lobed", "stalked", "flat"], p=[0.45, 0.25, 0.15, 0.15])
    bodies = _bodies(rng, str(kind))
    tint = rng.normal((1.04, 0.92, 0.93), (0.07, 0.15, 0.14))
    return _placed(
        rng,
        tube,
        (depth, angle),
        radius=float(rng.uniform(0.15, 0.45)),
        bodies=bodies,
        stalk=float(rng.uniform(0.28, 0.45)) if kind == "stalked" else 0.0,
        melt=float(rng.uniform(0.25, 0.4) if kind == "flat" else rng.uniform(0.05, 0.22)),
        ripple=float(rng.uniform(0.0, 0.055)),
        colour=np.clip(wall * np.clip(tint, 0.55, 1.35), 0.02, 0.95).astype(np.float32),
        pits=float(rng.normal(0.08, 0.1)),
        gloss=float(rng.uniform(0.3, 1.1)),
    )


def random_stone(rng: np.random.Generator, tube: Tube, depth: float, angle: float) -> Lesion:
    """A faceted stone, yellow, brown, grey or black; its radius is drawn from 0.12 to 0.4."""
    count = int(rng.integers(11, 22))
    normals = rng.standard_normal((count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    stretch = rng.uniform(0.75, 1.2, 3)
    offsets = rng.uniform(0.62, 0.95, (count, 1)) * np.linalg.norm(normals * stretch, axis=1, keepdims=True)
    palette = ((0.72, 0.55, 0.28), (0.42, 0.24, 0.10), (0.55, 0.50, 0.42), (0.80, 0.72, 0.52), (0.2, 0.14, 0.1))
    colour = np.asarray(palette[int(rng.choice(5, p=[0.35, 0.25, 0.15, 0.2, 0.05]))]) * rng.uniform(0.85, 1.2, 3)
    return _placed(
        rng,
        tube,
        (depth, angle),
        radius=float(rng.uniform(0.12, 0.4)),
        facets=np.hstack([normals, offsets]).astype(np.float32),
        melt=0.02,
        ripple=float(rng.uniform(0.02, 0.09)),
        colour=np.clip(colour, 0.03, 0.95).astype(np.float32),
        pits=float(rng.uniform(0.1, 0.5)),
        gloss=float(rng.uniform(0.05, 0.5)),
    )


def _bodies(rng: np.random.Generator, kind: str) -> Array:
    """The ellipsoids (B, 2, 3) of one kind of polyp."""
    across = rng.uniform(0.75, 1.15, 2)
    if kind == "flat":
        return np.asarray([[(0, 0, 0.0), (*across * 1.2, rng.uniform(0.22, 0.4))]], np.float32)
    if kind == "stalked":
        head = (*rng.normal(0, 0.5, 2).clip(-0.8, 0.8), rng.uniform(0.9, 1.4))
        return np.asarray([[head, (*across * 0.9, rng.uniform(0.7, 1.0))]], np.float32)
    bodies = [[(0, 0, rng.uniform(-0.1, 0.4)), (*across, rng.uniform(0.5, 0.95))]]
    for _ in range(int(rng.integers(2, 7)) if kind == "lobed" else int(rng.integers(0, 2))):
        turn, lift = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.9)
        centre = (0.75 * np.cos(turn) * across[0], 0.75 * np.sin(turn) * across[1], lift)
        bodies.append([centre, tuple(rng.uniform(0.3, 0.6) * rng.uniform(0.85, 1.15, 3))])
    return np.asarray(bodies, np.float32)


def _placed(
    rng: np.random.Generator,
    tube: Tube,
    place: tuple[float, float],
    *,
    radius: float,
    melt: float,
    ripple: float,
    colour: Array,
    pits: float,
    gloss: float,
    bodies: Array | None = None,
    facets: Array | None = None,
    stalk: float = 0.0,
) -> Lesion:
    point, inward = tube.anchor(*place)
    along = unit(np.cross(inward, (0.0, 0.0, 1.0)).astype(np.float32))
    across = np.cross(inward, along)
    spin = rng.uniform(0, 2 * np.pi)
    first = np.cos(spin) * along + np.sin(spin) * across
    frame = np.stack([first, np.cross(inward, first), inward]).astype(np.float32)
    return Lesion(
        point=point,
        frame=frame,
        radius=radius,
        bodies=np.zeros((0, 2, 3), np.float32) if bodies is None else bodies,
        facets=np.zeros((0, 4), np.float32) if facets is None else facets,
        stalk=stalk,
        melt=melt,
        ripple=ripple,
        colour=colour,
        pits=pits,
        gloss=gloss,
        variant=int(rng.integers(6)),
    )


def _ellipsoid(local: Array, body: Array) -> Array:
    scaled = (local - body[0][:, None]) / body[1][:, None]
    reach = np.sqrt(_squares(scaled) + np.float32(1e-9))
    steep = np.sqrt(_squares(scaled / body[1][:, None]) + np.float32(1e-9))
    return np.asarray(reach * (reach - 1) / steep, np.float32)


def _squares(vectors: Array) -> Array:
    x, y, z = vectors
    return np.asarray(x * x + y * y + z * z, np.float32)


def _capsule(local: Array, end: Array, radius: float) -> Array:
    share = np.minimum(np.maximum((end @ local) / np.float32(end @ end), 0), 1)
    return np.asarray(np.sqrt(_squares(local - end[:, None] * share)) - np.float32(radius), np.float32)
