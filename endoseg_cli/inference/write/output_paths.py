"""Which file each input's masks, overlay, pictures and probabilities go to, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path, PurePosixPath

from endoseg_cli.annotations.writing.formats import AnnotationConfig
from endoseg_cli.errors import OutputError, UsageError
from endoseg_cli.inference.inputs.addresses import called, is_address, plain_output
from endoseg_cli.inference.inputs.sources import Shard, Source
from endoseg_cli.inference.write.records import check_records_path
from endoseg_cli.pages.place import beside, page_for
from endoseg_cli.part_file import part_path
from endoseg_cli.video.writing.target import CONTAINERS, check_target

PICTURE_SUFFIX = ".png"
PLAYED_SUFFIXES = (".mp4", ".m4v")
"""Overlays that browsers play."""


@dataclass(frozen=True, kw_only=True)
class OutputConfig:
    """Where the products of a job go; None for a product that is not wanted."""

    masks: Path | None = None
    """Mask video (or PNG) of the one input, or the folder for those of all inputs."""
    overlay: Path | None = None
    """Overlay video (or PNG) of the one input, or the folder for those of all inputs."""
    mask_pictures: Path | None = None
    """Folder for a mask PNG per frame."""
    probabilities: Path | None = None
    """Folder for a 16-bit probability PNG per frame."""
    records: Path | None = None
    """Per-frame table of all inputs, .csv or .json."""
    annotations: AnnotationConfig | None = None
    """File or folder for the annotations of all inputs."""
    frames: Path | None = None
    """Folder for the predicted frames themselves, which annotation tools need."""
    report: Path | None = None
    """Page of the one video, or the folder for those of all videos."""
    overwrite: bool = False
    """Replace outputs that exist."""

    def __post_init__(self) -> None:
        products = (self.masks, self.overlay, self.mask_pictures, self.probabilities, self.records, self.frames)
        if not any((*products, self.annotations, self.report)):
            raise UsageError("nothing to write", hint="give --out FILE, or another product such as --overlay FILE")

    @property
    def tables(self) -> tuple[Path, ...]:
        """What is written of all inputs together: records, then annotations, as far as they are wanted."""
        annotations = None if self.annotations is None else self.annotations.path
        return tuple(path for path in (self.records, annotations) if path is not None)

    def here(self) -> OutputConfig:
        """Return the same products, file:// as its path; raises UsageError for addresses, for which there is Ray."""

        def here(path: Path) -> Path:
            plain = plain_output(path)
            if is_address(plain):
                raise UsageError(f"an address is no file: {called(path)}", hint="write to it with --engine ray")
            return plain

        return self.moved(here)

    def moved(self, move: Callable[[Path], Path]) -> OutputConfig:
        """Return the same products at other places."""

        def moved(path: Path | None) -> Path | None:
            return None if path is None else move(path)

        annotations = self.annotations
        return replace(
            self,
            masks=moved(self.masks),
            overlay=moved(self.overlay),
            mask_pictures=moved(self.mask_pictures),
            probabilities=moved(self.probabilities),
            records=moved(self.records),
            annotations=None if annotations is None else replace(annotations, path=move(annotations.path)),
            frames=moved(self.frames),
            report=moved(self.report),
        )


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The outputs of one input."""

    source: Source
    """The input."""
    masks: Path | None
    """Mask video, or PNG for a picture."""
    overlay: Path | None
    """Overlay video, or PNG for a picture."""
    mask_pictures: Path | None
    """Folder for a video's mask PNGs, or a picture's mask PNG."""
    probabilities: Path | None
    """Folder for a video's probability PNGs, or a picture's probability PNG."""
    frames: Path | None
    """Folder for the frames of all inputs."""
    name: PurePosixPath
    """A picture's name below that folder; of a video what its frames' names begin with; of a sequence its folder."""
    report: Path | None = None
    """Page of a video; None for a picture."""

    @property
    def called(self) -> str:
        """What people call the input."""
        return called(self.source.path)

    @property
    def page_video(self) -> Path | None:
        """The video that the page plays: the overlay if browsers play its container, else one of its own."""
        if self.report is None:
            return None
        if self.overlay is not None and self.overlay.suffix.lower() in PLAYED_SUFFIXES:
            return self.overlay
        return beside(self.report)

    @property
    def overlays(self) -> tuple[Path, ...]:
        """Every video that shows the frames with their lesions marked."""
        return tuple(dict.fromkeys(path for path in (self.overlay, self.page_video) if path is not None))

    def frame_name(self, index: int) -> PurePosixPath:
        """Return what annotation files and the folder of frames call a frame."""
        if self.source.is_picture:
            return self.name
        if self.source.pictures:
            return self.name / self.source.pictures[index].name
        return self.name.with_name(f"{self.name.name}_{index:06d}{PICTURE_SUFFIX}")

    def picture_name(self, index: int) -> str:
        """Return the name of a frame's mask and probability in a video's folder: a number, or as its picture's."""
        stem = self.source.pictures[index].stem if self.source.pictures else f"{index:06d}"
        return stem + PICTURE_SUFFIX

    def frame_picture(self, index: int) -> Path | None:
        """Return where a frame's picture lies or will lie; None for a video whose frames are not wanted."""
        if self.frames is not None:
            return self.frames / self.frame_name(index)
        if self.source.pictures:
            return self.source.pictures[index]
        return self.source.path if self.source.is_picture else None

    def files(self) -> Iterator[Path]:
        """Yield every target there is."""
        if self.frames is not None and self.source.is_picture:
            yield self.frames / self.frame_name(0)
        yield from (path for path in (self.masks, self.mask_pictures, self.probabilities, self.report) if path)
        yield from self.overlays


