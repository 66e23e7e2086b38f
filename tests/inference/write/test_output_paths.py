from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from endoseg_cli.errors import EndosegError, MissingInputError, OutputError, UsageError
from endoseg_cli.inference.inputs.sources import find_sources
from endoseg_cli.inference.write.output_paths import OutputConfig, Targets, check_class_folders, plan


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with inputs that are named but empty: nothing here opens them."""
    for name in ("a.mp4", "b.AVI", "c.png", "in/x.mp4", "in/deep/x.mp4", "in/y.jpg", "in/notes.txt", "in/.hidden.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(*inputs: str, **outputs: Any) -> list[Targets]:
    return plan(find_sources(inputs), inputs, OutputConfig(**outputs))


def found(*inputs: str) -> list[str]:
    return [source.path.as_posix() for source in find_sources(inputs)]


@pytest.mark.usefixtures("place")
def test_inputs_are_files_folders_and_globs_each_once() -> None:
    assert found("a.mp4") == ["a.mp4"]
    assert found("in") == ["in/deep/x.mp4", "in/x.mp4", "in/y.jpg"]
    assert found("*.mp4", "in/*", "a.mp4", "./in/../a.mp4") == ["a.mp4", "in/x.mp4", "in/y.jpg"]
    assert found("**/x.mp4") == ["in/deep/x.mp4", "in/x.mp4"]


def test_a_glob_may_be_absolute(place: Path) -> None:
    assert found(str(place / "in" / "?.mp4")) == [(place / "in" / "x.mp4").as_posix()]


def test_a_file_with_brackets_in_its_name_is_that_file(place: Path) -> None:
    (place / "a[1].mp4").touch()
    assert found("a[1].mp4") == ["a[1].mp4"]


@pytest.mark.usefixtures("place")
def test_a_file_named_outright_is_taken_whatever_its_ending() -> None:
    assert found("in/notes.txt") == ["in/notes.txt"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("absent.mp4", "no such file or folder: absent.mp4"),
        ("*.webm", r"no picture or video matches \*.webm"),
        ("empty", "no pictures or videos in the folder empty"),
        ("", "an input is empty"),
    ],
)
def test_inputs_that_are_not_there_are_refused(place: Path, text: str, message: str) -> None:
    (place / "empty").mkdir()
    with pytest.raises(MissingInputError, match=message) as caught:
        find_sources(["a.mp4", text])
    assert caught.value.exit_code == 3


@pytest.mark.usefixtures("place")
def test_one_input_goes_to_the_very_files_named() -> None:
    [target] = planned("a.mp4", masks=Path("m.mkv"), overlay=Path("o.mov"), mask_pictures=Path("p"))
    assert (target.masks, target.overlay, target.mask_pictures) == (Path("m.mkv"), Path("o.mov"), Path("p"))
    [target] = planned("c.png", masks=Path("m.png"), probabilities=Path("p"))
    assert (target.masks, target.probabilities) == (Path("m.png"), Path("p/c.png"))


@pytest.mark.usefixtures("place")
def test_one_input_may_go_into_a_folder() -> None:
    assert planned("b.AVI", masks=Path("in"))[0].masks == Path("in/b.mp4")
    assert planned("c.png", masks=Path("new"))[0].masks == Path("new/c.png")


def test_a_folder_is_mirrored_below_the_output_folder(place: Path) -> None:
    targets = planned("in", masks=Path("out"), mask_pictures=Path("pics"))
    assert [target.masks for target in targets] == [Path("out/deep/x.mp4"), Path("out/x.mp4"), Path("out/y.png")]
    assert [target.mask_pictures for target in targets] == [Path("pics/deep/x"), Path("pics/x"), Path("pics/y.png")]
    assert sorted(path.name for path in place.iterdir()) == ["a.mp4", "b.AVI", "c.png", "in"]  # nothing is made yet


USAGE = [
    (["a.mp4", "b.AVI"], {"masks": Path("m.mp4")}, "--out m.mp4 is one file, but the inputs are several"),
    (["*.mp4"], {"overlay": Path("o.mp4")}, "--overlay o.mp4 is one file"),
    (["a.mp4"], {"masks": Path("m.png")}, "--out m.png: the input is a video"),
    (["c.png"], {"overlay": Path("o.mp4")}, "--overlay o.mp4: the input is a picture"),
    (["a.mp4"], {"masks": Path("m.webm")}, "--out m.webm: expected an ending of .mp4"),
    (["in/x.mp4", "in/deep/x.mp4"], {"masks": Path("out")}, "would both write out/x.mp4"),
    (["in/x.mp4", "in/deep/x.mp4"], {"probabilities": Path("out")}, "would both write out/x"),
    (["a.mp4"], {"masks": Path("m.mp4"), "overlay": Path("m.mp4")}, "two products of a.mp4 would write m.mp4"),
    (["a.mp4"], {"masks": Path("m.mp4"), "overlay": Path("in/../m.mp4")}, "two products of a.mp4"),
    (["a.mp4"], {"mask_pictures": Path("p"), "probabilities": Path("p")}, "two products of a.mp4 would write p"),
    (["a.mp4"], {"records": Path("t.xlsx")}, "expected an ending of .csv or .json"),
]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("inputs", "outputs", "message"), USAGE, ids=[case[2] for case in USAGE])
def test_outputs_that_make_no_sense_are_refused(inputs: list[str], outputs: dict[str, Path], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        planned(*inputs, **outputs)
    assert message in caught.value.message


def refusal(*inputs: str, **outputs: Any) -> EndosegError:
    with pytest.raises(OutputError) as caught:
        planned(*inputs, **outputs)
    assert caught.value.exit_code == 4
    return caught.value


def test_nothing_is_overwritten_unasked(place: Path) -> None:
    for name in ("m.mp4", "m.png", "t.csv", "pics/000000.png"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).touch()
    for inputs, outputs in (
        ("a.mp4", {"masks": Path("m.mp4")}),
        ("a.mp4", {"overlay": Path("m.mp4")}),
        ("c.png", {"masks": Path("m.png")}),
        ("a.mp4", {"records": Path("t.csv")}),
        ("a.mp4", {"mask_pictures": Path("pics")}),
        ("a.mp4", {"probabilities": Path("pics")}),
    ):
        error = refusal(inputs, **outputs)
        assert "already" in error.message and "--overwrite" in (error.hint or "")
        planned(inputs, **outputs, overwrite=True)


def test_pictures_of_several_classes_are_not_overwritten_unasked(place: Path) -> None:
    for name in ("p/polyp/000000.png", "p/polyp/c.png"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    for name in ("a.mp4", "c.png"):
        targets = planned(name, mask_pictures=Path("p"))
        check_class_folders(targets, ("tool", "stone"), overwrite=False)
        check_class_folders(targets, ("tool", "polyp"), overwrite=True)
        with pytest.raises(OutputError, match="already: p/polyp"):
            check_class_folders(targets, ("tool", "polyp"), overwrite=False)


@pytest.mark.usefixtures("place")
def test_the_input_is_never_an_output_even_with_overwrite() -> None:
    for name in ("a.mp4", "c.png"):
        assert "would replace the input" in refusal(name, masks=Path(name), overwrite=True).message
    assert "would replace the input" in refusal("a.mp4", "c.png", masks=Path(), overwrite=True).message


def test_temporary_files_are_neither_inputs_nor_links(place: Path) -> None:
    (place / "out.mp4.endoseg.part").touch()
    planned("a.mp4", masks=Path("out.mp4"))
    error = refusal("out.mp4.endoseg.part", masks=Path("out.mp4"), overwrite=True)
    assert "temporary file would replace the input: out.mp4.endoseg.part" in error.message
    error = refusal("out.mp4.endoseg.part", masks=Path("m.mp4"), records=Path("out.mp4"), overwrite=True)
    assert "temporary file would replace the input" in error.message
    (place / "m.mp4.endoseg.part").symlink_to(place / "a.mp4")
    assert (
        "temporary file is a link: m.mp4.endoseg.part" in refusal("b.AVI", masks=Path("m.mp4"), overwrite=True).message
    )


def test_places_that_cannot_be_written_are_refused(place: Path) -> None:
    (place / "file").touch()
    assert "is a file, not a folder" in refusal("a.mp4", masks=Path("file/m.mp4")).message
    assert "found a folder" in refusal("c.png", masks=Path("in/deep"), overlay=_folder(place / "d.png")).message
    assert "found a file" in refusal("a.mp4", mask_pictures=Path("file")).message


def _folder(path: Path) -> Path:
    (path / "c.png").mkdir(parents=True)
    return path


def test_a_job_without_a_product_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to write") as caught:
        OutputConfig()
    assert "--out FILE" in (caught.value.hint or "")
