from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.inference.cluster.fake_store import FakeS3, fake_s3


@pytest.fixture
def s3() -> Iterator[FakeS3]:
    """A store at s3:// with a few files of the bucket `bucket`, each holding its own name."""
    pytest.importorskip("fsspec", reason="addresses need fsspec")
    with fake_s3() as store:
        for name in ("v/a.mp4", "v/b/a.mp4", "v/b/a_mask.mp4", "v/.hidden.mp4", "v/notes.txt", "p/x.mp4", "p/x.png"):
            store.pipe_file(f"/bucket/{name}", name.encode())
        yield store