def _never(_: object) -> bool:
    return False


def plan(
    sources: Sequence[Source],
    inputs: Sequence[str],
    config: OutputConfig,
    shard: Shard | None = None,
    *,
    is_done: Callable[[Targets], bool] = _never,
    is_own: Callable[[Path], bool] = _never,
) -> list[Targets]:
    """Decide the targets of every input and check that all of them can be written.

    One input file goes to the very files named, or into folders where a folder is named; several inputs go into
    folders. With `shard`, the outputs are called as without, and those of this share alone are returned and checked.
    The outputs of an input that `is_done`, and tables that are `is_own`, may exist; addresses are not looked up.
    Raises UsageError or OutputError, before anything is computed.
    """
    single = len(sources) == len(inputs) == 1 and (bool(sources[0].pictures) or sources[0].path == Path(inputs[0]))
    for product in (config.masks, config.overlay):
        if product is not None and str(product) == "-":
            raise UsageError("a video cannot be written to -", hint="name a file, such as mask.mp4")
    if config.report is not None and all(source.is_picture for source in sources):
        hint = "say with --fps that the pictures of a folder are the frames of a video"
        raise UsageError("--report is the page of a video, but all inputs are pictures", hint=hint)
    targets = [_targets(source, config, single=single) for source in sources]
    _check_distinct(targets)
    if config.annotations is not None or config.frames is not None:
        _check_frame_names(sources)
    if shard is not None:
        targets = targets[shard.number - 1 :: shard.count]
    for target in targets:
        _check_writable(target, config.overwrite or is_done(target))
    _check_part_files(targets, config)
    if config.records is not None:
        check_records_path(config.records, overwrite=config.overwrite or is_own(config.records))
    if config.annotations is not None:
        overwrite = config.annotations.overwrite or is_own(config.annotations.path)
        replace(config.annotations, overwrite=overwrite).check()
    return targets


def _targets(source: Source, config: OutputConfig, *, single: bool) -> Targets:
    suffix = PICTURE_SUFFIX if source.is_picture else ".mp4"
    return Targets(
        source=source,
        masks=_product(config.masks, source, suffix, single=single, option="--out"),
        overlay=_product(config.overlay, source, suffix, single=single, option="--overlay"),
        mask_pictures=_pictures(config.mask_pictures, source, single=single),
        probabilities=_pictures(config.probabilities, source, single=single),
        frames=config.frames,
        name=_name(source, single=single),
        report=None
        if config.report is None or source.is_picture
        else page_for(config.report, source.place, single=single),
    )


