"""`endoseg segment --redact` and `--keep-metadata`: nothing burnt in, and nothing told, is left in what is written."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from endoseg_cli.pictures.images import read_image, write_png
from endoseg_cli.video.geometry.rotation import stored, upright
from tests.burnt_in import BOX, LABEL, NAME, SIZE, burnt_in, pictures_in, shows, shows_any, video_in
from tests.conftest import Run
from tests.inference.brightness import decode
from tests.pictures.exif import SECRET, told_jpeg
from tests.video.rendering import Clip, Picture, render_clip

Endoseg = Callable[..., Run]
BOTH = ("--redact", "outside-field-of-view", "--redact", BOX)
FORMATS = [
    {"pixel_format": "yuv420p"},
    {"pixel_format": "yuvj420p", "full_range": True},
    {"pixel_format": "yuv420p10le"},
    {"pixel_format": "yuv444p"},
    {"rotation": 90, "size": SIZE[::-1]},
    {"rotation": 180},
]


def turned(rotation: int) -> Callable[[int, tuple[int, int]], Picture]:
    """Make pictures that are stored so that this turn makes them upright."""
    return lambda index, size: stored(burnt_in(index), rotation)


def clip(folder: Path, **peculiar: Any) -> Path:
    peculiar = {"size": SIZE, "frames": 4, "options": {"crf": "10"}, **peculiar}
    picture = turned(peculiar.get("rotation", 0))
    return render_clip(folder, Clip(**{"name": "in.mp4", "picture": picture, **peculiar}))


def seen(video: Path, rotation: int = 0) -> list[Picture]:
    """Decode a video's frames as a viewer sees them."""
    return [upright(picture, rotation) for picture in decode(video)[0]]


@pytest.mark.parametrize("peculiar", FORMATS, ids=str)
def test_every_overlay_is_blank_there_in_every_frame(
    endoseg: Endoseg, tmp_path: Path, lesion_nowhere: Path, peculiar: dict[str, Any]
) -> None:
    path, rotation = clip(tmp_path, **peculiar), int(peculiar.get("rotation", 0))
    options = ("--overlay", tmp_path / "o.mp4", "--weights", lesion_nowhere, "--every", 2, "--overwrite")
    assert endoseg("segment", path, *options).code == 0
    assert all(shows(frame, NAME) and shows(frame, LABEL) for frame in seen(tmp_path / "o.mp4", rotation))
    run = endoseg("segment", path, *options, *BOTH)
    assert run.code == 0, run.stderr
    frames = seen(tmp_path / "o.mp4", rotation)
    assert len(frames) == 4 and not any(shows_any(frame) for frame in frames)
    assert all(frame[80, 100].max() > 100 for frame in frames)


def test_luma_is_flat_black_after_decoding(endoseg: Endoseg, tmp_path: Path, lesion_everywhere: Path) -> None:
    path = clip(tmp_path)
    options = ("--overlay", tmp_path / "o.mp4", "--weights", lesion_everywhere)
    assert endoseg("segment", path, *options, "--redact", "0,30,46,50").code == 0
    with av.open(str(tmp_path / "o.mp4")) as container:
        for frame in container.decode(video=0):
            assert {int(value) for value in np.unique(frame.to_ndarray(format="gray")[32:78, :44])} <= {
                0,
                1,
                15,
                16,
                17,
            }


def test_a_page_shows_none_of_it(endoseg: Endoseg, tmp_path: Path, lesion_everywhere: Path) -> None:
    path, page = clip(tmp_path), tmp_path / "p.html"
    options = ("--report", page, "--weights", lesion_everywhere, "--overlay-strength", 0, "--overwrite")
    assert endoseg("segment", path, *options).code == 0
    assert all(shows(picture, NAME) for picture in (*seen(video_in(page, tmp_path)), *pictures_in(page)))
    assert endoseg("segment", path, *options, *BOTH).code == 0
    pictures = [*seen(video_in(page, tmp_path)), *pictures_in(page)]
    assert len(pictures) == 5 and not any(shows_any(picture) for picture in pictures)


