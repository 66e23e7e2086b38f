from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from endoseg_cli.phantom.picture.render import render, render_mask
from endoseg_cli.phantom.picture.sampling import resized, sample_scene
from endoseg_cli.phantom.picture.tracing import trace
from endoseg_cli.phantom.world.camera import Wobble
from endoseg_cli.phantom.world.disturbances import Disturbance
from endoseg_cli.phantom.world.lesions import Lesion
from endoseg_cli.phantom.world.scene import Instrument, Scene

SIZE = (72, 72)


def scene_with_lesion(kind: str) -> Scene:
    """A scene that shows a lesion, without instrument, disturbances or noise."""
    for seed in range(50):
        scene = sample_scene(kind, seed, 0.1)
        calm = replace(scene.sensor, noise=0.0, quality=100, console=False)
        scene = replace(scene, instrument=None, disturbances=(), sensor=calm, specks=0)
        if 0.04 < render(scene, SIZE).fraction < 0.3:
            return scene
    raise AssertionError("no scene found")


@pytest.mark.parametrize("kind", ["colon", "ureter"])
def test_the_mask_is_where_the_lesion_stands_before_the_wall(kind: str) -> None:
    scene = scene_with_lesion(kind)
    pose = scene.path.pose(scene.tube, 0.0)
    directions, visible = scene.lens.rays(SIZE)
    rays = pose.world(directions.reshape(3, -1))
    pixel = scene.lens.half_angle / max(scene.lens.half_pixels(SIZE))
    there = trace(scene, pose, rays, pixel).distance
    gone = trace(replace(scene, lesions=()), pose, rays, pixel).distance
    nearer = ((gone - there).reshape(SIZE) > 0.05) & (visible >= 0.5)
    mask = render(scene, SIZE).mask > 0
    assert (nearer & mask).sum() > 0.9 * mask.sum()
    near_mask = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert (nearer & ~near_mask).sum() < 0.05 * mask.sum()


@pytest.mark.parametrize("kind", ["colon", "ureter"])
def test_the_picture_changes_where_the_mask_is(kind: str) -> None:
    scene = scene_with_lesion(kind)
    frame, without = render(scene, SIZE), render(replace(scene, lesions=()), SIZE)
    assert not without.mask.any()
    change = np.abs(frame.picture.astype(float) - without.picture).mean(axis=-1)
    mask = frame.mask > 0
    far = (cv2.dilate(frame.mask, np.ones((25, 25), np.uint8)) == 0) & (without.picture.max(axis=-1) > 20)
    assert np.median(change[mask]) > 2 * np.median(change[far])


def test_the_quick_mask_is_the_rendered_one() -> None:
    scene = scene_with_lesion("colon")
    np.testing.assert_array_equal(render_mask(scene, SIZE), render(scene, SIZE).mask)


def test_larger_lesions_cover_more() -> None:
    scene = scene_with_lesion("colon")
    assert (render_mask(resized(scene, 1.4), SIZE) > 0).mean() > 1.3 * (render_mask(scene, SIZE) > 0).mean()


def test_nothing_shows_outside_the_field_of_view() -> None:
    scene = scene_with_lesion("colon")
    lens = replace(scene.lens, shape="round", centre=(0.5, 0.5), half_sides=(0.4, 0.4))
    frame = render(replace(scene, lens=lens), SIZE)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5 - SIZE[0] / 2
    outside = np.hypot(rows, columns) > 0.4 * SIZE[0] + 3
    assert frame.picture[outside].max() < 25
    assert not frame.mask[outside].any()


def test_water_and_bubbles_spoil_the_picture_but_keep_the_truth() -> None:
    scene = scene_with_lesion("colon")
    clear = render(scene, SIZE)
    for name in ("motion_blur", "out_of_focus", "glare", "smoke", "bubbles", "wash_out"):
        frame = render(with_event(scene, name), SIZE)
        assert frame.disturbances == (name,)
        np.testing.assert_array_equal(frame.mask, clear.mask)
        assert np.abs(frame.picture.astype(float) - clear.picture).mean() > 1.5, name


def test_the_wall_on_the_lens_hides_the_lesion() -> None:
    scene = with_event(scene_with_lesion("colon"), "wall_contact")
    assert not render(scene, SIZE).mask.any()
    assert render(scene, SIZE, 5.0).mask.any()


def test_the_instrument_hides_the_lesion() -> None:
    scene = scene_with_lesion("ureter")
    rod = Instrument(
        start=np.asarray((0, 0, 0.05), np.float32),
        tip=np.asarray((0, 0, 0.1), np.float32),
        radius=0.04,
        colour=np.ones(3, np.float32),
        aiming=np.zeros(3, np.float32),
    )
    facing = replace(scene.path, attention=np.ones(1, np.float32), wobble=still(scene))
    scene = replace(scene, path=facing)
    assert render(replace(scene, instrument=rod), SIZE).fraction < 0.8 * render(scene, SIZE).fraction


def test_a_lesion_bulges_out_of_the_wall() -> None:
    lesion: Lesion = scene_with_lesion("colon").lesions[0]
    along = np.linspace(0.1, 2.5, 13, dtype=np.float32) * lesion.radius
    distance = lesion.distance(lesion.middle[:, None] + lesion.frame[2][:, None] * along)
    assert lesion.distance(lesion.middle[:, None])[0] < 0
    assert (np.diff(distance) > 0).all() and distance[-1] > 0


def with_event(scene: Scene, name: str) -> Scene:
    event = Disturbance(name=name, start=-0.5, duration=1.0, strength=0.9, seed=4)
    return replace(scene, disturbances=(event,))


def still(scene: Scene) -> Wobble:
    return replace(scene.path.wobble, amplitude=np.zeros_like(scene.path.wobble.amplitude))
