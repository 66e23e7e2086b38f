"""Every command of the README does what it says, on small data and with small networks."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from endoseg_cli.cli.app import app
from endoseg_cli.hub.manifest import find_entry
from tests.cli.shell import run_in_bash
from tests.conftest import Run
from tests.hub.conftest import hub_cache as hub_cache
from tests.hub.samples import BODY
from tests.hub.server import HubServer, Served, running_server
from tests.networks.tiny import save_to, tiny_bundle
from tests.readme import README, ROOT, Command, fill, read_commands

Endoseg = Callable[..., Run]
COMMANDS = read_commands()
SECTIONS = list(dict.fromkeys(command.section for command in COMMANDS))
OUTPUTS = (
    *("--out", "--overlay", "--masks-dir", "--records", "--annotations", "--frames-dir", "--report", "--dest"),
    *("--contact-sheet", "--per-frame"),
)
SMALL_NETWORK = ("--encoder", "mobilenet_v2", "--size", "32")
SMALL_FROM_MODEL = (
    "--batch-size",
    "2",
    "--max-steps",
    "1",
    "--settle-frames",
    "2",
    "--no-corrective",
    "--device",
    "cpu",
)
"""Training that starts from a model has its networks."""
SMALL: dict[str, tuple[str, ...]] = {
    "segment": ("--device", "cpu", "--network", "1", "--threshold", "1e-6"),  # so that there are lesions to correct
    "check": (),
    "train": (
        *(*SMALL_NETWORK, "--decoder-channels", "8,8,8,8,8", "--encoder-weights", "none", "--batch-size", "2"),
        *("--num-passes", "2", "--max-steps", "2", "--no-corrective", "--device", "cpu"),
    ),
    "train-corrective": ("--clips", "2", "--batch-size", "2", "--max-steps", "1", "--device", "cpu"),
    "evaluate": ("--device", "cpu"),
    "suggest": ("--device", "cpu"),
    "info": (),
    "import-weights": (),
    "export": ("--weights", "tiny/model.safetensors"),
    "download-weights": (),
    "phantom": ("--stills", "1", "--clips", "1", "--seconds", "0.2", "--size", "64"),
    "benchmark inference": (
        *("--weights", "tiny/model.safetensors", "--runtime", "torch", "--precision", "fp32"),
        *("--seconds", "0.01", "--repeats", "1", "--device", "cpu"),
    ),
    "benchmark train": (*SMALL_NETWORK, "--batch-size", "2", "--repeats", "1", "--device", "cpu"),
}
"""What makes each command small; a command that is not here is not known to this test."""

OF_RAY = {"--head", "--disable-usage-stats"}
"""Options that are not endoseg's."""


@pytest.fixture
def hub(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """Give a Hub on loopback with what the README fetches."""
    with running_server() as server:
        for name in ("resnet34-imagenet", "resnet50-imagenet"):
            entry = find_entry(name)
            assert entry.repo_id is not None
            server.serve(Served(body=BODY), entry.repo_id, at=entry.revision)
        server.serve(Served(body=BODY), "my-clinic/stones", at="main")
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.mark.parametrize("section", SECTIONS)
def test_commands_do_what_they_say(
    section: str, endoseg: Endoseg, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [command for command in COMMANDS if command.section == section]
    folder = tmp_path / "work"
    fill(folder, with_model="runs/first" not in {command.value("--out") for command in commands})
    (folder / "tiny").mkdir()
    save_to(folder / "tiny", tiny_bundle())
    monkeypatch.chdir(folder)
    for command in commands:
        run_command(command, endoseg, hub, tmp_path)


def run_command(command: Command, endoseg: Endoseg, hub: HubServer, home: Path) -> None:
    """Run one command, or check what it needs; fail for one that is not known."""
    match command.words:
        case ("make", target):
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), command
        case ("pip", "install", place):
            assert re.fullmatch(r"\.(\[\w+\])?", place), command
            project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            assert place == "." or place[2:-1] in project["optional-dependencies"], command
        case ("endoseg", "--install-completion"):
            assert run_in_bash(home, "endoseg --install-completion").returncode == 0
            assert (home / ".bash_completions" / "endoseg.sh").is_file()
        case ("ray", "start", *options):
            assert {option.partition("=")[0] for option in options} <= OF_RAY | {"--address"}, command
        case ("endoseg", "segment", *rest) if "--engine" in rest:  # without ray, or without a cluster, it says so
            run = endoseg("segment", *rest)
            assert run.code in (2, 6) and re.search(r"endoseg-cli\[ray\]|no Ray cluster", run.stderr), run.stderr
        case ("endoseg", *rest) if name_of(command) in SMALL:
            mirror = ("--endpoint", hub.url) if "--endpoint" in rest else ()
            name = name_of(command)
            small = SMALL_FROM_MODEL if name == "train" and "--weights" in rest else SMALL[name]
            run = endoseg(*rest, *small, *mirror)
            assert run.code == 0, f"{command.words}\n{run.stderr}"
            written = {option: value for option in OUTPUTS if (value := command.value(option)) is not None}
            missing = [option for option, value in written.items() if not Path(value).exists()]
            assert not missing, f"{command.words} left out {missing}\n{run.stderr}"
        case words:
            pytest.fail(f"README has a command that this test does not know how to run: {' '.join(words)}")


def name_of(command: Command) -> str:
    """Return the name of a command of endoseg; of a benchmark with what it measures."""
    name, *rest = command.words[1:]
    return f"{name} {rest[0]}" if name == "benchmark" else name


def test_a_command_that_nobody_knows_fails(endoseg: Endoseg, hub: HubServer, tmp_path: Path) -> None:
    (command,) = read_commands("## Odd\n\nText\n\n    endoseg \\\n        dance --long     # so\n    # by hand\n")
    assert command == Command(section="Odd", words=("endoseg", "dance", "--long"))
    with pytest.raises(pytest.fail.Exception, match="does not know how to run: endoseg dance --long"):
        run_command(command, endoseg, hub, tmp_path)


def test_all_commands_are_in_indented_blocks_and_every_section_is_seen() -> None:
    assert set(re.findall(r"```(\w+)", README)) == {"python", "bibtex"}
    assert {"Set up", "You want masks", "You train on your own frames", "You reproduce the paper"} <= set(SECTIONS)
    assert {name_of(command) for command in COMMANDS if command.words[0] == "endoseg"} >= set(SMALL)


def test_every_option_and_command_in_the_text_exists() -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    pages, options = dict(root.commands), {"--help", "--nproc-per-node"}  # the latter is torchrun's
    for page in [root, *pages.values()]:
        below = page.commands.values() if isinstance(page, TyperGroup) else ()
        for parameter in [parameter for each in (page, *below) for parameter in each.params]:
            options |= {*parameter.opts, *parameter.secondary_opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", README)) <= options | OF_RAY
    assert set(re.findall(r"`endoseg ([a-z][a-z-]*)", README)) <= set(pages)


def test_links_lead_somewhere_and_pictures_are_small() -> None:
    anchors = {"#" + re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-") for title in headings()}
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", README) if not target.startswith("https://")]
    assert [target for target in targets if target not in anchors and not (ROOT / target).is_file()] == []
    pictures = [ROOT / target for target in targets if target.endswith((".jpg", ".png"))]
    assert pictures and all(picture.stat().st_size < 120_000 for picture in pictures)


def headings() -> list[str]:
    return [line.lstrip("# ") for line in README.splitlines() if line.startswith("#")]
