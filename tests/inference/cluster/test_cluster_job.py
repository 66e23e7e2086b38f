from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from endoseg_cli.annotations.writing.formats import AnnotationConfig
from endoseg_cli.errors import EndosegError, InputError, MissingInputError, OutputError, UsageError
from endoseg_cli.inference.cluster import video_task
from endoseg_cli.inference.cluster.private_folder import PREFIX
from endoseg_cli.inference.cluster.remote_files import deliver
from endoseg_cli.inference.cluster.video_task import NotSharedError
from endoseg_cli.inference.pipeline import SegmentConfig
from endoseg_cli.pictures.images import read_image, write_png
from endoseg_cli.pictures.redaction import parse_redact
from tests.burnt_in import BOX, SIZE, burnt_in, shows_any
from tests.inference.brightness import decode, disc_picture
from tests.inference.cluster.fake_store import FakeS3
from tests.inference.cluster.in_process import InProcess, run, same_video
from tests.inference.test_job import Listener
from tests.inference.test_job import run as run_here
from tests.video.rendering import Clip

Render = Callable[[Clip], Path]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def videos(render: Render, tmp_path: Path) -> Path:
    """A folder of two videos, one of them in a folder of its own."""
    (tmp_path / "in/sub").mkdir(parents=True)
    render(Clip(name="in/b.mp4", picture=disc_picture, frames=6))
    render(Clip(name="in/sub/a.mp4", picture=disc_picture, frames=3))
    return tmp_path / "in"


def all_products(folder: Path) -> dict[str, Any]:
    return {
        "masks": folder / "masks",
        "overlay": folder / "overlays",
        "mask_pictures": folder / "pictures",
        "frames": folder / "images",
        "report": folder / "pages",
        "records": folder / "t.csv",
        "annotations": AnnotationConfig(path=folder / "labels.json", format="coco"),
    }


