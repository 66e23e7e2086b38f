"""No file of the user's is lost: temporary names are ours alone, and one process writes an output at a time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from endoseg_cli.errors import OutputError
from endoseg_cli.inference.pipeline import SegmentConfig
from endoseg_cli.part_file import Claim, PartFile, part_path, whole_file
from tests.conftest import Run
from tests.inference.brightness import BrightnessPredictor, decode, disc_picture
from tests.inference.test_sequences import run
from tests.video.rendering import Clip

Render = Callable[[Clip], Path]
Endoseg = Callable[..., Run]


@pytest.fixture
def clip(render: Render) -> Path:
    return render(Clip(name="in.mp4", picture=disc_picture, frames=6))


def test_what_others_call_part_stays(clip: Path, tmp_path: Path) -> None:
    for name in ("m.mp4.part", "t.csv.part", "o.mp4.part"):
        (tmp_path / name).write_text("mine")
    run([clip], SegmentConfig(), BrightnessPredictor, masks=tmp_path / "m.mp4", records=tmp_path / "t.csv")
    assert {(tmp_path / f"{name}.part").read_text() for name in ("m.mp4", "t.csv", "o.mp4")} == {"mine"}
    assert not list(tmp_path.glob("*.endoseg.*"))


def test_an_input_called_part_is_read_only(clip: Path, tmp_path: Path) -> None:
    old = tmp_path / "x.mp4.part"
    shutil.copy(clip, old)
    before = old.read_bytes()
    run([old], SegmentConfig(), BrightnessPredictor, masks=tmp_path / "x.mp4")
    assert old.read_bytes() == before and len(decode(tmp_path / "x.mp4")[0]) == 6


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_a_link_behind_the_temporary_name_is_not_followed(clip: Path, tmp_path: Path, kind: str) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    part = part_path(tmp_path / "m.mp4")
    if kind == "symbolic":
        part.symlink_to(victim)
    else:
        part.hardlink_to(victim)
    with pytest.raises(OutputError, match=r"m\.mp4"):
        run([clip], SegmentConfig(overwrite=True), BrightnessPredictor, masks=tmp_path / "m.mp4", overwrite=True)
    assert victim.read_text() == "precious"


def test_a_second_process_is_refused_at_once_and_the_first_completes(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.mp4"
    held = Claim(out)
    code = (
        "import sys; from pathlib import Path; from endoseg_cli.part_file import Claim\n"
        "try: Claim(Path(sys.argv[1]))\nexcept OSError as error: sys.exit(error.message)"
    )
    other = subprocess.run([sys.executable, "-c", code, str(out)], capture_output=True, text=True, check=False)
    assert other.returncode == 1 and f"another process is writing {out}" in other.stderr
    with pytest.raises(OutputError, match="another process is writing"):
        run([clip], SegmentConfig(), BrightnessPredictor, masks=out)
    held.release()
    run([clip], SegmentConfig(), BrightnessPredictor, masks=out)
    assert len(decode(out)[0]) == 6 and not held.part.exists()


def test_what_a_killed_run_left_is_taken_over(clip: Path, tmp_path: Path) -> None:
    part_path(tmp_path / "m.mp4").write_bytes(b"x" * 100_000)
    part_path(tmp_path / "t.csv").write_bytes(b"x" * 100_000)
    run([clip], SegmentConfig(), BrightnessPredictor, masks=tmp_path / "m.mp4", records=tmp_path / "t.csv")
    assert len(decode(tmp_path / "m.mp4")[0]) == 6 and len((tmp_path / "t.csv").read_text().splitlines()) == 7


def test_a_name_as_long_as_can_be(render: Render, tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 125 + ".mp4")
    shutil.copy(render(Clip(name="in.mp4", frames=2)), path)
    run([path], SegmentConfig(), BrightnessPredictor, masks=tmp_path / "out", records=tmp_path / "t.csv")
    assert (tmp_path / "out" / path.name).is_file()


def test_a_folder_that_is_removed_in_the_middle_is_missed(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from endoseg_cli.inference.write import products

    write = products.write_masks

    def remove_then_write(path: Path, *rest: object) -> None:
        if path.name == "000003.png":
            shutil.rmtree(path.parent)
        write(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(products, "write_masks", remove_then_write)
    with pytest.raises(OutputError, match=r"cannot write .*000003\.png"):
        run([clip], SegmentConfig(), BrightnessPredictor, mask_pictures=tmp_path / "p")


def test_two_tables_of_one_name_are_refused_before_the_work(
    endoseg: Endoseg, clip: Path, tmp_path: Path, lesion_nowhere: Path
) -> None:
    table = tmp_path / "e.json"
    refused = endoseg("segment", clip, "--records", table, "--annotations", table, "--weights", lesion_nowhere)
    assert refused.code == 2 and "--records and --annotations would both write" in refused.stderr


def test_a_growing_table_is_at_most_a_second_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = PartFile(tmp_path / "t.csv")
    file.write("first\n")
    monkeypatch.setattr("endoseg_cli.part_file.FLUSH_SECONDS", -1.0)
    file.write("second\n")
    assert file.part.read_text() == "first\nsecond\n"
    file.finish()
    assert (tmp_path / "t.csv").read_text() == "first\nsecond\n"


def test_a_whole_file_is_whole_or_not_there_and_as_open_as_others(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "a") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    before = os.umask(0o027)
    try:
        with whole_file(tmp_path / "a") as file:
            file.write(b"whole")
    finally:
        os.umask(before)
    assert (tmp_path / "a").read_bytes() == b"whole" and (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_shares_together_do_every_input_once_and_call_it_the_same(
    endoseg: Endoseg, render: Render, tmp_path: Path, lesion_nowhere: Path
) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    names = ["a.mp4", "b.mp4", "sub/a.mp4", "sub/d.mkv", "z.avi"]
    for name in names:
        render(Clip(name=f"in/{name}", codec="mpeg4" if name.endswith("avi") else "libx264", frames=2))
    options = ["--out", tmp_path / "out", "--weights", lesion_nowhere]
    counts = []
    for share in ("1/3", "2/3", "3/3"):
        run = endoseg("segment", tmp_path / "in", *options, "--shard", share)
        assert run.code == 0
        counts.append(len(run.stdout.splitlines()))
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.mp4"))
    assert written == ["a.mp4", "b.mp4", "sub/a.mp4", "sub/d.mp4", "z.mp4"] and counts == [2, 2, 1]
    empty = endoseg("segment", tmp_path / "in", "--out", tmp_path / "o", "--weights", lesion_nowhere, "--shard", "9/9")
    assert empty.code == 0 and "this share has no input" in empty.stderr and empty.stdout == ""
    for wrong in ("0/3", "4/3", "3", "a/b", "1/0"):
        assert endoseg("segment", tmp_path / "in", *options, "--shard", wrong).code == 2


def test_the_job_for_a_cluster_is_a_script_that_runs(render: Render, tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "examples" / "array.sbatch"
    (tmp_path / "videos").mkdir()
    render(Clip(name="videos/a.mp4", frames=2))
    binaries = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": binaries, "SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2"}
    for _ in range(2):  # SLURM queues a job again whose machine failed
        run = subprocess.run(["bash", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
    assert (tmp_path / "masks" / "a.mp4").is_file() and (tmp_path / "masks" / "records-1.csv").is_file()
