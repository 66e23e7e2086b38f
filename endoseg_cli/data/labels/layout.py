"""Find labelled frames (image and mask) and unlabelled frames (image alone) in folders as people keep them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from endoseg_cli.data.labels.annotated import annotated_pictures, folder_annotations
from endoseg_cli.data.labels.faults import Fault, raise_faults
from endoseg_cli.data.labels.folder_names import (
    IMAGE_FOLDERS,
    PlacedFile,
    list_files,
    place,
    plain_folder_name,
    strip_mask_suffix,
)
from endoseg_cli.data.labels.frames_cache import cached_frames
from endoseg_cli.data.labels.mask_reader import FRAME_LABEL_SUFFIXES, is_annotation_file
from endoseg_cli.errors import EndosegError, UsageError
from endoseg_cli.pictures.images import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_image, is_video

DEFAULT_FRAMES_PER_SECOND = 2.0
"""How densely videos are sampled into unlabelled frames unless asked otherwise."""
LAYOUT_HINT = (
    "images and masks have the same names, in images/ and masks/ (one folder per patient or video is welcome), "
    "or side by side as NAME and NAME_mask; LabelMe files lie beside their images, a COCO file is named itself"
)
ANNOTATION_HINT = (
    "put the file beside its pictures or beside their folder images/, or export it again as COCO instances"
)


@dataclass(frozen=True, kw_only=True)
class LabeledRecord:
    """A frame with its mask."""

    image: Path
    """The picture."""
    mask: Path
    """The file that holds its mask: a picture of the same size, or a COCO or LabelMe file; see labels.read_label."""
    group: str
    """The patient or video it belongs to: its folder below the image folder; '' in a flat folder."""
    name: str
    """Group and file name without ending, joined by '/': unique in its data set."""


@dataclass(frozen=True, kw_only=True)
class UnlabeledRecord:
    """A frame without a mask: there is no field for one, so none can leak into training."""

    image: Path
    """The picture, or a frame of a video in the cache."""
    group: str
    """The folder or video that it comes from."""
    name: str
    """Group and file name without ending, joined by '/'."""


@dataclass(frozen=True, kw_only=True)
class LabeledScan:
    """What was found in a folder of labelled frames."""

    records: tuple[LabeledRecord, ...]
    """The complete pairs, in the order of their names."""
    faults: tuple[Fault, ...]
    """What has no partner, or more than one."""
    notes: tuple[str, ...]
    """What was left out on purpose."""


@dataclass(frozen=True, kw_only=True)
class UnlabeledScan:
    """What was found in folders of frames and in videos."""

    records: tuple[UnlabeledRecord, ...]
    """The frames, in the order given and then of their names."""
    faults: tuple[Fault, ...]
    """Paths that are not there or hold nothing, and videos that cannot be read."""
    notes: tuple[str, ...]
    """What was left out on purpose."""


def find_labeled(root: Path) -> list[LabeledRecord]:
    """Return the labelled frames of a folder or COCO file; raises InputError with every fault at once."""
    scan = scan_labeled(root)
    raise_faults(scan.faults, hint=ANNOTATION_HINT if is_annotation_file(root) else LAYOUT_HINT)
    return list(scan.records)


def find_unlabeled(
    paths: Sequence[Path], frames_per_second: float = DEFAULT_FRAMES_PER_SECOND, cache: Path | None = None
) -> list[UnlabeledRecord]:
    """Return the frames in folders, videos and folders of videos; raises InputError with every fault at once.

    Videos are sampled at `frames_per_second` and decoded once into `cache` (see frames_cache).
    """
    scan = scan_unlabeled(paths, frames_per_second, cache)
    raise_faults(scan.faults)
    return list(scan.records)


def scan_labeled(root: Path) -> LabeledScan:
    """Pair images and masks below `root` by group and name, or take the pairs from a COCO or CVAT file.

    Understood are images/ with masks/ (or any other name in folder_names) at any depth, and both side by side with
    the mask called NAME_mask. A mask in a mask folder may be called NAME or NAME_mask. A LabelMe file beside an image,
    or of its name in a mask folder, is its mask.
    """
    if root.is_file() and is_annotation_file(root):
        return _scan_annotation_file(root)
    if fault := _folder_fault(root):
        return LabeledScan(records=(), faults=(fault,), notes=())
    files, others = list_files(root, IMAGE_SUFFIXES)
    images, masks = pictures_by_key([place(path, root) for path in files])
    labels = [place(path, root) for path in others if path.suffix.lower() in FRAME_LABEL_SUFFIXES]
    annotations = folder_annotations(labels, images, masks)
    for key, path in annotations.of_frames:
        masks[key].append(path)
    taken = {place.path for place in labels} - set(annotations.others)
    others = [path for path in others if path not in taken]
    faults = [*annotations.faults, *_twice(images, "image"), *_twice(masks, "mask")]
    faults += _without_partner(images, masks, root)
    if not files:
        faults.append(Fault(kind="missing", path=root, message=f"expected images and masks, found none in {root}"))
    records = [
        LabeledRecord(image=images[key][0], mask=masks[key][0], group=key[0], name="/".join(filter(None, key)))
        for key in sorted(images)
        if len(images[key]) == 1 and len(masks.get(key, [])) == 1
    ]
    notes = (*annotations.notes, *_notes_on_others(root, others))
    return LabeledScan(records=tuple(records), faults=tuple(faults), notes=notes)


def _scan_annotation_file(file: Path) -> LabeledScan:
    found = annotated_pictures(file)
    records = [
        LabeledRecord(image=path, mask=file, group=key[0], name="/".join(filter(None, key)))
        for key, path in found.pictures
    ]
    return LabeledScan(records=tuple(records), faults=found.faults, notes=found.notes)


def scan_unlabeled(
    paths: Sequence[Path],
    frames_per_second: float = DEFAULT_FRAMES_PER_SECOND,
    cache: Path | None = None,
    on_video: Callable[[Path], None] | None = None,
) -> UnlabeledScan:
    """Collect frames from folders, videos and single pictures; `on_video` is told of each video before it is read."""
    if not frames_per_second > 0:
        raise UsageError(f"--frames-per-second: expected a positive number, found {frames_per_second}")
    records: dict[Path, UnlabeledRecord] = {}
    faults: list[Fault] = []
    notes: list[str] = []
    for root in paths:
        pictures, videos, remarks = unlabeled_files(root)
        notes.extend(remarks)
        if not pictures and not videos:
            faults.append(_nothing_fault(root))
        for group, path in pictures:
            records.setdefault(path.resolve(), _unlabeled(path, group))
        for group, video in videos:
            if on_video is not None:
                on_video(video)
            try:
                frames = cached_frames(video, frames_per_second, cache)
            except EndosegError as error:
                faults.append(Fault(kind="unreadable", path=video, message=error.message))
                continue
            records.update((frame.resolve(), _unlabeled(frame, group)) for frame in frames)
    return UnlabeledScan(records=tuple(records.values()), faults=tuple(faults), notes=tuple(notes))


def find_videos(paths: Sequence[Path]) -> list[Path]:
    """Return the videos among the paths and below the folders among them."""
    return list(dict.fromkeys(video for root in paths for _, video in unlabeled_files(root)[1]))


Key = tuple[str, str]
"""Group and name of a frame; what an image and its mask share."""


def pictures_by_key(files: Sequence[PlacedFile]) -> tuple[dict[Key, list[Path]], dict[Key, list[Path]]]:
    """Sort files into images and masks, each by group and frame name; healthy data has one path per key."""
    plain = {(file.group, file.stem) for file in files if file.role != "mask"}
    images: dict[Key, list[Path]] = defaultdict(list)
    masks: dict[Key, list[Path]] = defaultdict(list)
    for file in files:
        key, stripped = (file.group, file.stem), (file.group, strip_mask_suffix(file.stem))
        if file.role == "mask":
            masks[key if key in plain else stripped].append(file.path)
        elif stripped != key and (stripped in plain or file.role == "unknown"):
            masks[stripped].append(file.path)
        else:
            images[key].append(file.path)
    return images, masks


def _twice(files: dict[Key, list[Path]], what: str) -> list[Fault]:
    return [
        Fault(
            kind="partner",
            path=paths[0],
            message=f"expected one {what} named {'/'.join(filter(None, key))}, found {', '.join(map(str, paths))}",
        )
        for key, paths in sorted(files.items())
        if len(paths) > 1
    ]


def _without_partner(images: dict[Key, list[Path]], masks: dict[Key, list[Path]], root: Path) -> list[Fault]:
    """List images without a mask, then masks without an image; a folder of images alone is one fault."""
    if images and not masks:
        message = f"expected a mask for every image, found {len(images)} images and no mask in {root}"
        return [Fault(kind="partner", path=root, message=message + _hint_at_parent(root))]
    lonely = [(key, images, "an image without a mask") for key in sorted(images.keys() - masks.keys())]
    lonely += [(key, masks, "a mask without an image") for key in sorted(masks.keys() - images.keys())]
    return [
        Fault(kind="partner", path=files[key][0], message=f"expected a pair, found {what}: {files[key][0]}")
        for key, files, what in lonely
    ]


def _hint_at_parent(root: Path) -> str:
    name = plain_folder_name(root.resolve().name)
    return f"; the folder above it may be meant: {root.resolve().parent}" if name in IMAGE_FOLDERS else ""


def _folder_fault(root: Path) -> Fault | None:
    if root.is_dir():
        return None
    found = "a file" if root.exists() else "nothing"
    message = f"expected a folder with images and masks, or a COCO (.json) or CVAT file (.xml), found {found}: {root}"
    return Fault(kind="missing", path=root, message=message)


def _notes_on_others(root: Path, others: Iterable[Path]) -> list[str]:
    counts = Counter(path.suffix.lower() or "no ending" for path in others)
    if not counts:
        return []
    listed = ", ".join(f"{count} {suffix}" for suffix, count in sorted(counts.items()))
    return [f"left out of {root}: files that are no pictures ({listed})"]


def is_mask_video(video: Path) -> bool:
    """Whether a video is the masks of another one beside it."""
    return any(
        video.stem.endswith(ending) and any(map(is_video, video.parent.glob(f"{escape(video.stem[: -len(ending)])}.*")))
        for ending in MASK_VIDEO_ENDINGS
    )


MASK_VIDEO_ENDINGS = ("_masks", "_mask")
"""What a mask video, or a folder of masks, is called behind its video's name."""
Grouped = list[tuple[str, Path]]
"""Files, each with its group."""


