"""Light on what the rays meet: a head light, wet highlights, and the colours of wall, lesion and instrument."""

from __future__ import annotations

import numpy as np

from endoseg_cli.phantom.picture.tracing import FAR, Hits
from endoseg_cli.phantom.world.camera import Pose
from endoseg_cli.phantom.world.lesions import Lesion
from endoseg_cli.phantom.world.scene import Instrument, Scene, Wall
from endoseg_cli.phantom.world.tables import Array, smooth_step, unit
from endoseg_cli.phantom.world.textures import VARIANTS, Tile, foam_tile, lesion_tile, mucosa_tile, stone_tile

_TILE_SIZE = np.pi  # one wall tile covers this many lumen radii: two go around
_LESION_TILE_SIZE = 3.4  # one lesion tile covers this many lesion radii
_LAMPS = ((-0.10, 0.02, 0.0), (0.10, 0.03, 0.0))  # either side of the camera, in its axes


def shade(scene: Scene, pose: Pose, directions: Array, hits: Hits, pixel: float) -> Array:
    """Linear light (3, N) that comes back along the rays; `pixel` is the angle one pixel covers, in radians."""
    footprint = hits.distance * np.float32(pixel)
    normal = scene.tube.normals(hits.points)
    facing = np.maximum(np.abs((normal * directions).sum(axis=0)), 0.25)
    colour, relief, gloss = _wall(scene, hits, footprint / (facing * np.float32(_TILE_SIZE)), normal)
    colour *= _contact(scene, hits)
    for lesion, share in zip(scene.lesions, hits.lesion_share, strict=True):
        chosen = np.flatnonzero(share > 0)
        if chosen.size:
            own = _lesion(lesion, hits.points[:, chosen], footprint[chosen])
            for whole, part in zip((normal, colour, relief, gloss), own, strict=True):
                whole[..., chosen] += share[chosen] * (part - whole[..., chosen])
    rod = np.flatnonzero(hits.instrument)
    if rod.size and scene.instrument is not None:
        normal[:, rod] = unit(_rod_normals(scene.instrument, pose, hits.points[:, rod]))
        colour[:, rod], relief[:, rod], gloss[rod] = 0.4 * scene.instrument.colour[:, None], 0, 0.3
    normal = unit(normal)
    light = (
        _diffuse(pose, hits, unit(normal + 0.3 * relief), colour)
        + _highlights(pose, directions, hits, normal + relief) * gloss
    )
    light += _aiming(scene, pose, hits, colour)
    return np.asarray(light * (hits.distance < FAR), np.float32)


def _wall(scene: Scene, hits: Hits, footprint: Array, normal: Array) -> tuple[Array, Array, Array]:
    """Colour (3, N), relief (3, N) and gloss (N,) of the mucosa."""
    wall = scene.wall
    place = _unrolled(scene, hits.points)
    around, along = _tangents(scene, hits.points, normal)
    detail = mucosa_tile(wall.variant).sample(place, footprint)
    coarse = place * np.asarray([[0.5], [0.4]], np.float32) + np.float32(0.3)
    broad = mucosa_tile((wall.variant + 1) % VARIANTS).sample(coarse, 0.5 * footprint)[:, 0]
    relief = around * detail[:, 2] + along * detail[:, 3]
    flat = smooth_step(0.5, 0.8, np.abs(normal[2]))  # faces of folds, where the unrolled tile would be stretched
    faces = np.flatnonzero(flat)
    if faces.size:
        front = mucosa_tile(wall.variant).sample(hits.points[:2, faces] / np.float32(_TILE_SIZE), footprint[faces])
        detail[faces] += flat[faces, None] * (front - detail[faces])
        slope = np.vstack([front[:, 2:].T, np.zeros((1, faces.size), np.float32)])
        relief[:, faces] += flat[faces] * (slope - relief[:, faces])
    mottle, vessels = detail[:, 0], detail[:, 1]
    tint = np.asarray((0.05, 0.13, 0.11), np.float32)[:, None] * np.float32(wall.mottle)
    colour = wall.colour[:, None] * np.exp(tint * (0.7 * mottle + broad))
    colour *= 1 - np.asarray((0.2, 0.62, 0.55), np.float32)[:, None] * (vessels * np.float32(wall.vessels))
    relief *= np.float32(wall.relief) * np.exp(0.6 * broad)
    gloss = np.float32(wall.gloss) * smooth_step(-1.2, 1.0, broad)
    if wall.stain:
        _stain(wall, colour, mottle, broad)
    if wall.foam:
        gloss = _foam(wall, place, footprint, broad, colour, gloss)
    return np.asarray(colour, np.float32), np.asarray(relief, np.float32), gloss


