"""From an entry of a split file to the frame that it means."""

from __future__ import annotations

import difflib
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from endoseg_cli.data.labels.annotated import folder_annotations
from endoseg_cli.data.labels.faults import SHOWN_FAULTS, Fault
from endoseg_cli.data.labels.folder_names import list_files, place, strip_mask_suffix
from endoseg_cli.data.labels.layout import Key, LabeledRecord, UnlabeledRecord, pictures_by_key
from endoseg_cli.data.labels.mask_reader import FRAME_LABEL_SUFFIXES
from endoseg_cli.pictures.images import IMAGE_SUFFIXES, is_image


class FrameLookup:
    """Finds the files that entries mean; `faults` keeps those that mean none.

    A split file may come from strangers, so that its paths stay below the root unless they may lead `outside`.
    """

    def __init__(self, split_file: Path, root: Path, *, outside: bool = False) -> None:
        self.split_file, self.root, self.outside = split_file, root, outside
        self.faults: list[Fault] = []
        self.images: dict[Key, list[Path]] = {}
        self.masks: dict[Key, list[Path]] = {}
        if root.is_dir():
            files, others = list_files(root, IMAGE_SUFFIXES)
            self.images, self.masks = pictures_by_key([place(file, root) for file in files])
            labels = [place(file, root) for file in others if file.suffix.lower() in FRAME_LABEL_SUFFIXES]
            for key, file in folder_annotations(labels, self.images, self.masks).of_frames:
                self.masks[key].append(file)
        self.keys_of_stem: dict[str, list[Key]] = defaultdict(list)
        for key in self.images:
            self.keys_of_stem[key[1]].append(key)

    def all_labeled(self, entries: Sequence[object]) -> tuple[LabeledRecord, ...]:
        """Return the labelled frames that can be found among the entries."""
        found = (self._labeled(entry) for entry in entries)
        return tuple(record for record in found if record is not None)

    def all_unlabeled(self, entries: Sequence[object]) -> tuple[UnlabeledRecord, ...]:
        """Return the unlabelled frames that can be found among the entries."""
        found = (self._unlabeled(entry) for entry in entries)
        return tuple(record for record in found if record is not None)

    def _labeled(self, entry: object) -> LabeledRecord | None:
        if isinstance(entry, dict):
            image, mask = self._path(entry, "image"), self._path(entry, "mask")
            return self._record(image, mask) if image is not None and mask is not None else None
        key = self._key(entry)
        if key is None:
            return None
        masks = self.masks.get(key, [])
        if len(masks) != 1:
            found = ", ".join(map(str, masks)) or "none"
            self._fault(f"expected one mask for {entry}, found {found} below {self.root}")
            return None
        return self._record(self.images[key][0], masks[0])

    def _unlabeled(self, entry: object) -> UnlabeledRecord | None:
        if isinstance(entry, dict):
            image = self._path(entry, "image")
        else:
            key = self._key(entry)
            image = self.images[key][0] if key is not None else None
        if image is None:
            return None
        group, name = self._group_and_name(image)
        return UnlabeledRecord(image=image, group=group, name=name)

    def _record(self, image: Path, mask: Path) -> LabeledRecord:
        group, name = self._group_and_name(image)
        return LabeledRecord(image=image, mask=mask, group=group, name=name)

    def _group_and_name(self, image: Path) -> tuple[str, str]:
        """Return what the image's place below the root (or, elsewhere, its whole path) says."""
        base = self.root if image.is_relative_to(self.root) else Path(image.anchor)
        placed = place(image, base)
        return placed.group, "/".join(filter(None, (placed.group, placed.stem)))

    def _path(self, entry: dict[object, object], field: str) -> Path | None:
        value = entry.get(field)
        if not isinstance(value, str):
            self._fault(f'expected an entry with "{field}", found {json.dumps(entry)} in {self.split_file}')
            return None
        path = self.root / value
        if not self.outside and not _is_below(path, self.root):
            self._fault(f"expected {field} below {self.root}, found {value} (--outside-root allows such paths)")
            return None
        if not path.is_file():
            self._fault(f"expected {field} {path}, found no such file")
            return None
        return path

    def _key(self, entry: object) -> Key | None:
        """Return the frame that a name means: NAME, NAME.png, patient1/NAME or images/NAME.png."""
        if not isinstance(entry, str) or not entry:
            self._fault(f"expected a name, or an image and a mask, found {json.dumps(entry)} in {self.split_file}")
            return None
        below = self.root / entry
        written = [below, below.with_suffix("")] if is_image(below) else [below]
        placed = [place(path, self.root) for path in written if path.is_relative_to(self.root)]
        # The name's ending may belong to the name (frame.12), so both readings are tried.
        for group, stem in [(file.group, name) for file in placed for name in (file.path.name, file.stem)]:
            if len(self.images.get((group, stem), [])) == 1:
                return group, stem
        keys = {key for path in written for key in self.keys_of_stem.get(path.name, [])}
        if len(keys) == 1 and "/" not in entry:
            return keys.pop()
        self._refuse_name(entry, keys)
        return None

    def _refuse_name(self, entry: str, keys: set[Key]) -> None:
        if keys:
            names = ", ".join(sorted("/".join(filter(None, key)) for key in keys))
            self._fault(f"expected one frame named {entry}, found {names} below {self.root}")
            return
        stem = strip_mask_suffix(Path(entry).stem)
        close = difflib.get_close_matches(stem, self.keys_of_stem, n=1) if len(self.faults) < SHOWN_FAULTS else []
        nearest = f" (the nearest name is {close[0]})" if close else ""
        self._fault(f"expected a frame named {entry}, found none below {self.root}{nearest}")

    def _fault(self, message: str) -> None:
        self.faults.append(Fault(kind="entry", path=self.split_file, message=message))


def _is_below(path: Path, root: Path) -> bool:
    """Whether a path lies below a folder: as it is written, as links in the folder are its owner's, or as it leads."""
    if ".." not in path.parts[len(root.parts) :] and path.absolute().is_relative_to(root.absolute()):
        return True
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
