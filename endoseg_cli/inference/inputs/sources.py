"""What there is to segment: videos, pictures, and pictures that belong together as the frames of a video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from endoseg_cli.data.labels.folder_names import is_pipe
from endoseg_cli.data.labels.layout import unlabeled_files
from endoseg_cli.data.labels.short_names import short_names
from endoseg_cli.data.sets.validation_split import natural_key
from endoseg_cli.errors import MissingInputError, UsageError
from endoseg_cli.inference.inputs.addresses import without_secrets
from endoseg_cli.pictures.images import is_image, is_picture, is_video

GLOB_CHARACTERS = "*?["


@dataclass(frozen=True, kw_only=True)
class Source:
    """One input of a job."""

    path: Path
    """The file; of a sequence of pictures their folder."""
    place: Path
    """Its path below the folder it was found in, without suffix: where its outputs go below their folders."""
    pictures: tuple[Path, ...] = ()
    """The pictures of a sequence, in order; empty for a file."""
    folder: Path = Path()
    """Where a sequence lies below the folder it was found in."""
    name: str = ""
    """What tables and messages call it: its path below the folder it was found in, and no more of that than is needed
    to tell the inputs of a job apart. The name of the file unless it is given."""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.path.name)

    @cached_property
    def is_picture(self) -> bool:
        """Whether it is a still picture."""
        return not self.pictures and is_picture(self.path)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One share of the inputs of a job that several machines do together."""

    number: int
    """Which share this is, from 1."""
    count: int
    """How many there are."""


def parse_shard(text: str) -> Shard:
    """Read I/N, such as 3/8; raises UsageError for anything else."""
    number, _, count = text.partition("/")
    if number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count) <= MOST_SHARDS:
        return Shard(number=int(number), count=int(count))
    raise UsageError(f"--shard: expected I/N with I from 1 to N, found '{text}'", hint="such as 3/8")


MOST_SHARDS = 1_000_000


def _say_nothing(_: str) -> None:
    pass


def find_sources(
    inputs: Sequence[str], *, sequences: bool = False, on_note: Callable[[str], None] = _say_nothing
) -> list[Source]:
    """Return the pictures and videos that files, folders (searched through) and globs stand for, each once.

    In folders, masks and hidden files are left out as in training; `on_note` is told what was.
    With `sequences`, the pictures of each folder are one source, in the natural order of their names. Raises
    MissingInputError for an input that does not exist, or holds or matches nothing to segment, and UsageError for
    `sequences` where there are no pictures.
    """
    found: dict[Path, Source] = {}
    for text in inputs:
        for source in _joined(text, on_note) if sequences else _expand(text, on_note):
            found.setdefault(source.path.resolve(), source)
    sources = named(list(found.values()))
    if sequences and not any(source.pictures for source in sources):
        raise UsageError("--fps is for folders of pictures, and the inputs hold none", hint="leave it out")
    return sources


def named(sources: Sequence[Source]) -> list[Source]:
    """Give every input of a job its name."""
    names = short_names([(source.path, _parts_below(source)) for source in sources])
    return [replace(source, name=name) for source, name in zip(sources, names, strict=True)]


def _parts_below(source: Source) -> int:
    """Return how many parts of its path lie below the folder that an input was found in."""
    return max(len(source.folder.parts), 1) if source.pictures else len(source.place.parts)


def _expand(text: str, on_note: Callable[[str], None]) -> list[Source]:
    if not text:  # Path("") would be the working directory
        raise MissingInputError("an input is empty", hint="check the shell variable that it came from")
    if text == "-" or "://" in text:
        raise _no_path(text)
    path = Path(text)
    if is_pipe(path) and not is_standard_input(path):
        raise MissingInputError(
            f"a named pipe is not waited for: {text}", hint="cat it: cat PIPE | endoseg segment /dev/stdin ..."
        )
    if path.is_dir():
        pictures, videos, notes = unlabeled_files(path)
        files = sorted(file for _, file in (*pictures, *videos))
        if not files:
            raise MissingInputError(f"no pictures or videos in the folder {path}", hint="check the path")
        for note in notes:
            on_note(note)
        return [Source(path=file, place=file.relative_to(path).with_suffix("")) for file in files]
    if path.exists():
        return [Source(path=path, place=Path(path.stem))]
    if any(character in text for character in GLOB_CHARACTERS):
        anchor = Path(path.anchor) if path.is_absolute() else Path()
        pattern = str(path.relative_to(path.anchor)) if path.is_absolute() else text
        files = [file for file in sorted(anchor.glob(pattern)) if file.is_file() and _is_medium(file)]
        if files:
            return [Source(path=file, place=Path(file.stem)) for file in files]
        raise MissingInputError(f"no picture or video matches {text}", hint="quote the pattern, or give a folder")
    raise MissingInputError(f"no such file or folder: {text}", hint="check the path")


def _no_path(text: str) -> MissingInputError:
    if text == "-":
        return MissingInputError(
            "the input - is no file", hint="to read a pipe: cat VIDEO | endoseg segment /dev/stdin"
        )
    return MissingInputError(
        f"an address is no file: {without_secrets(text)}",
        hint="download the video first, for example with curl -O, or read it with --engine ray",
    )


def is_standard_input(path: Path) -> bool:
    """Whether a path means what is piped in."""
    return str(path) in ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


def _joined(text: str, on_note: Callable[[str], None]) -> list[Source]:
    """Return what one input stands for, the pictures of each folder joined."""
    sources: list[Source] = []
    folders: dict[Path, list[Source]] = {}
    for source in _expand(text, on_note):
        if source.is_picture:
            folders.setdefault(source.path.parent, []).append(source)
        else:
            sources.append(source)
    for folder, members in folders.items():
        below = members[0].place.parent
        name = below if below.name else Path(folder.resolve().name or "sequence")
        pictures = tuple(sorted((member.path for member in members), key=lambda path: natural_key(path.name)))
        sources.append(Source(path=folder, place=name, pictures=pictures, folder=below))
    return sources


def _is_medium(path: Path) -> bool:
    return (is_image(path) or is_video(path)) and not path.name.startswith(".")