def _unrolled(scene: Scene, points: Array) -> Array:
    """Where points (3, N) lie on the unrolled wall: (2, N), in tiles."""
    angle, rho = scene.tube.coordinates(points)
    u = angle * np.float32(1 / np.pi) + np.float32(scene.wall.turn)
    return np.stack([u, (points[2] - 0.7 * rho) / np.float32(_TILE_SIZE)])


def _tangents(scene: Scene, points: Array, normal: Array) -> tuple[Array, Array]:
    angle, _ = scene.tube.coordinates(points)
    around = np.stack([-np.sin(angle), np.cos(angle), np.zeros_like(angle)])
    return around, np.cross(normal, around, axis=0)


def _stain(wall: Wall, colour: Array, mottle: Array, broad: Array) -> None:
    """Put yellow fluid and crumbs on the wall's colour, in place."""
    pattern = 0.6 * mottle + broad
    level = 2.3 - 2.4 * wall.stain
    cover = smooth_step(level, level + 0.8, pattern)
    fluid = np.asarray((0.46, 0.27, 0.06), np.float32)[:, None] * np.exp(0.25 * mottle)
    colour += 0.85 * cover * (fluid - colour)


def _foam(wall: Wall, place: Array, footprint: Array, broad: Array, colour: Array, gloss: Array) -> Array:
    """Put bubbles on the wall's colour, in place; returns the gloss (N,) with their glints."""
    rim, glint, covered, inside = foam_tile(wall.variant).sample(np.float32(1.5) * place, np.float32(1.5) * footprint).T
    level = 1.6 - 3.0 * wall.foam
    cover = smooth_step(level, level + 0.25, broad) * covered
    bright = np.asarray((0.75, 0.62, 0.36), np.float32)[:, None]
    colour *= 1 + cover * (0.25 * inside - 0.05)
    colour += cover * rim * 0.6 * (bright - colour)
    colour += cover * glint * 3.0
    return np.asarray(gloss * (1 - 0.6 * cover), np.float32)


def _lesion(lesion: Lesion, points: Array, footprint: Array) -> tuple[Array, Array, Array, Array]:
    """Normals (3, M), colour (3, M), relief (3, M) and gloss (M,) of a lesion's surface."""
    normal = lesion.normals(points)
    tile = stone_tile(lesion.variant) if lesion.is_stone else lesion_tile(lesion.variant)
    (mottle, pits), relief = _three_sided(lesion, tile, points, normal, footprint)
    vary = (0.10, 0.14, 0.18) if lesion.is_stone else (0.05, 0.13, 0.12)
    colour = lesion.colour[:, None] * np.exp(np.asarray(vary, np.float32)[:, None] * mottle)
    depth = np.asarray((1, 1, 1) if lesion.is_stone else (0.35, 1.0, 0.9), np.float32)[:, None]
    colour = colour * (1 - depth * np.float32(lesion.pits) * pits)
    if lesion.is_stone:
        normal, relief = unit(normal + 0.35 * relief), 0.2 * relief
    return normal, colour, 0.28 * relief, np.full(points.shape[1], lesion.gloss, np.float32)


