from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.data.labels.layout import find_labeled
from endoseg_cli.data.labels.mask_reader import read_label
from endoseg_cli.pictures.images import read_image, read_mask
from endoseg_cli.video.reading.reader import VideoReader
from tests.conftest import Run
from tests.data.drawing import draw_frame, save, save_video
from tests.networks.tiny import calibrated_bundle, constant_bundle, save_to

Endoseg = Callable[..., Run]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a clip of 12 seconds, two pictures of one patient, and a black one."""
    save_video(tmp_path / "in" / "clip.avi", frames=120, rate=10)
    for seed in (5, 6):
        save(tmp_path / "in" / "p1" / f"{seed}.jpg", draw_frame(seed))
    save(tmp_path / "in" / "p1" / "black.png", np.zeros((48, 64, 3), np.uint8))
    return tmp_path / "in"


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "suggestions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_suggestions_are_ready_to_be_corrected_and_trained_on(
    endoseg: Endoseg, data: Path, lesion_everywhere: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "next"
    run = endoseg("suggest", "--unlabeled", data, "--weights", lesion_everywhere, "--count", 5, "--out", out)
    assert (run.code, run.stdout) == (0, f"{out}\n"), run.stderr
    assert "looked at 27 frames, left out 1 that are black" in run.stderr
    assert sorted(path.name for path in out.iterdir()) == ["annotations.json", "images", "masks", "suggestions.csv"]
    assert [path.name for path in out.parent.iterdir()] == ["next"], "nothing is left beside it"
    table = rows(out)
    assert [row["rank"] for row in table] == ["1", "2", "3", "4", "5"]
    assert not any("black" in row["image"] for row in table)
    records = {record.image: record for record in find_labeled(out)}
    of_coco = {record.image: record for record in find_labeled(out / "annotations.json")}
    assert set(records) == set(of_coco) == {out / "images" / row["image"] for row in table}
    for image, record in records.items():
        mask = read_mask(record.mask)
        assert mask.all() and mask.shape == read_image(image).shape[:2]
        np.testing.assert_array_equal(read_label(image, of_coco[image].mask), mask)
    for source in (out, out / "annotations.json"):
        assert endoseg("check", "--labeled", source).code == 0


def test_frames_of_a_video_are_its_own_pictures_and_not_one_moment(
    endoseg: Endoseg, data: Path, random_model: Path, tmp_path: Path
) -> None:
    clip, out = data / "clip.avi", tmp_path / "next"
    run = endoseg("suggest", "--unlabeled", clip, "--weights", random_model, "--count", 3, "--out", out)
    assert run.code == 0, run.stderr
    with VideoReader(clip) as reader:
        pictures = {frame.index: frame.rgb for frame in reader}
    times = []
    for row in rows(out):
        assert row["source"] == clip.name and row["image"] == f"clip/clip_{int(row['frame']):06d}.png"
        assert float(row["seconds"]) == pytest.approx(int(row["frame"]) / 10)
        assert float(row["disagreement"]) > 0 and 0 < float(row["uncertainty"]) <= 1
        np.testing.assert_array_equal(read_image(out / "images" / row["image"]), pictures[int(row["frame"])])
        times.append(float(row["seconds"]))
    assert np.diff(sorted(times)).min() >= 1
    again = tmp_path / "again"
    assert endoseg("suggest", "--unlabeled", clip, "--weights", random_model, "--count", 3, "--out", again).code == 0
    assert (again / "suggestions.csv").read_bytes() == (out / "suggestions.csv").read_bytes()


def test_labelled_frames_are_not_suggested_again(endoseg: Endoseg, tmp_path: Path) -> None:
    for seed in range(6):
        save(tmp_path / "in" / f"{seed}.png", draw_frame(seed))
    weights = save_to(tmp_path, calibrated_bundle())
    options = ("--unlabeled", tmp_path / "in", "--weights", weights, "--count", 3)
    assert endoseg("suggest", *options, "--out", tmp_path / "first").code == 0
    second = endoseg("suggest", *options, "--labeled", tmp_path / "first", "--out", tmp_path / "second")
    assert second.code == 0, second.stderr
    names = [{row["image"] for row in rows(tmp_path / name)} for name in ("first", "second")]
    assert not names[0] & names[1] and len(names[0] | names[1]) == 6


def test_fewer_frames_than_asked_for_and_one_network_are_said(endoseg: Endoseg, data: Path, tmp_path: Path) -> None:
    weights = save_to(tmp_path, constant_bundle(1.0))
    options = ("--unlabeled", data / "p1", "--weights", weights)
    run = endoseg("suggest", *options, "--out", tmp_path / "o")
    assert run.code == 0 and "there are 2 frames that can be labelled, 50 were asked for" in run.stderr
    assert "the model has one network" in run.stderr
    assert [row["disagreement"] for row in rows(tmp_path / "o")] == ["", ""]


def test_classes_keep_their_names_and_equal_names_do_not_meet(
    endoseg: Endoseg, two_classes: Path, tmp_path: Path
) -> None:
    for suffix, seed in (("png", 1), ("jpg", 2)):
        save(tmp_path / "in" / f"a.{suffix}", draw_frame(seed))
    out = tmp_path / "o"
    assert endoseg("suggest", "--unlabeled", tmp_path / "in", "--weights", two_classes, "--out", out).code == 0
    assert len(find_labeled(out)) == 2
    content = json.loads((out / "annotations.json").read_text())
    assert [category["name"] for category in content["categories"]] == ["polyp", "instrument"]
    assert {annotation["category_id"] for annotation in content["annotations"]} == {1}


def test_a_broken_file_among_others_is_told_and_left_out(
    endoseg: Endoseg, data: Path, random_model: Path, tmp_path: Path
) -> None:
    (data / "broken.mp4").write_text("no video")
    (data / "p1" / "broken.png").write_text("no picture")
    run = endoseg("suggest", "--unlabeled", data, "--weights", random_model, "--count", 2, "--out", tmp_path / "o")
    assert run.code == 7 and "broken.mp4" in run.stderr and "broken.png" in run.stderr
    assert len(rows(tmp_path / "o")) == 2


def test_wrong_use_writes_nothing(endoseg: Endoseg, data: Path, random_model: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    save(taken / "masks" / "corrected.png", draw_frame(0))
    out = tmp_path / "o"
    black = data / "p1" / "black.png"
    for code, options in (
        (4, ("--unlabeled", data, "--out", taken)),
        (3, ("--unlabeled", tmp_path / "none", "--out", out)),
        (3, ("--unlabeled", taken / "masks" / "..", "--unlabeled", tmp_path / "none", "--out", out)),
        (3, ("--unlabeled", black, "--out", out)),
        (2, ("--unlabeled", data, "--out", out, "--count", 0)),
        (2, ("--unlabeled", data, "--out", out, "--frames-per-second", 0)),
        (2, ("--out", out)),
        (5, ("--unlabeled", data, "--out", out, "--weights", "no-such-model")),
    ):
        run = endoseg("suggest", "--weights", random_model, *options)
        assert run.code == code and "Traceback" not in run.stderr, (options, run.stderr)
    assert not out.exists() and len(list(taken.rglob("*.png"))) == 1


def test_masks_stay_within_the_endoscopes_picture_for_a_model_that_sees_it_alone(
    endoseg: Endoseg, tmp_path: Path
) -> None:
    bundle = constant_bundle(8.0)
    model = save_to(tmp_path, replace(bundle, card=replace(bundle.card, field_of_view="auto")))
    picture = np.zeros((96, 160, 3), np.uint8)
    picture[:, 80:] = np.maximum(draw_frame(3, (96, 80)), (60, 0, 0)) // (1, 3, 3)
    save(tmp_path / "in" / "a.png", picture)
    run = endoseg("suggest", "--unlabeled", tmp_path / "in", "--weights", model, "--count", 1, "--out", tmp_path / "o")
    assert run.code == 0, run.stderr
    mask = read_mask(next((tmp_path / "o" / "masks").rglob("*.png")))
    assert mask.shape == (96, 160) and not mask[:, :78].any() and mask[8:-8, 88:-8].all()
