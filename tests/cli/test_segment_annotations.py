from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from endoseg_cli.annotations.shapes.polygons import within_a_pixel
from endoseg_cli.cli.commands.check import check
from endoseg_cli.cli.commands.evaluate import evaluate
from endoseg_cli.cli.commands.segment import segment
from endoseg_cli.cli.commands.train import train
from endoseg_cli.data.labels.layout import find_labeled
from endoseg_cli.data.labels.mask_reader import read_label
from endoseg_cli.errors import EndosegError, OutputError, UsageError
from endoseg_cli.networks.architecture.unet import UNet, UNetConfig
from endoseg_cli.networks.files.bundle import Bundle, ModelCard, save_bundle
from endoseg_cli.pictures.images import read_image, read_mask
from endoseg_cli.video.reading.reader import VideoReader
from tests.data.drawing import draw_frame, save, save_video

app = typer.Typer()
for command in (segment, check, evaluate, train):
    app.command()(command)
runner = CliRunner()
FRAMES = 6


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained light network; what it predicts is arbitrary, and the same each time."""
    torch.manual_seed(3)
    config = UNetConfig(encoder="mobilenet_v2", decoder_channels=(16, 8, 8, 8, 8), reducer=False)
    card = ModelCard(architecture=config, networks=1, input_size=(64, 64), class_names=("polyp",))
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_bundle(Bundle(card=card, networks=(UNet(config).eval(),)), path)
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return save_video(tmp_path / "in" / "my clip.avi", frames=FRAMES)


def run(weights: Path, *options: str | Path) -> Result:
    threshold = ("--threshold", "0.48")  # about half of what the untrained network says
    return runner.invoke(app, ["segment", *map(str, options), "--weights", str(weights), "--device", "cpu", *threshold])


def done(weights: Path, *options: str | Path) -> Result:
    result = run(weights, *options)
    assert result.exit_code == 0, result.output
    return result


def refused(weights: Path, *options: str | Path) -> EndosegError:
    error = run(weights, *options).exception
    assert isinstance(error, EndosegError), error
    return error


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_clip_goes_to_coco_and_comes_back_as_labels_within_a_pixel(tmp_path: Path, clip: Path, weights: Path) -> None:
    out = tmp_path / "out"
    annotations, frames, masks = out / "labels.json", out / "images", out / "masks"
    result = done(weights, clip, "--annotations", annotations, "--frames-dir", frames, "--masks-dir", masks)
    assert set(result.stdout.splitlines()) == {str(annotations), str(frames), str(masks)}
    records = find_labeled(annotations)
    assert [record.image.name for record in records] == [f"my clip_{index:06d}.png" for index in range(FRAMES)]
    assert [path.name for path in sorted(out.iterdir())] == ["images", "labels.json", "masks"], "no part is left"
    lesions = 0
    for index, record in enumerate(records):
        mask = read_mask(masks / f"{index:06d}.png")
        assert within_a_pixel(read_label(record.image, record.mask), mask)
        lesions += int(mask.any() and not mask.all())
    assert lesions, "the test means something"


def test_frames_are_the_video_s_own_pictures(tmp_path: Path, clip: Path, weights: Path) -> None:
    done(weights, clip, "--frames-dir", tmp_path / "f", "--every", "2", "--start", "0.1")
    assert [path.name[-10:] for path in sorted((tmp_path / "f").iterdir())] == [
        "000001.png",
        "000003.png",
        "000005.png",
    ]
    with VideoReader(clip) as reader:
        pictures = {frame.index: frame.rgb for frame in reader}
    for index in (1, 3, 5):
        np.testing.assert_array_equal(read_image(tmp_path / "f" / f"my clip_{index:06d}.png"), pictures[index])


def test_labelme_files_lie_beside_their_frames_and_train_again(tmp_path: Path, clip: Path, weights: Path) -> None:
    folder = tmp_path / "correct"
    options = ("--annotation-format", "labelme", "--frames-dir", folder)
    done(weights, clip, "--annotations", folder, *options)
    assert load(folder / "my clip_000002.json")["imagePath"] == "my clip_000002.png"
    assert len(find_labeled(folder)) == FRAMES
    assert isinstance(refused(weights, clip, "--annotations", folder, *options), OutputError)
    done(weights, clip, "--annotations", folder, *options, "--overwrite")
    checked = runner.invoke(app, ["check", "--labeled", str(folder), "--json"])
    assert json.loads(checked.stdout)["labeled"]["read"] == FRAMES
    scored = runner.invoke(
        app, ["evaluate", "--labeled", str(folder), "--weights", str(weights), "--device", "cpu", "--threshold", "0.48"]
    )
    assert scored.exit_code == 0, scored.output


def test_evaluate_finds_a_model_right_about_its_own_annotations(tmp_path: Path, clip: Path, weights: Path) -> None:
    file = tmp_path / "a.json"
    done(weights, clip, "--annotations", file, "--frames-dir", tmp_path / "images")
    options = ["--weights", str(weights), "--device", "cpu", "--threshold", "0.48", "--json"]
    scored = runner.invoke(app, ["evaluate", "--labeled", str(file), *options])
    assert json.loads(scored.stdout)["summary"]["dice"]["mean"] > 0.95


def test_several_inputs_keep_their_folders_and_pictures_their_names(tmp_path: Path, clip: Path, weights: Path) -> None:
    save(clip.parent / "p2" / "still.JPG", draw_frame(3))
    out = tmp_path / "out"
    options = ("--annotations", out / "a.xml", "--frames-dir", out / "images", "--every", "3")
    done(weights, clip.parent, *options)
    names = [image.attrib["name"] for image in ElementTree.parse(out / "a.xml").getroot().findall("image")]
    assert sorted(names) == ["my clip/my clip_000000.png", "my clip/my clip_000003.png", "p2/still.JPG"]
    assert all((out / "images" / name).is_file() for name in names)
    assert (out / "images" / "p2" / "still.JPG").read_bytes() == (clip.parent / "p2" / "still.JPG").read_bytes()


def test_yolo_gets_labels_beside_images(tmp_path: Path, clip: Path, weights: Path) -> None:
    options = ("--annotation-format", "yolo", "--frames-dir", tmp_path / "set" / "images")
    done(weights, clip, "--annotations", tmp_path / "set", *options)
    stems = [path.stem for path in sorted((tmp_path / "set" / "images").iterdir())]
    assert [path.stem for path in sorted((tmp_path / "set" / "labels").iterdir())] == stems
    assert (tmp_path / "set" / "data.yaml").is_file()


def test_a_folder_of_pictures_is_labelled_in_place(tmp_path: Path, weights: Path) -> None:
    for seed in range(2):
        save(tmp_path / "p" / f"{seed}.png", draw_frame(seed))
    options = ("--annotations", tmp_path / "p", "--annotation-format", "labelme", "--frames-dir", tmp_path / "p")
    done(weights, tmp_path / "p", *options)
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["0.json", "0.png", "1.json", "1.png"]
    assert load(tmp_path / "p" / "1.json")["imagePath"] == "1.png"


def test_json_names_the_annotations(tmp_path: Path, weights: Path) -> None:
    picture = save(tmp_path / "a.png", draw_frame(1))
    report = json.loads(done(weights, picture, "--annotations", tmp_path / "a.json", "--json", "-q").stdout)
    assert report["annotations"] == str(tmp_path / "a.json")
    assert load(tmp_path / "a.json")["images"][0]["file_name"] == "a.png"


def test_wrong_options_are_refused_before_anything_is_written(tmp_path: Path, clip: Path, weights: Path) -> None:
    out = tmp_path / "out"
    save(tmp_path / "in" / "my clip.png", draw_frame(0))
    (tmp_path / "file").touch()
    wrong: tuple[tuple[type[EndosegError], tuple[str | Path, ...], str], ...] = (
        (UsageError, (clip, "--annotations", out), "--annotation-format"),
        (UsageError, (clip, "--out", out / "m.mp4", "--annotation-format", "coco"), "belongs to --annotations"),
        (UsageError, (clip, "--annotations", out / "a.json", "--annotation-format", "labelme"), "expected a folder"),
        (UsageError, (clip.parent, "--annotations", out / "a.json"), "same names"),
        (OutputError, (clip, "--frames-dir", tmp_path / "file"), "found a file"),
    )
    for kind, options, message in wrong:
        error = refused(weights, *options)
        assert isinstance(error, kind) and message in str(error), error
    assert not out.exists()


def test_frames_are_replaced_only_when_asked(tmp_path: Path, clip: Path, weights: Path) -> None:
    done(weights, clip, "--frames-dir", tmp_path / "f", "--every", "5")
    assert "--overwrite" in str(refused(weights, clip, "--frames-dir", tmp_path / "f"))
    done(weights, clip, "--frames-dir", tmp_path / "f", "--overwrite")
    assert len(list((tmp_path / "f").iterdir())) == FRAMES


def test_corrected_outlines_are_what_is_read(tmp_path: Path, weights: Path) -> None:
    picture = save(tmp_path / "a.png", draw_frame(1))
    done(weights, picture, "--annotations", tmp_path / "a.json")
    content = load(tmp_path / "a.json")
    corrected = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[5, 6, 20, 6, 20, 16, 5, 16]], "iscrowd": 0}
    content["annotations"] = [corrected]
    (tmp_path / "a.json").write_text(json.dumps(content))
    (record,) = find_labeled(tmp_path / "a.json")
    expected = cv2.rectangle(np.zeros((48, 64), np.uint8), (5, 6), (19, 15), 1, -1)
    np.testing.assert_array_equal(read_label(record.image, record.mask), expected > 0)


def test_a_model_trains_on_annotations(tmp_path: Path, clip: Path, weights: Path) -> None:
    done(weights, clip, "--annotations", tmp_path / "a.json", "--frames-dir", tmp_path / "images")
    network = (
        "--encoder",
        "mobilenet_v2",
        "--decoder-channels",
        "8,8,8,8,8",
        "--size",
        "32",
        "--encoder-weights",
        "none",
        "--no-corrective",
    )
    schedule = ("--size", "32", "--max-steps", "1", "--batch-size", "2", "--val-fraction", "0.4", "--device", "cpu")
    options = ("--labeled", str(tmp_path / "a.json"), "--out", str(tmp_path / "run"), *network, *schedule)
    trained = runner.invoke(app, ["train", *options])
    assert trained.exit_code == 0, trained.output
    assert (tmp_path / "run" / "model.safetensors").is_file()