def _three_sided(lesion: Lesion, tile: Tile, points: Array, normal: Array, footprint: Array) -> tuple[Array, Array]:
    """The tile projected along the lesion's three axes: its first two channels (2, M), its relief (3, M)."""
    local = lesion.local(points) / np.float32(_LESION_TILE_SIZE)
    weights = (lesion.frame @ normal) ** 4
    weights /= weights.sum(axis=0)
    texels = footprint / np.float32(_LESION_TILE_SIZE * lesion.radius)
    values, relief = np.zeros((2, points.shape[1]), np.float32), np.zeros_like(points)
    for axis, weight in enumerate(weights):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        sample = tile.sample(local[[first, second]] + np.float32(0.37 * axis), texels).T
        values += weight * sample[:2]
        relief += weight * (lesion.frame[first][:, None] * sample[2] + lesion.frame[second][:, None] * sample[3])
    return values, relief


def _contact(scene: Scene, hits: Hits) -> Array:
    """Darkening (N,) of grooves, and of the wall close to a lesion."""
    angle, _ = scene.tube.coordinates(hits.points)
    shade = scene.tube.opening(angle, hits.points[2])
    return np.asarray(shade * (0.6 + 0.4 * smooth_step(-0.02, 0.5, hits.lesion_gap)), np.float32)


def _diffuse(pose: Pose, hits: Hits, normal: Array, colour: Array) -> Array:
    lamp = pose.position + pose.axes.T @ np.asarray((0.0, -0.04, -0.02), np.float32)
    towards = lamp[:, None] - hits.points
    square = (towards * towards).sum(axis=0)
    cosine = (towards * normal).sum(axis=0) / np.sqrt(square)
    wrapped = np.clip((cosine + 0.4) / 1.4, 0, 1)
    direct = wrapped / (square + np.float32(0.15))
    scattered = 0.05 / (hits.distance + np.float32(0.25)) ** 2  # light between the walls, reddened on its way
    return np.asarray(colour * (direct + scattered * (0.1 + 1.5 * colour)), np.float32)


def _highlights(pose: Pose, directions: Array, hits: Hits, rough: Array) -> Array:
    """Highlights (N,) of both lamps on the wet film."""
    normal = unit(rough)
    total = np.zeros(hits.distance.shape, np.float32)
    for place in _LAMPS:
        lamp = pose.position + pose.axes.T @ np.asarray(place, np.float32)
        towards = lamp[:, None] - hits.points
        half = unit(unit(towards) - directions)
        shine = np.maximum((half * normal).sum(axis=0), 0) ** 180
        total += shine / ((towards * towards).sum(axis=0) + np.float32(0.3))
    return 6 * total


def _rod_normals(instrument: Instrument, pose: Pose, points: Array) -> Array:
    start = pose.position + pose.axes.T @ instrument.start
    along = unit(pose.axes.T @ (instrument.tip - instrument.start))
    offset = points - start[:, None]
    return np.asarray(offset - along[:, None] * (along @ offset), np.float32)


def _aiming(scene: Scene, pose: Pose, hits: Hits, colour: Array) -> Array | np.float32:
    """The aiming beam's spot (3, N) in front of the laser fibre."""
    if scene.instrument is None or not scene.instrument.aiming.any():
        return np.float32(0)
    tip = pose.position + pose.axes.T @ scene.instrument.tip
    beam = unit(pose.axes.T @ (scene.instrument.tip - scene.instrument.start))
    offset = hits.points - tip[:, None]
    ahead = beam @ offset
    aside = np.sqrt(np.maximum((offset * offset).sum(axis=0) - ahead**2, 0))
    spot = np.exp(-((aside / (0.03 + 0.12 * np.maximum(ahead, 0))) ** 2)) * (ahead > -0.03) / (0.3 + ahead.clip(0)) ** 2
    return np.asarray(scene.instrument.aiming[:, None] * spot * (0.4 + colour), np.float32)