def _name(source: Source, *, single: bool) -> PurePosixPath:
    """Name a picture as it is called, a video's frames after it; of several, each video has a folder."""
    place = PurePosixPath(source.place.as_posix())
    if source.pictures:
        return PurePosixPath(source.folder.as_posix())
    if source.is_picture:
        return place.with_name(place.name + source.path.suffix)
    return place if single else place / place.name


def _product(given: Path | None, source: Source, suffix: str, *, single: bool, option: str) -> Path | None:
    """Return the file for one product of one input."""
    if given is None:
        return None
    names_file = given.suffix.lower() in {*CONTAINERS, PICTURE_SUFFIX} and not given.is_dir()
    if not names_file:
        if given.suffix and single and not given.is_dir():
            allowed = PICTURE_SUFFIX if source.is_picture else ", ".join(CONTAINERS)
            raise UsageError(f"{option} {given}: expected an ending of {allowed}, or a folder")
        return given / source.place.with_name(source.place.name + suffix)
    if not single:
        raise UsageError(
            f"{option} {given} is one file, but the inputs are several, or a folder or pattern", hint="give a folder"
        )
    if (given.suffix.lower() == PICTURE_SUFFIX) != source.is_picture:
        kind, wanted = ("picture", ".png") if source.is_picture else ("video", ".mp4")
        hint = f"give a name ending in {wanted}, or a folder"
        raise UsageError(f"{option} {given}: the input is a {kind}", hint=hint)
    return given


def _pictures(folder: Path | None, source: Source, *, single: bool) -> Path | None:
    """Return where a source's pictures go: a PNG for a picture, for a video a folder (the very one if it is alone)."""
    if folder is None:
        return None
    if source.is_picture:
        return folder / source.place.with_name(source.place.name + PICTURE_SUFFIX)
    if source.pictures:
        return folder / source.folder
    return folder if single else folder / source.place


def _check_distinct(targets: Sequence[Targets]) -> None:
    """Refuse inputs that would overwrite each other's outputs, such as a.mp4 and a.avi."""
    owners: dict[Path, Path] = {}
    for target in targets:
        for file in target.files():
            other = owners.setdefault(file.resolve(), target.source.path)
            if other != target.source.path:
                raise UsageError(
                    f"{other} and {target.source.path} would both write {file}", hint="segment them into two folders"
                )
            if [one.resolve() for one in target.files()].count(file.resolve()) > 1:
                raise UsageError(f"two products of {target.source.path} would write {file}", hint="name them apart")


def _check_part_files(targets: Sequence[Targets], config: OutputConfig) -> None:
    """Refuse outputs whose temporary file is an input, or a link to somebody's file, which writing would destroy."""
    annotations = None if config.annotations is None else config.annotations.path
    tables = [path for path in (config.records, annotations) if path is not None]
    for table in tables:
        if [file.resolve() for file in tables].count(table.resolve()) > 1:
            raise UsageError(f"--records and --annotations would both write {table}", hint="name them apart")
        for target in targets:
            if table.resolve() in {file.resolve() for file in target.files()}:
                raise UsageError(f"two products would write {table}", hint="name them apart")
            if table.exists() and table.resolve() == target.source.path.resolve():
                raise OutputError(f"the output would replace the input: {table}", hint="choose another name")
    sources = {path.resolve() for target in targets for path in (target.source.path, *target.source.pictures)}
    for file in (*(file for target in targets for file in target.files()), *tables):
        part = part_path(file)
        if part.is_symlink():
            raise OutputError(
                f"the output's temporary file is a link: {part}", hint="remove it, or choose another name"
            )
        if part.resolve() in sources:
            hint = f"rename the input, or write something else than {file}"
            raise OutputError(f"the output's temporary file would replace the input: {part}", hint=hint)


def _check_frame_names(sources: Sequence[Source]) -> None:
    """Refuse inputs whose frames would have the same names in annotations, such as a.png and a.jpg."""
    owners: dict[Path, Path] = {}
    for source in sources:
        other = owners.setdefault(source.place, source.path)
        if other != source.path:
            message = f"the frames of {other} and {source.path} would have the same names in the annotations"
            raise UsageError(message, hint="segment them one by one, or rename one of them")


