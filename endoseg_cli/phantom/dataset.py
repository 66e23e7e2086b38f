"""Phantom stills and clips: one by one in memory, or as a folder of pictures, masks, and a record of what they show."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from endoseg_cli.errors import OutputError, UsageError
from endoseg_cli.part_file import write_whole
from endoseg_cli.phantom.clips import ClipPlan, sample_clip
from endoseg_cli.phantom.picture.fitting import fitted
from endoseg_cli.phantom.picture.render import Bytes, Rendered, render
from endoseg_cli.phantom.picture.sampling import sample_scene
from endoseg_cli.phantom.world.config import ClipConfig, PhantomConfig
from endoseg_cli.phantom.world.scene import Scene

RECORD = "phantom.json"
"""Name of the file that says what a phantom's folder holds."""
_FOLDERS = ("images", "masks", "clips")

Record = dict[str, object]
Progress = Callable[[int, int], None]
"""Is told how many stills, or frames of all clips, are done, and how many there will be."""


def render_phantom(
    out: Path,
    config: PhantomConfig,
    clip: ClipConfig,
    *,
    stills: int,
    clips: int,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Write a whole phantom, its record last; returns the paths of the stills' folder, of each clip, and of the record.

    Raises UsageError when nothing is asked for, OutputError when `out` is not empty or cannot be written.
    """
    if stills < 0 or clips < 0 or stills + clips == 0:
        raise UsageError(
            f"expected 1 or more stills or clips, found --stills {stills} --clips {clips}",
            hint="for example --stills 100, or --clips 2",
        )
    prepare_folder(out, overwrite=overwrite)
    write_record(out, config, [], [])  # marks the folder as a phantom's, should this be interrupted
    still_records = render_stills(out, stills, config, progress=progress)
    clip_records = render_clips(out, clips, config, clip, progress=progress)
    record = write_record(out, config, still_records, clip_records)
    videos = [out / "clips" / f"{each['name']}.mp4" for each in clip_records]
    return [*([out / "images"] if stills else []), *videos, record]


def render_still(config: PhantomConfig, index: int) -> Rendered:
    """Render still `index` of a phantom, whatever their number: picture and mask.

    Of any run of stills, `config.empty_fraction` show no lesion. Raises UsageError when no scene has lesions of the
    size that is asked for.
    """
    seed, draw = _seed(config, 0, index), partial(sample_scene, config.scene)
    if _is_empty(config, index):
        return render(draw(seed, 0.0), config.size)
    return fitted(seed, config, draw)[1]


def clip_scene(config: PhantomConfig, clip: ClipConfig, index: int) -> Scene:
    """Draw the scene of clip `index`; `render.render` shows it at any time from 0 to `clip.seconds`.

    Its lesions are as large as asked for when the camera is nearest. Raises UsageError as `render_still` does.
    """
    plan = ClipPlan(seconds=clip.seconds, empty_fraction=config.empty_fraction)
    seed, draw = _seed(config, 1, index), partial(sample_clip, config.scene, plan)
    if config.empty_fraction == 1:
        return draw(seed, 0.0)
    return fitted(seed, config, draw, plan.key_time)[0]


def clip_frames(scene: Scene, size: tuple[int, int], clip: ClipConfig) -> Iterator[Rendered]:
    """Render the frames of a clip, one by one."""
    for index in range(clip.frames):
        yield render(scene, size, index / clip.frames_per_second)


def prepare_folder(out: Path, *, overwrite: bool) -> None:
    """Make the folder for a phantom; with `overwrite`, remove what an earlier phantom left there, and nothing else.

    Raises OutputError if it is a file, cannot be made, or is not empty.
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"expected a folder, found a file: {out}", hint="choose another name for the output")
    try:
        if out.exists() and any(out.iterdir()):
            _clear(out, overwrite)
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write to {out}: {error.strerror or error}") from error