def test_frames_of_videos_and_pictures_are_copied_blank(
    endoseg: Endoseg, tmp_path: Path, lesion_everywhere: Path
) -> None:
    inputs = tmp_path / "in"
    inputs.mkdir()
    clip(inputs)
    (inputs / "b.jpg").write_bytes(told_jpeg(burnt_in(0), 1))
    write_png(inputs / "c.png", burnt_in(1))
    out = ("--frames-dir", tmp_path / "f", "--overlay", tmp_path / "o", "--weights", lesion_everywhere)
    run = endoseg("segment", inputs, *out, *BOTH)
    assert run.code == 0, run.stderr
    files = sorted((tmp_path / "f").rglob("*.*")) + sorted((tmp_path / "o").glob("*.png"))
    assert [file.name for file in files] == [
        "b.jpg",
        "c.png",
        *(f"in_00000{i}.png" for i in range(4)),
        "b.png",
        "c.png",
    ]
    for file in files:
        picture = read_image(file)
        assert not shows_any(picture) and picture[80, 100].max() > 100, file
    assert SECRET not in (tmp_path / "f" / "b.jpg").read_bytes()


def test_the_frames_of_a_sequence_too(endoseg: Endoseg, tmp_path: Path, lesion_everywhere: Path) -> None:
    (tmp_path / "in").mkdir()
    for index in range(3):
        cv2.imwrite(str(tmp_path / "in" / f"{index}.jpg"), burnt_in(index)[..., ::-1])
    products = ("--frames-dir", tmp_path / "f", "--overlay", tmp_path / "o.mp4")
    assert endoseg("segment", tmp_path / "in", "--fps", 25, *products, *BOTH, "--weights", lesion_everywhere).code == 0
    pictures = [read_image(file) for file in sorted((tmp_path / "f").glob("*.jpg"))] + seen(tmp_path / "o.mp4")
    assert len(pictures) == 6 and not any(shows_any(picture) for picture in pictures)


def test_a_given_field_of_view_counts(endoseg: Endoseg, tmp_path: Path, lesion_nowhere: Path) -> None:
    path = clip(tmp_path)
    products = ("--overlay", tmp_path / "o.mp4", "--weights", lesion_nowhere)
    options = ("--redact", "outside-field-of-view", "--field-of-view", "10,0,150,120")
    assert endoseg("segment", path, *products, *options).code == 0
    frame = seen(tmp_path / "o.mp4")[0]
    assert shows(frame, (10, 40, 30, 40)) and not shows(frame, (0, 40, 10, 40))


def test_the_networks_see_the_whole_frame_and_masks_stay(endoseg: Endoseg, tmp_path: Path, random_model: Path) -> None:
    path = clip(tmp_path)
    for name, options in (("a", ()), ("b", BOTH)):
        products = ("--masks-dir", tmp_path / name, "--overlay", tmp_path / f"{name}.mp4")
        run = endoseg("segment", path, *products, *options, "--weights", random_model, "--presence", 0)
        assert run.code == 0, run.stderr
    masks = [[file.read_bytes() for file in sorted((tmp_path / name).iterdir())] for name in "ab"]
    assert len(masks[0]) == 4 and masks[0] == masks[1]


