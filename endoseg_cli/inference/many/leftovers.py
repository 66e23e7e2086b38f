"""What a job that stops early leaves: no part files, no temporary folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from endoseg_cli.errors import OutputError
from endoseg_cli.inference.write.output_paths import OutputConfig, Targets
from endoseg_cli.part_file import part_path, remove_part

SPOOL_PREFIX = ".endoseg-rows-"


def remove_parts(target: Targets) -> None:
    """Remove what an input's outputs are called while they grow, except what another process is writing."""
    for file in target.files():
        remove_part(part_path(file))


@contextmanager
def no_parts_left(targets: Sequence[Targets], outputs: OutputConfig | None) -> Iterator[None]:
    """Remove the part files of inputs, and of tables, where the block ends early; those of other processes stay."""
    try:
        yield
    except BaseException:
        for target in targets:
            remove_parts(target)
        for table in () if outputs is None else outputs.tables:
            remove_part(part_path(table))
        raise


@contextmanager
def own_folder(place: Path | None = None) -> Iterator[Path]:
    """Make a folder for the rows of this job, below `place` or where the system keeps such, and remove it."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=SPOOL_PREFIX, dir=place))
    except OSError as error:
        raise OutputError(
            f"cannot make a temporary folder: {error.strerror}", hint="check the free space, or set TMPDIR"
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