def render_stills(out: Path, count: int, config: PhantomConfig, *, progress: Progress | None = None) -> list[Record]:
    """Write stills as OUT/images/NAME.png with masks OUT/masks/NAME.png (0 or 255); returns a record of each.

    Raises OutputError when a file cannot be written, UsageError as `render_still` does.
    """
    records: list[Record] = []
    for index in range(count):
        still = render_still(config, index)
        name = f"{config.scene}-{config.seed:04d}-{index:05d}"
        write_picture(out / "images" / f"{name}.png", still.picture[..., ::-1])
        write_picture(out / "masks" / f"{name}.png", still.mask)
        records.append({"name": name, **_facts(still)})
        if progress is not None:
            progress(index + 1, count)
    return records


def render_clips(
    out: Path, count: int, config: PhantomConfig, clip: ClipConfig, *, progress: Progress | None = None
) -> list[Record]:
    """Write clips as OUT/clips/NAME.mp4 with masks OUT/clips/NAME_masks/000000.png...; returns a record of each.

    Raises OutputError when a file cannot be written, UsageError as `clip_scene` does.
    """
    from endoseg_cli.phantom.clip_file import ClipFile  # scenes alone are rendered without PyAV

    records: list[Record] = []
    for index in range(count):
        name = f"{config.scene}-{config.seed:04d}-{index:03d}"
        path = out / "clips" / f"{name}.mp4"
        frames: list[Record] = []
        scene = clip_scene(config, clip, index)
        rate = Fraction(clip.frames_per_second).limit_denominator(1001)
        with ClipFile(path, config.size, rate, overwrite=True) as video:
            for frame in clip_frames(scene, config.size, clip):
                video.write(frame.picture)
                write_picture(path.parent / f"{name}_masks" / f"{len(frames):06d}.png", frame.mask)
                frames.append(_facts(frame))
                if progress is not None:
                    progress(index * clip.frames + len(frames), count * clip.frames)
        records.append({"name": name, "frames_per_second": clip.frames_per_second, "frames": frames})
    return records


def write_record(out: Path, config: PhantomConfig, stills: list[Record], clips: list[Record]) -> Path:
    """Write OUT/phantom.json: the settings, and each still's and frame's lesion share and disturbances."""
    content = {
        "scene": config.scene,
        "seed": config.seed,
        "size": list(config.size),
        "lesion_fraction": list(config.lesion_fraction),
        "empty_fraction": config.empty_fraction,
        "stills": stills,
        "clips": clips,
    }
    path = out / RECORD
    write_whole(path, json.dumps(content, indent=1) + "\n")
    return path


def write_picture(path: Path, picture: Bytes) -> None:
    """Write a picture, blue first or grey, as PNG; raises OutputError when the folder or the file cannot be written."""
    ok, data = cv2.imencode(".png", picture)
    assert ok
    write_whole(path, data.tobytes())


def _clear(out: Path, overwrite: bool) -> None:
    if not overwrite:
        raise OutputError(f"the folder is not empty: {out}", hint="add --overwrite, or choose another folder")
    if not (out / RECORD).is_file():
        raise OutputError(
            f"expected a folder that an earlier phantom wrote ({RECORD}), found other files: {out}",
            hint="choose another folder: --overwrite removes only phantoms",
        )
    (out / RECORD).unlink()
    for folder in _FOLDERS:
        shutil.rmtree(out / folder, ignore_errors=True)


def _seed(config: PhantomConfig, kind: int, index: int) -> int:
    """A seed for one still (kind 0) or clip (kind 1) that does not depend on how many there are."""
    return int(np.random.SeedSequence([config.seed, kind, index]).generate_state(1)[0])


def _is_empty(config: PhantomConfig, index: int) -> bool:
    share = config.empty_fraction
    return int((index + 1) * share + 1e-9) > int(index * share + 1e-9)


def _facts(frame: Rendered) -> Record:
    return {"lesion_fraction": round(frame.fraction, 6), "disturbances": list(frame.disturbances)}
