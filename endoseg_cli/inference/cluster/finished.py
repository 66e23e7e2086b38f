"""What is finished of a job: a folder `.endoseg` beside the outputs, with an entry and the rows of every video.

An entry lists what was written, so that a job that is started again, or a task that is handed out twice, does nothing
twice, replaces only what it wrote itself, and still has all rows for the tables.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from endoseg_cli.errors import OutputError
from endoseg_cli.inference.cluster.remote_files import deliver, read_small, size_of, sizes_below
from endoseg_cli.inference.flow.stages import StageSeconds
from endoseg_cli.inference.inputs.addresses import called, is_address
from endoseg_cli.inference.pipeline import Outcome
from endoseg_cli.inference.refine.refiner import RefineCounts
from endoseg_cli.inference.write.output_paths import OutputConfig, Targets
from endoseg_cli.pictures.field_of_view import FieldOfView
from endoseg_cli.video.writing.target import CONTAINERS

LEDGER = ".endoseg"
_MANY = 8
"""From how many files of a folder on it is listed, rather than that each is asked for."""
_ONE_FILE = {*CONTAINERS, ".html", ".htm", ".png", ".csv", ".json", ".xml"}


@dataclass(frozen=True, kw_only=True)
class WrittenFile:
    """An output as it was written."""

    place: str
    """Its path or address."""
    size: int
    """Bytes."""
    sha256: str = ""
    """Its SHA-256; empty for the pictures of single frames."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What became of one video."""

    settings: str
    """Digest of all that decides what is written."""
    job: str
    """Which run wrote it."""
    complete: bool
    """Whether all outputs have their final names."""
    outcome: dict[str, Any]
    """See `outcome_values`."""


class Ledger:
    """The folder, a path or an address, in which entries are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def entry_file(self, source: str) -> Path:
        """Return where the entry of an input lies."""
        return self.folder / f"{_key(source)}.json"

    def rows_file(self, source: str) -> Path:
        """Return where the rows of an input lie."""
        return self.folder / f"{_key(source)}.rows.gz"

    def names(self) -> set[str]:
        """Return the names of all files."""
        return set(sizes_below(self.folder))

    def read(self, source: str) -> Entry | None:
        """Return the entry of an input; None without one, and for one that cannot be read."""
        content = read_small(self.entry_file(source))
        try:
            return None if content is None else Entry(**json.loads(content))
        except (ValueError, TypeError):
            return None

    def write(self, source: str, entry: Entry, scratch: Path) -> None:
        """Write the entry of an input, by way of the file `scratch`; raises OutputError."""
        scratch.write_text(json.dumps(asdict(entry)))
        deliver(scratch, self.entry_file(source))


def ledger_folder(outputs: OutputConfig) -> Path:
    """Return the folder for entries: in that of the first output."""
    given = (outputs.masks, outputs.overlay, outputs.mask_pictures, outputs.probabilities, outputs.frames)
    first = next(path for path in (*given, outputs.report, *outputs.tables) if path is not None)
    return folder_of(first) / LEDGER


def folder_of(output: Path) -> Path:
    """Return the folder that an output is, or that its file lies in."""
    names_file = output.suffix.lower() in _ONE_FILE and (is_address(output) or not output.is_dir())
    return output.parent if names_file else output


def find_changes(files: Sequence[WrittenFile]) -> bool:
    """Whether any file that was written is missing now.

    Raises OutputError for one that is there and is not what was written, which somebody may want to keep.
    """
    folders: dict[Path, list[WrittenFile]] = {}
    for file in files:
        folders.setdefault(Path(file.place).parent, []).append(file)
    missing = False
    for folder, members in folders.items():
        listed = sizes_below(folder) if len(members) >= _MANY else None
        for file in members:
            place = Path(file.place)
            size = size_of(place) if listed is None else listed.get(place.name)
            missing |= size is None
            if size is not None and (size != file.size or _differs(place, file)):
                raise OutputError(
                    f"the output was changed since it was written: {called(place)}",
                    hint="move it away, or replace it with --overwrite",
                )
    return missing


def _differs(place: Path, file: WrittenFile) -> bool:
    return bool(file.sha256) and not is_address(place) and sha256_of(place) != file.sha256


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def outcome_values(outcome: Outcome) -> dict[str, Any]:
    """Return what became of an input as plain values, without its files."""
    values = {name: value for name, value in vars(outcome).items() if name != "targets"}
    view = outcome.field_of_view
    return values | {
        "stages": asdict(outcome.stages),
        "refine_counts": asdict(outcome.refine_counts),
        "field_of_view": None if view is None else asdict(view),
    }


def outcome_of(values: dict[str, Any], targets: Targets) -> Outcome:
    """Return what became of an input from its values."""
    view = values["field_of_view"]
    return Outcome(
        targets=targets,
        **values
        | {
            "stages": StageSeconds(**values["stages"]),
            "refine_counts": RefineCounts(**values["refine_counts"]),
            "field_of_view": None if view is None else FieldOfView(**view),
            "damage": tuple(values["damage"]),
            "warnings": tuple(values["warnings"]),
        },
    )


def _key(source: str) -> str:
    return hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:24]
