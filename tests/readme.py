"""What README.md tells people to type, and the small folder in which all of it works."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from endoseg_cli.data.labels.layout import find_labeled
from endoseg_cli.data.sets.split import Split, write_split
from tests.data.drawing import draw_frame, draw_mask, save
from tests.networks.authors_unet import random_state
from tests.networks.tiny import calibrated_bundle, save_to
from tests.training.small import save_frames
from tests.video.rendering import Clip, render_clip

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTINUED = re.compile(r"\\\n\s*")


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command in an indented block of the README."""

    section: str
    """The nearest heading above it."""
    words: tuple[str, ...]
    """What the shell makes of it, without its comment."""

    def value(self, option: str) -> str | None:
        """Return what follows an option, None without it."""
        return self.words[self.words.index(option) + 1] if option in self.words else None


def read_commands(text: str = README) -> list[Command]:
    """Return the commands of all indented blocks, in their order; lines of comments are steps for people."""
    commands, section = [], ""
    for line in CONTINUED.sub("", text).splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ")
        elif line.startswith("    "):
            words = shlex.split(line, comments=True)
            commands += [Command(section=section, words=tuple(words))] if words else []
    return commands


def sliding(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a textured picture that moves a little with every frame."""
    return np.roll(draw_frame(3, size), index, axis=1)


def fill(folder: Path, *, with_model: bool) -> None:
    """Write what the README's commands read, under the names it uses; a trained model only where it is not trained."""
    folders = ("frames/p1", "frames/p2", "other-hospital", "polypgen/C1", "polypgen/C4", "polypgen/C6")
    for number, name in enumerate(folders):
        save_frames(folder / name, 2, seed=10 * number)
    for name, frames in (("", 26), ("videos", 26), ("clips", 6)):
        (folder / name).mkdir(exist_ok=True)
        render_clip(folder / name, Clip(name="colonoscopy.mp4", picture=sliding, frames=frames))
    for index in range(6):
        save(folder / "clips" / "colonoscopy_masks" / f"{index:06d}.png", draw_mask())
    _write_split(folder / "split.json")
    for name in ("net1.pth", "net2.pth"):
        torch.save(random_state(), folder / name)
    if with_model:
        (folder / "runs/first").mkdir(parents=True)
        save_to(folder / "runs/first", calibrated_bundle())
        _write_split_of_run(folder, folder / "runs/first/split.json")


def _write_split_of_run(folder: Path, path: Path) -> None:
    """Write what a run that validated on the frames of p2 leaves for the next one."""
    train, val = (find_labeled(folder / "frames" / patient) for patient in ("p1", "p2"))
    write_split(path, Split(labeled=tuple(train), unlabeled=(), val=tuple(val)))


def _write_split(path: Path) -> None:
    def pair(centre: str, index: int) -> dict[str, str]:
        return {kind: f"{centre}/{kind}s/{index}.png" for kind in ("image", "mask")}

    train = {"labeled": [pair("C1", 0)], "unlabeled": [{"image": "C1/images/1.png"}]}
    path.write_text(json.dumps({"train": train, "val": [pair("C4", 0), pair("C4", 1)]}))