def test_sound_which_may_name_people_is_left_out(endoseg: Endoseg, tmp_path: Path, lesion_nowhere: Path) -> None:
    path = clip(tmp_path, audio="aac")
    options = ("--overlay", tmp_path / "o.mp4", "--weights", lesion_nowhere, "--overwrite")
    for more, sounds in (((), 1), (("--redact", BOX), 0)):
        assert endoseg("segment", path, *options, *more).code == 0
        with av.open(str(tmp_path / "o.mp4")) as container:
            assert len(container.streams.audio) == sounds


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--redact", "150,0,11,5"), "--redact 150,0,11,5 leaves the frame of 160x120: "),
        (("--redact", "name"), "--redact must be outside-field-of-view or X,Y,W,H, found name"),
        (("--redact", "outside-field-of-view", "--field-of-view", "off"), "cannot go with --field-of-view off"),
        (("--redact", BOX, "--keep-metadata"), "--keep-metadata cannot go with --redact"),
    ],
)
def test_what_cannot_be_done_is_refused_before_work(
    endoseg: Endoseg, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    others = tmp_path / "others"
    others.mkdir()
    path = clip(others, name="z.mp4")
    clip(others, name="a.mp4", size=(240, 320), picture=None)
    run = endoseg("segment", others, "--overlay", tmp_path / "o", "--weights", tmp_path / "none.safetensors", *options)
    assert run.code == 2 and words in run.stderr and run.stderr.count("\n") == 2, run.stderr
    assert not (tmp_path / "o").exists() and path.is_file()


@pytest.mark.parametrize(("option", "product"), [("--redact=0,0,9,9", "--out"), ("--keep-metadata", "--masks-dir")])
def test_an_option_that_would_do_nothing_is_refused(
    endoseg: Endoseg, tmp_path: Path, option: str, product: str
) -> None:
    run = endoseg("segment", clip(tmp_path), product, tmp_path / "o.mp4", option)
    assert run.code == 2 and option.split("=")[0] in run.stderr and "asked for" in run.stderr


def test_originals_are_not_taken_for_blank_copies(endoseg: Endoseg, tmp_path: Path, lesion_nowhere: Path) -> None:
    write_png(tmp_path / "a.png", burnt_in(0))
    before = (tmp_path / "a.png").read_bytes()
    options = ("--frames-dir", tmp_path, "--weights", lesion_nowhere, "--overwrite")
    run = endoseg("segment", tmp_path / "a.png", *options, "--redact", BOX)
    assert run.code == 4 and "holds the pictures themselves" in run.stderr
    assert (tmp_path / "a.png").read_bytes() == before
    assert endoseg("segment", tmp_path / "a.png", *options).code == 0


def test_where_no_picture_is_found_all_is_blank_and_that_is_told(
    endoseg: Endoseg, tmp_path: Path, lesion_nowhere: Path
) -> None:
    (tmp_path / "in").mkdir()
    for name in "ab":
        write_png(tmp_path / "in" / f"{name}.png", np.full((*SIZE, 3), 15, np.uint8))
    options = ("--overlay", tmp_path / "o", "--weights", lesion_nowhere, "--redact", "outside-field-of-view")
    run = endoseg("segment", tmp_path / "in", *options)
    assert run.code == 0 and "2 of 2 pictures: the endoscope's picture was not found" in run.stderr
    assert not read_image(tmp_path / "o" / "a.png").any()


TAGS = {"title": "Mueller Anna", "comment": "Station 3", "location": "+52.5+13.4/", "artist": "Dr X"}
DATE = "2024-01-02T03:04:05.000000Z"


def told_video(path: Path) -> Path:
    """A video with sound whose file tells who, where and when, in which language, and has a chapter."""
    with av.open(str(path), "w") as output:
        output.metadata.update({**TAGS, "creation_time": DATE})
        video = output.add_stream("libx264", rate=25)
        sound = output.add_stream("aac", rate=48000)
        assert isinstance(video, av.VideoStream) and isinstance(sound, av.AudioStream)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound.layout = "mono"
        for stream in (video, sound):
            stream.metadata.update({"language": "deu", "title": "Mueller"})
        output.set_chapters(
            [{"id": 1, "start": 0, "end": 80, "time_base": Fraction(1, 1000), "metadata": {"title": "M"}}]
        )
        for index in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8))
            frame.pts = index
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate, silence.pts = 48000, 0
        output.mux([*sound.encode(silence), *sound.encode(None)])
    return path


def told_by(video: Path) -> tuple[dict[str, str], list[dict[str, str]], int]:
    """Return a file's tags, those of its streams, and how many chapters it has."""
    with av.open(str(video)) as container:
        streams = [{name.lower(): text for name, text in stream.metadata.items()} for stream in container.streams]
        tags = {name.lower(): text for name, text in container.metadata.items()}
        return tags, streams, len(container.chapters())


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_videos_tell_nothing_of_their_source_unless_asked(
    endoseg: Endoseg, tmp_path: Path, lesion_nowhere: Path, kind: str, ending: str
) -> None:
    path = told_video(tmp_path / f"in.{kind}")
    mask, overlay = tmp_path / f"m.{ending}", tmp_path / f"o.{ending}"
    options = ("--out", mask, "--overlay", overlay, "--weights", lesion_nowhere, "--overwrite")
    assert endoseg("segment", path, *options).code == 0
    own = {"major_brand", "minor_version", "compatible_brands", "encoder"}
    for video in (mask, overlay):
        tags, streams, chapters = told_by(video)
        assert set(tags) <= own and chapters == 0
        assert not any({"title", "name", "creation_time"} & set(stream) for stream in streams)
        assert {stream.get("language", "und") for stream in streams} == {"und"}
        assert not [word for word in (b"Mueller", b"Station", b"52.5", b"Dr X") if word in video.read_bytes()]
    assert endoseg("segment", path, *options, "--keep-metadata").code == 0
    for video in (mask, overlay):
        tags, streams, _ = told_by(video)
        assert (tags["title"], tags["comment"], tags["artist"]) == (TAGS["title"], TAGS["comment"], TAGS["artist"])
        assert tags["location"].startswith("+52.5") and tags["creation_time"].startswith("2024-01-02T03:04:05")
        assert [stream["language"] for stream in streams] == ["deu"] * len(streams)