def contents(folder: Path) -> dict[str, bytes]:
    """Return all visible files below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if ".endoseg" not in path.parts}


def inputs_of(table: Path) -> list[str]:
    return [row["input"] for row in csv.DictReader(table.read_text().splitlines())]


def test_the_outputs_are_those_of_one_process(
    videos: Path, tmp_path: Path, random_model: Path, temporary: Path
) -> None:
    run_here([videos], **all_products(tmp_path / "here"))
    listener = Listener()
    result = run([videos], random_model, listener=listener, **all_products(tmp_path / "far"))
    assert not result.damaged and result.before == 0
    assert sorted(listener.heard) == ["finished a.mp4", "finished b.mp4", "started 2 inputs"]
    here, far = contents(tmp_path / "here"), contents(tmp_path / "far")
    pages = {name for name in here if name.startswith("pages/")}
    assert set(here) == set(far) and len(pages) == 2 and len(here) > 25
    videos_written = {name for name in here if name.endswith(".mp4")}
    assert [name for name in set(here) - pages - videos_written if here[name] != far[name]] == []
    for name in videos_written:  # x264 writes other bytes now and then, of the same frames
        assert same_video(tmp_path / "here" / name, tmp_path / "far" / name)
    assert [outcome.targets.source.path for outcome in result.outcomes] == [videos / "b.mp4", videos / "sub/a.mp4"]
    assert list(temporary.iterdir()) == []


def test_labelme_files_lead_to_the_pictures(videos: Path, tmp_path: Path, random_model: Path) -> None:
    annotations = AnnotationConfig(path=tmp_path / "labels", format="labelme")
    run([videos / "b.mp4"], random_model, frames=tmp_path / "images", annotations=annotations)
    label = json.loads((tmp_path / "labels/b_000002.json").read_text())
    assert (tmp_path / "labels" / label["imagePath"]).resolve() == tmp_path / "images/b_000002.png"


def test_what_is_finished_is_left_as_it_is(videos: Path, tmp_path: Path, random_model: Path) -> None:
    out, cluster, listener = tmp_path / "out", InProcess(), Listener()
    (videos / "c.mp4").write_text("not a video")
    first = run([videos], random_model, cluster=cluster, masks=out, records=out / "t.csv")
    assert [source.path.name for source, _ in first.failures] == ["c.mp4"] and cluster.loads == 3
    assert isinstance(first.failures[0][1], InputError) and "c.mp4" in first.failures[0][1].message
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.mp4")}
    shutil.copy(videos / "b.mp4", videos / "c.mp4")
    second = run([videos], random_model, cluster=cluster, listener=listener, masks=out, records=out / "t.csv")
    assert not second.failures and second.before == 2 and cluster.loads == 4
    assert "noted done before: b.mp4" in listener.heard and "finished c.mp4" in listener.heard
    assert {path: path.stat().st_mtime_ns for path in before} == before
    names = [Path(name).name for name in inputs_of(out / "t.csv")]
    assert names == ["b.mp4"] * 6 + ["c.mp4"] * 6 + ["a.mp4"] * 3
    assert [outcome.frames for outcome in second.outcomes] == [6, 6, 3]


def test_other_options_another_video_or_overwrite_do_it_anew(videos: Path, tmp_path: Path, random_model: Path) -> None:
    out, cluster = tmp_path / "out", InProcess()

    def again(**options: Any) -> None:
        run([videos / "b.mp4"], random_model, cluster=cluster, masks=out, **options)

    again()
    again()
    assert cluster.loads == 1
    with pytest.raises(OutputError, match=r"the output exists already: .*b\.mp4"):
        again(config=SegmentConfig(every=2))
    again(overwrite=True)
    assert cluster.loads == 2
    shutil.copy(videos / "sub/a.mp4", videos / "b.mp4")
    with pytest.raises(OutputError, match="the output exists already"):
        again()


def test_what_somebody_changed_is_not_replaced(videos: Path, tmp_path: Path, random_model: Path) -> None:
    out = tmp_path / "out"
    outputs: dict[str, Any] = {"masks": out, "mask_pictures": out / "pictures", "records": out / "t.csv"}
    run([videos], random_model, **outputs)
    (out / "b.mp4").write_bytes((out / "b.mp4").read_bytes()[:-1] + b"x")
    result = run([videos], random_model, **outputs)
    assert [error.message for _, error in result.failures] == [
        f"the output was changed since it was written: {out / 'b.mp4'}"
    ]
    (out / "b.mp4").unlink()
    (out / "pictures/sub/a/000001.png").unlink()
    cluster = InProcess()
    assert not run([videos], random_model, cluster=cluster, **outputs).failures and cluster.loads == 2
    assert (out / "b.mp4").is_file() and (out / "pictures/sub/a/000001.png").is_file()
    (out / "t.csv").write_text("corrected by hand")
    with pytest.raises(OutputError, match=r"the output exists already: .*t\.csv"):
        run([videos], random_model, **outputs)


def test_a_task_that_dies_between_two_outputs_is_done_again(
    videos: Path, tmp_path: Path, random_model: Path, monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:

    def die(local: Path, place: Path) -> None:
        if place.name == "overlay.mp4":
            raise SystemExit
        deliver(local, place)

    monkeypatch.setattr(video_task, "deliver", die)
    products: dict[str, Any] = {"masks": tmp_path / "out/mask.mp4", "overlay": tmp_path / "out/overlay.mp4"}
    with pytest.raises(SystemExit):
        run([videos / "b.mp4"], random_model, **products)
    assert list(contents(tmp_path / "out")) == ["mask.mp4"] and list(temporary.iterdir()) == []
    monkeypatch.setattr(video_task, "deliver", deliver)
    result = run([videos / "b.mp4"], random_model, **products)
    assert result.before == 0 and len(decode(products["overlay"])[0]) == len(decode(products["masks"])[0]) == 6


def test_the_private_folder_of_a_killed_task_goes_with_the_next(
    videos: Path, tmp_path: Path, random_model: Path, temporary: Path
) -> None:
    (temporary / f"{PREFIX}killed").mkdir()
    (temporary / f"{PREFIX}killed/.lock").write_text("1")
    (temporary / f"{PREFIX}new").mkdir()
    run([videos / "b.mp4"], random_model, masks=tmp_path / "m.mp4")
    assert [path.name for path in temporary.iterdir()] == [f"{PREFIX}new"]


def test_from_a_store_to_a_store(s3: FakeS3, videos: Path, tmp_path: Path, random_model: Path) -> None:
    for name in ("v/a.mp4", "v/b/a.mp4"):
        s3.pipe_file(f"/bucket/{name}", (videos / "b.mp4").read_bytes())
    root = Path("s3://bucket/out")
    result = run(["s3://bucket/v"], random_model, **all_products(root))
    assert not result.damaged and [outcome.to_dict()["input"] for outcome in result.outcomes] == [
        "s3://bucket/v/a.mp4",
        "s3://bucket/v/b/a.mp4",
    ]
    assert result.outcomes[0].to_dict()["outputs"]["masks"] == "s3://bucket/out/masks/a.mp4"
    run_here([videos / "b.mp4"], masks=tmp_path / "m.mp4", records=tmp_path / "t.csv")
    s3.get_file("/bucket/out/masks/b/a.mp4", str(tmp_path / "copy.mp4"))
    assert same_video(tmp_path / "copy.mp4", tmp_path / "m.mp4")
    table = s3.cat_file("/bucket/out/t.csv").decode().splitlines()
    assert [row["input"] for row in csv.DictReader(table)] == ["a.mp4"] * 6 + ["b/a.mp4"] * 6
    assert len(s3.find("/bucket/out/images")) == 12 and s3.exists("/bucket/out/pages/b/a.html")
    written, again = list(s3.puts), InProcess()
    assert run(["s3://bucket/v"], random_model, cluster=again, **all_products(root)).before == 2 and again.loads == 0
    assert not {name for name in s3.puts[len(written) :] if name.endswith((".mp4", ".png", ".html"))}
    with pytest.raises(OutputError, match=r"^the output exists already: s3://bucket/out/masks/a\.mp4\n"):
        run(["s3://bucket/v"], random_model, masks=root / "masks", config=SegmentConfig(every=2))


def test_what_a_store_refuses_is_named_as_the_user_does(s3: FakeS3, videos: Path, random_model: Path) -> None:
    s3.pipe_file("/bucket/v/b/a.mp4", (videos / "b.mp4").read_bytes())
    s3.refused.add("/bucket/out/b/a.mp4")
    result = run(["s3://bucket/v"], random_model, masks=Path("s3://bucket/out"))
    messages = {str(source.path): error.message for source, error in result.failures}
    assert messages["s3:/bucket/v/b/a.mp4"] == "s3://bucket/out/b/a.mp4 may not be written: access is refused"
    assert messages["s3:/bucket/v/a.mp4"].endswith(": s3://bucket/v/a.mp4") and "endoseg-video" not in str(messages)


def test_videos_here_and_elsewhere_in_the_order_they_are_given(
    s3: FakeS3, videos: Path, tmp_path: Path, random_model: Path
) -> None:
    s3.pipe_file("/bucket/v/x.mp4", (videos / "b.mp4").read_bytes())
    given = ["s3://bucket/v/x.mp4", f"file://{videos / 'b.mp4'}", "s3://bucket/v/x.mp4"]
    run(given, random_model, masks=tmp_path / "out", records=tmp_path / "t.csv")
    assert list(dict.fromkeys(inputs_of(tmp_path / "t.csv"))) == ["x.mp4", "b.mp4"]


def test_a_sequence_of_pictures(tmp_path: Path, random_model: Path) -> None:
    (tmp_path / "frames").mkdir()
    for index in range(4):
        write_png(tmp_path / f"frames/{index}.png", disc_picture(index, (48, 64)))
    result = run([tmp_path / "frames"], random_model, config=SegmentConfig(fps=25), masks=tmp_path / "m.mp4")
    assert result.outcomes[0].frames == 4 and len(decode(tmp_path / "m.mp4")[0]) == 4


@pytest.mark.parametrize(
    ("inputs", "options", "kind", "words"),
    [
        (["in/p.png"], {}, UsageError, "--engine ray does videos, found 1 pictures"),
        (["in/absent.mp4"], {}, MissingInputError, "no such file or folder"),
        (["ftp://host/a.mp4"], {}, UsageError, "an address of an unknown kind: ftp://host/a.mp4"),
        (["in/b.mp4"], {"processes": 2}, UsageError, "--jobs is for one machine"),
    ],
)
def test_what_is_refused_before_the_work(
    videos: Path,
    tmp_path: Path,
    random_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    inputs: list[str],
    options: dict[str, Any],
    kind: type[EndosegError],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_png(videos / "p.png", disc_picture(0, (48, 64)))
    cluster = InProcess()
    with pytest.raises(kind, match=words):
        run(inputs, random_model, cluster=cluster, **{"masks": Path("out"), **options})
    assert cluster.loads == 0 and not Path("out").exists()


def test_the_error_of_a_single_video_is_raised(videos: Path, tmp_path: Path, random_model: Path) -> None:
    (videos / "b.mp4").write_text("not a video")
    with pytest.raises(InputError, match=r"b\.mp4"):
        run([videos / "b.mp4"], random_model, masks=tmp_path / "out/m.mp4", records=tmp_path / "out/t.csv")
    assert contents(tmp_path / "out") == {}


class Elsewhere(InProcess):
    """A machine that has other folders under the same names."""

    def run(self, tasks: Any, order: Any, choice: Any) -> Any:
        for token in order.tokens:
            token.unlink()
        return super().run(tasks, order, choice)


def test_a_machine_with_other_folders_does_nothing(videos: Path, tmp_path: Path, random_model: Path) -> None:
    with pytest.raises(NotSharedError, match=f"it does not see the folder {tmp_path / 'out'} of the machine"):
        run([videos / "b.mp4"], random_model, cluster=Elsewhere(), masks=tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_burnt_in_or_told_does_not_leave_a_node(
    s3: FakeS3, render: Render, tmp_path: Path, lesion_everywhere: Path
) -> None:
    clip = render(Clip(name="clip.mp4", size=SIZE, frames=3, picture=burnt_in, audio="aac"))
    s3.pipe_file("/bucket/burnt/a.mp4", clip.read_bytes())
    config = SegmentConfig(redact=parse_redact(["outside-field-of-view", BOX]))
    out = tmp_path / "out"
    products: dict[str, Any] = {"overlay": out / "o", "frames": out / "f", "records": out / "t.csv"}
    assert not run(["s3://bucket/burnt", clip], lesion_everywhere, config=config, **products).failures
    pictures = [*decode(out / "o/a.mp4")[0], *decode(out / "o/clip.mp4")[0]]
    pictures += [read_image(path) for path in sorted((out / "f").rglob("*.png"))]
    assert len(pictures) == 12 and not any(shows_any(picture) for picture in pictures)
    assert inputs_of(out / "t.csv") == ["a.mp4"] * 3 + ["clip.mp4"] * 3
    with pytest.raises(UsageError, match="leaves the frame of 160x120"):
        outside = SegmentConfig(redact=parse_redact(["0,0,161,1"]))
        run([clip], lesion_everywhere, config=outside, overlay=tmp_path / "p.mp4")
