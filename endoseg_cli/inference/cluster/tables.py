"""The tables over all videos of a job: written in the order of the inputs, wherever each video was done."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from endoseg_cli.errors import OutputError
from endoseg_cli.inference.cluster.finished import Ledger, sha256_of
from endoseg_cli.inference.cluster.remote_files import deliver, read_small, size_of
from endoseg_cli.inference.cluster.rows import write_again
from endoseg_cli.inference.cluster.stage import Stage
from endoseg_cli.inference.cluster.video_task import VideoTask, local_copy
from endoseg_cli.inference.inputs.addresses import called, is_address
from endoseg_cli.inference.job import opened_tables
from endoseg_cli.inference.write.output_paths import OutputConfig

NOTED = "tables.json"
"""The file of the ledger that says which tables an earlier run wrote."""


class Tables:
    """The tables of a job; `scratch` is a folder for what goes to a store."""

    def __init__(self, outputs: OutputConfig, ledger: Ledger, scratch: Path) -> None:
        self._outputs, self._ledger, self._scratch = outputs, ledger, scratch
        self._stage = Stage(scratch / "tables")

    def check_addresses(self) -> None:
        """Raise OutputError for a table in a store that is there already and that no earlier run of the job wrote."""
        for path in self._outputs.tables:
            if is_address(path) and size_of(path) is not None and not (self._outputs.overwrite or self.is_own(path)):
                hint = "add --overwrite, or choose another name"
                raise OutputError(f"the output exists already: {called(path)}", hint=hint)

    def is_own(self, path: Path) -> bool:
        """Whether a table is as an earlier run of the job wrote it."""
        try:
            noted = json.loads(read_small(self._ledger.folder / NOTED) or b"{}").get(called(path))
        except (ValueError, AttributeError):
            return False
        if noted is None or size_of(path) is None:
            return False
        return bool(sha256_of(local_copy(path, self._scratch / "table")) == noted)

    def write(self, tasks: Iterable[VideoTask], class_names: Sequence[str]) -> None:
        """Write the rows of these videos, which are finished, and note what was written; raises OutputError."""
        outputs = self._outputs
        if not outputs.tables:
            return
        here = outputs.moved(lambda path: self._stage.inside(path) if is_address(path) else path)
        with opened_tables(here, class_names) as (records, annotations):
            for task in tasks:
                rows = local_copy(self._ledger.rows_file(task.key), self._scratch / "rows.gz")
                write_again(rows, task.row_name, records, annotations, self._picture)
        for path in self._stage.files():
            deliver(path, self._stage.final(path))
        self._note()

    def _picture(self, final: Path) -> Path | None:
        """Return where a picture lies for the annotations, None where no way leads from them to it."""
        assert self._outputs.annotations is not None, "pictures are asked for by annotations"
        if is_address(final) != is_address(self._outputs.annotations.path):
            return None
        return self._stage.inside(final) if is_address(final) else final

    def _note(self) -> None:
        """Note the digests of the tables; folders, whose files people correct, are never written twice unasked."""
        digests = {}
        for path in self._outputs.tables:
            here = self._stage.inside(path) if is_address(path) else path
            if here.is_file():
                digests[called(path)] = sha256_of(here)
        scratch = self._scratch / NOTED
        scratch.write_text(json.dumps(digests))
        deliver(scratch, self._ledger.folder / NOTED)
