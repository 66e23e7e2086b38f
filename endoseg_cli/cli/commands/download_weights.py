"""`endoseg download-weights`: fetch models and encoders, and list what there is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from endoseg_cli.cli.console.downloads import DownloadConsole, print_weights
from endoseg_cli.cli.console.say import print_path
from endoseg_cli.cli.options.completion import complete_downloads
from endoseg_cli.cli.options.groups import grouped
from endoseg_cli.errors import UsageError

if TYPE_CHECKING:
    from endoseg_cli.hub.manifest import Entry

SOURCE = "Where from"


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Where weights come from."""

    repo: Annotated[
        str | None, typer.Option("--repo", help="A repository of your own, owner/name.", rich_help_panel=SOURCE)
    ] = None
    file: Annotated[str | None, typer.Option("--file", help="The file in that repository.", rich_help_panel=SOURCE)] = (
        None
    )
    revision: Annotated[
        str | None, typer.Option("--revision", help="Another commit, tag or branch.", rich_help_panel=SOURCE)
    ] = None
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", help="Address of a mirror of the Hub; also HF_ENDPOINT.", rich_help_panel=SOURCE),
    ] = None
    from_dir: Annotated[
        Path | None,
        typer.Option("--from-dir", help="Folder with files from another machine; no network.", rich_help_panel=SOURCE),
    ] = None
    offline: Annotated[
        bool, typer.Option("--offline", help="Use what is on this machine only.", rich_help_panel=SOURCE)
    ] = False

    def check(self, names: list[str] | None) -> None:
        """Raise UsageError for what does not go together."""
        if (self.repo is None) != (self.file is None):
            raise UsageError(
                "--repo and --file belong together", hint="example: --repo org/name --file model.safetensors"
            )
        if self.repo is not None and names:
            raise UsageError("give names or --repo, not both")
        if self.endpoint is not None and (self.offline or self.from_dir is not None):
            raise UsageError("--endpoint needs a network; leave out --offline and --from-dir")


@grouped
def download_weights(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=complete_downloads,
            metavar="[NAME]...",
            help="What to fetch (default: what train starts from).",
        ),
    ] = None,
    list_only: Annotated[bool, typer.Option("--list", help="Fetch nothing; print what there is.")] = False,
    dest: Annotated[
        Path | None, typer.Option("--dest", help="Folder for a copy of each file, as NAME.safetensors.")
    ] = None,
    *,
    source: SourceOptions,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only, and the paths.")] = False,
) -> None:
    """Fetch weights and check their SHA-256; prints the paths.

    Example: endoseg download-weights resnet34-imagenet --dest /media/stick
    """
    from endoseg_cli.hub.download import fetch

    source.check(names)
    if list_only and (names or dest or source.repo or source.revision or source.endpoint or source.from_dir):
        raise UsageError("--list fetches nothing; leave out what says what to fetch, from where, and where to")
    entries = [] if list_only else _choose(names, source.repo, source.file)
    console = DownloadConsole(quiet=quiet)
    paths: list[Path] = []
    try:
        for entry in entries:
            console.started(entry.name)
            path = fetch(
                entry,
                dest=dest,
                endpoint=source.endpoint,
                revision=source.revision,
                offline=source.offline,
                from_dir=source.from_dir,
                on_progress=console.progressed,
            )
            paths.append(path)
    finally:
        console.close()
    if as_json:
        typer.echo(json.dumps({"files": _describe(entries, paths), "weights": _list_weights()}, indent=2))
        return
    for path in paths:
        print_path(path)
    if list_only or not (names or source.repo or quiet):
        print_weights(_list_weights(), to_stderr=not list_only)


def _choose(names: list[str] | None, repo: str | None, file: str | None) -> list[Entry]:
    from endoseg_cli.hub.manifest import TRAINING_DEFAULT, Entry, find_entry

    if repo is not None and file is not None:
        return [Entry(name=Path(file).stem, repo_id=repo, filename=file)]
    return [find_entry(name) for name in dict.fromkeys(names or [TRAINING_DEFAULT])]


def _describe(entries: list[Entry], paths: list[Path]) -> list[dict[str, Any]]:
    from endoseg_cli.hub.integrity import sha256_of

    return [
        {"name": entry.name, "path": str(path), "bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for entry, path in zip(entries, paths, strict=True)
    ]


def _list_weights() -> list[dict[str, Any]]:
    from dataclasses import asdict

    from endoseg_cli.hub.download import state
    from endoseg_cli.hub.manifest import load_manifest

    return [{**asdict(entry), "state": state(entry)} for entry in load_manifest().values()]