def unlabeled_files(root: Path) -> tuple[Grouped, Grouped, list[str]]:
    """Return pictures and videos of one --unlabeled path, and notes on what was left out."""
    if root.is_file():
        pictures = [(root.parent.name, root)] if is_image(root) else []
        return pictures, [(root.stem, root)] if is_video(root) else [], []
    files, others = list_files(root, IMAGE_SUFFIXES | VIDEO_SUFFIXES)
    images, masks = pictures_by_key([place(path, root) for path in files if is_image(path)])
    if not images and all(place(path, root).role != "mask" for paths in masks.values() for path in paths):
        images, masks = masks, {}  # frames that merely end in "_label" or the like
    base = root.resolve().name
    pictures = [("/".join(filter(None, (base, key[0]))), path) for key in sorted(images) for path in images[key]]
    found = [path for path in files if is_video(path)]
    mask_videos = [path for path in found if is_mask_video(path)]
    videos = [
        (f"{base}/{path.relative_to(root).with_suffix('').as_posix()}", path)
        for path in found
        if path not in mask_videos
    ]
    notes = _notes_on_others(root, others)
    count = sum(map(len, masks.values())) + len(mask_videos)
    if count:
        notes.append(f"left out of {root}: {count} {'mask' if count == 1 else 'masks'}")
    return pictures, videos, notes


def _unlabeled(path: Path, group: str) -> UnlabeledRecord:
    return UnlabeledRecord(image=path, group=group, name=f"{group}/{path.stem}")


def _nothing_fault(root: Path) -> Fault:
    if not root.exists():
        return Fault(kind="missing", path=root, message=f"expected frames or videos, found no such path: {root}")
    found = "another kind of file" if root.is_file() else "neither in the folder"
    return Fault(kind="missing", path=root, message=f"expected pictures or videos, found {found}: {root}")