def _check_writable(target: Targets, overwrite: bool) -> None:
    source = target.source.path
    if target.report is not None:
        _check_picture(target.report, source, overwrite)
    for file in (target.masks, *target.overlays):
        if file is None or is_address(file):
            continue
        if file.suffix.lower() != PICTURE_SUFFIX:
            check_target(file, source=source, overwrite=overwrite)
        else:
            _check_picture(file, source, overwrite)
    if target.frames is not None:
        _check_frames(target, overwrite)
    for place in (target.mask_pictures, target.probabilities):
        if place is None:
            continue
        if target.source.is_picture:
            _check_picture(place, source, overwrite)
        elif place.exists() and not place.is_dir():
            raise OutputError(f"expected a folder for a video's pictures, found a file: {place}")
        elif target.source.pictures:
            _check_sequence(target, place, overwrite)
        else:
            _check_no_pictures(place, overwrite)


def check_class_folders(targets: Sequence[Targets], class_names: Sequence[str], *, overwrite: bool) -> None:
    """Raise OutputError if the pictures of a model with several classes exist already, in their folder per class."""
    if len(class_names) == 1 or overwrite:
        return
    for target in targets:
        for place in filter(None, (target.mask_pictures, target.probabilities)):
            for name in class_names:
                if target.source.is_picture:
                    _check_picture(place.parent / name / place.name, target.source.path, overwrite)
                else:
                    _check_no_pictures(place / name, overwrite)


def check_no_originals(targets: Sequence[Targets]) -> None:
    """Raise OutputError if the folder of frames holds an input's own pictures, which would stay there unblanked."""
    for target in targets:
        if target.frames is None or not (target.source.is_picture or target.source.pictures):
            continue
        for index, picture in enumerate(target.source.pictures or (target.source.path,)):
            copy = target.frames / target.frame_name(index)
            if copy.exists() and copy.samefile(picture):
                raise OutputError(
                    f"--redact blanks copies, but --frames-dir {target.frames} holds the pictures themselves",
                    hint="name another folder",
                )


def _check_no_pictures(folder: Path, overwrite: bool) -> None:
    if folder.is_dir() and not overwrite and any(folder.glob("*.png")):
        raise OutputError(f"the folder holds pictures already: {folder}", hint="add --overwrite, or choose another")


def _check_sequence(target: Targets, folder: Path, overwrite: bool) -> None:
    """Check the pictures that one product of a sequence will write, named as the frames are."""
    owners: dict[str, Path] = {}
    for index, picture in enumerate(target.source.pictures):
        name = target.picture_name(index)
        if (other := owners.setdefault(name, picture)) != picture:
            raise UsageError(
                f"{other} and {picture} would both write {folder / name}", hint="keep one of them in the folder"
            )
        _check_picture(folder / name, picture, overwrite)


def _check_frames(target: Targets, overwrite: bool) -> None:
    first = target.frame_picture(0)
    assert target.frames is not None and first is not None, "frames are wanted"
    if target.frames.exists() and not target.frames.is_dir():
        raise OutputError(f"--frames-dir: expected a folder, found a file: {target.frames}")
    if target.source.is_picture or target.source.pictures:
        for index, picture in enumerate(target.source.pictures or (target.source.path,)):
            copy = target.frames / target.frame_name(index)
            if not copy.exists() or not copy.samefile(picture):
                _check_picture(copy, picture, overwrite)
    elif not overwrite and any(first.parent.glob(f"{escape(target.name.name)}_[0-9]*{PICTURE_SUFFIX}")):
        hint = "add --overwrite, or choose another"
        raise OutputError(f"the folder holds frames of this video already: {first.parent}", hint=hint)


def _check_picture(file: Path, source: Path, overwrite: bool) -> None:
    if file.is_dir():
        raise OutputError(f"expected an output file, found a folder: {file}", hint="choose another name")
    if file.exists() and file.samefile(source):
        raise OutputError(f"the output would replace the input: {file}", hint="choose another name or folder")
    if file.exists() and not overwrite:
        raise OutputError(f"the output exists already: {file}", hint="add --overwrite, or choose another name")
