"""Videos as unlabelled data: each is decoded once into a folder of JPEG frames, and read again only if it changed."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

from endoseg_cli import __version__
from endoseg_cli.errors import EndosegError, InputError, MissingInputError, OutputError
from endoseg_cli.pictures.images import encode_jpeg
from endoseg_cli.user_cache import user_cache

JPEG_QUALITY = 95
MANIFEST = "frames.json"


@dataclass(frozen=True, kw_only=True)
class CachedVideo:
    """The manifest of one video's frames: what they were made from."""

    source: str
    """Absolute path of the video."""
    size: int
    """Its size in bytes."""
    modified: int
    """When it was last changed, in nanoseconds."""
    frames_per_second: float
    """How densely it was sampled."""
    endoseg: str
    """The version that decoded it."""


def default_cache_folder() -> Path:
    """Return where decoded frames live unless told otherwise: endoseg/frames in the user's cache folder."""
    return user_cache("frames")


def cached_frames(video: Path, frames_per_second: float, cache: Path | None = None) -> list[Path]:
    """Return the frames of a video, sampled at `frames_per_second`, as JPEG files in time order.

    They are named by their index in the video and decoded on the first call alone, into a folder of `cache` (the
    user's cache folder if None), which appears under its name only when it is whole. Raises MissingInputError,
    InputError or OutputError.
    """
    wanted = _describe(video, frames_per_second)
    key = blake2b(f"{wanted.source}\n{frames_per_second}".encode(), digest_size=6).hexdigest()
    folder = (cache if cache is not None else default_cache_folder()) / f"{video.stem}-{key}"
    frames = _frames_if_current(folder, wanted)
    if frames is None:
        _decode_into(folder, video, wanted)
        frames = _frames_if_current(folder, wanted)
        assert frames is not None, "what was just decoded is current"
    return frames


def _describe(video: Path, frames_per_second: float) -> CachedVideo:
    try:
        status = video.stat()
    except OSError as error:
        raise MissingInputError(f"no such video: {video}") from error
    return CachedVideo(
        source=str(video.resolve()),
        size=status.st_size,
        modified=status.st_mtime_ns,
        frames_per_second=frames_per_second,
        endoseg=__version__,
    )


def _frames_if_current(folder: Path, wanted: CachedVideo) -> list[Path] | None:
    """Return the cached frames, or None if they are not there, not whole, or of another state of the video."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    frames = sorted(folder.glob("*.jpg"))
    is_current = isinstance(manifest, dict) and manifest == asdict(wanted) | {"frames": len(frames)}
    return frames if is_current else None


def _decode_into(folder: Path, video: Path, wanted: CachedVideo) -> None:
    """Decode beside the final folder, then rename; another process may do the same at the same time."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            count = _write_frames(temporary, video, wanted.frames_per_second)
            manifest = json.dumps(asdict(wanted) | {"frames": count}, indent=2)
            (temporary / MANIFEST).write_text(manifest + "\n", encoding="utf-8")
            if _frames_if_current(folder, wanted) is None:
                shutil.rmtree(folder, ignore_errors=True)
                _rename(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        if isinstance(error, EndosegError):
            raise
        raise OutputError(
            f"cannot write the frames of {video} to {folder}: {error.strerror}",
            hint="make room there, or name another cache folder",
        ) from error


def _rename(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        if not (folder / MANIFEST).is_file():  # else another process was faster, and its frames serve as well
            raise


def _write_frames(folder: Path, video: Path, frames_per_second: float) -> int:
    from endoseg_cli.video.reading.reader import sample_frames

    count = 0
    for index, _, frame in sample_frames(video, frames_per_second, size=None):
        (folder / f"{index:08d}.jpg").write_bytes(encode_jpeg(frame, JPEG_QUALITY))
        count += 1
    if count == 0:
        raise InputError(f"expected a video, found no frame in {video}")
    return count
