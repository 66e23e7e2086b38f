"""A store in this process's memory under the name of a real one: tests need no network and no package for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class FakeS3(MemoryFileSystem):  # type: ignore[misc]
    """What `s3://` means while a test runs; a bucket that is not made beforehand takes nothing."""

    protocol = "s3"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    refused: ClassVar[set[str]] = set()
    """Names that nobody may read or write."""
    cut: ClassVar[dict[str, int]] = {}
    """How many more times a file comes without its last byte."""
    puts: ClassVar[list[str]] = []
    """What was written, in order."""

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("s3://")))

    def get_file(self, rpath: str, lpath: str, **options: Any) -> None:
        self._refuse(rpath)
        content = self.cat_file(rpath)
        if self.cut.get(rpath, 0) > 0:
            self.cut[rpath] -= 1
            content = content[:-1]
        Path(lpath).write_bytes(content)

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        self._refuse(rpath)
        self.puts.append(rpath)
        super().put_file(lpath, rpath, **options)

    def _refuse(self, path: str) -> None:
        if path in self.refused:
            raise PermissionError("Forbidden")


@contextmanager
def fake_s3() -> Iterator[FakeS3]:
    """Let `s3://` mean an empty `FakeS3` inside the block."""
    from fsspec.registry import _registry

    before = _registry.get("s3")
    fsspec.register_implementation("s3", FakeS3, clobber=True)
    FakeS3.store.clear()
    FakeS3.pseudo_dirs[:] = [""]
    for kept in (FakeS3.refused, FakeS3.cut, FakeS3.puts):
        kept.clear()
    try:
        yield fsspec.filesystem("s3")
    finally:
        if before is None:
            _registry.pop("s3", None)
        else:
            fsspec.register_implementation("s3", before, clobber=True)