def test_copied_pictures_keep_their_exif_only_where_asked(
    endoseg: Endoseg, tmp_path: Path, lesion_nowhere: Path
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(told_jpeg(burnt_in(0)))
    options = ("--frames-dir", tmp_path / "f", "--overlay", tmp_path / "o.png", "--overwrite")
    assert endoseg("segment", path, *options, "--weights", lesion_nowhere).code == 0
    copy = tmp_path / "f" / "a.jpg"
    assert SECRET not in copy.read_bytes() + (tmp_path / "o.png").read_bytes()
    assert np.array_equal(read_image(copy), read_image(path)) and read_image(copy).shape == (160, 120, 3)
    assert endoseg("segment", path, *options, "--keep-metadata", "--weights", lesion_nowhere).code == 0
    assert copy.read_bytes() == path.read_bytes() and SECRET not in (tmp_path / "o.png").read_bytes()


def test_tables_and_messages_name_inputs_without_their_folders(
    endoseg: Endoseg, tmp_path: Path, lesion_nowhere: Path
) -> None:
    first, second = tmp_path / "Mueller" / "one", tmp_path / "Mueller" / "two"
    for folder in (first / "deep", second):
        folder.mkdir(parents=True)
        write_png(folder / "a.png", burnt_in(0))
    clip(second)
    options = ("--weights", lesion_nowhere, "--overwrite")
    for ending in ("csv", "json"):
        table, outlines = tmp_path / f"t.{ending}", tmp_path / "l.json"
        run = endoseg("segment", first, second, "--records", table, "--annotations", outlines, *options)
        assert run.code == 0 and str(tmp_path / "Mueller") not in run.stderr + run.stdout
        text = table.read_text()
        rows = json.loads(text) if ending == "json" else list(csv.DictReader(text.splitlines()))
        assert [row["input"] for row in rows] == ["deep/a.png", "a.png", *["in.mp4"] * 4]
        assert "Mueller" not in text + outlines.read_text()
    twins = (first / "deep" / "a.png", second / "a.png")
    assert endoseg("segment", *twins, "--records", tmp_path / "t.csv", *options).code == 0
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert [row["input"] for row in rows] == ["deep/a.png", "two/a.png"]
    run = endoseg("segment", second, "--records", tmp_path / "t.csv", *options, "-v")
    assert str(second / "a.png") in (tmp_path / "t.csv").read_text() and f"{second / 'in.mp4'}: 4 frames" in run.stderr


def test_processes_that_share_the_work_blank_and_name_as_one_does(
    endoseg: Endoseg, tmp_path: Path, lesion_everywhere: Path
) -> None:
    inputs = tmp_path / "Mueller"
    inputs.mkdir()
    for name in ("a.mp4", "b.mp4"):
        clip(inputs, name=name)
    write_png(inputs / "c.png", burnt_in(1))
    products = ("--overlay", tmp_path / "o", "--records", tmp_path / "t.csv", "--weights", lesion_everywhere)
    run = endoseg("segment", inputs, *products, *BOTH, "--jobs", 2)
    assert run.code == 0 and str(inputs) not in run.stderr, run.stderr
    pictures = [*seen(tmp_path / "o" / "a.mp4"), *seen(tmp_path / "o" / "b.mp4"), read_image(tmp_path / "o" / "c.png")]
    assert len(pictures) == 9 and not any(shows_any(picture) for picture in pictures)
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert [row["input"] for row in rows] == [*["a.mp4"] * 4, *["b.mp4"] * 4, "c.png"]
