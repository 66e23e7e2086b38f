"""The commands of `endoseg`, and the one place where errors become words on stderr and an exit code."""

from __future__ import annotations

import codecs
import io
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from endoseg_cli import __version__
from endoseg_cli.cli.commands.benchmark import benchmark
from endoseg_cli.cli.commands.check import check
from endoseg_cli.cli.commands.download_weights import download_weights
from endoseg_cli.cli.commands.evaluate import evaluate
from endoseg_cli.cli.commands.export import export
from endoseg_cli.cli.commands.import_weights import import_weights
from endoseg_cli.cli.commands.info import info
from endoseg_cli.cli.commands.phantom import phantom
from endoseg_cli.cli.commands.segment import segment
from endoseg_cli.cli.commands.suggest import suggest
from endoseg_cli.cli.commands.train import train
from endoseg_cli.cli.commands.train_corrective import train_corrective
from endoseg_cli.cli.console.lines import print_error
from endoseg_cli.cli.console.streams import outlive_readers
from endoseg_cli.cli.options.words import ClickError, check_not_empty, own_words
from endoseg_cli.errors import DEBUG_VARIABLE, INTERRUPTED_EXIT_CODE, TERMINATED_EXIT_CODE, UsageError, explain
from endoseg_cli.process import prepare_process

_ANY_NAME = "endoseg-any-name"
SEGMENT, TRAIN, MODELS, TOOLS = "Segment", "Train", "Models", "Test data and tools"
EXAMPLES = (
    "endoseg segment video.mp4 --out mask.mp4 --overlay overlay.mp4",
    "endoseg check --labeled frames --unlabeled videos",
    "endoseg train --labeled frames --unlabeled videos --val-fraction 0.2 --out run",
)
NOTICE = "endoseg COMMAND --help says more. ENDOSEG_DEBUG=1 shows the traceback of an error. Not for diagnosis."
# An empty line between them: every release of typer keeps these apart.
EPILOG = "\n\n".join(("Examples:", *EXAMPLES, NOTICE))

app = typer.Typer(
    name="endoseg",
    help="Segment lesions in endoscopy video, and train such models from few labelled frames.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"endoseg {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


app.command(rich_help_panel=SEGMENT)(segment)
app.command(rich_help_panel=TRAIN)(check)
app.command(rich_help_panel=TRAIN)(train)
app.command("train-corrective", rich_help_panel=TRAIN)(train_corrective)
app.command(rich_help_panel=TRAIN)(evaluate)
app.command(rich_help_panel=TRAIN)(suggest)
app.command(rich_help_panel=MODELS)(info)
app.command("download-weights", rich_help_panel=MODELS)(download_weights)
app.command("import-weights", rich_help_panel=MODELS)(import_weights)
app.command(rich_help_panel=MODELS)(export)
app.command(rich_help_panel=TOOLS)(phantom)
app.add_typer(benchmark, name="benchmark", rich_help_panel=TOOLS)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; a user's error is a message and its exit code, never a traceback."""
    stopped: list[int] = []
    _leave_by_exceptions(stopped)
    prepare_process()
    outlive_readers()
    _let_any_file_name_through()
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        check_not_empty(given)
        code = app(args=given, prog_name="endoseg", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except typer.Abort:
        sys.exit(INTERRUPTED_EXIT_CODE)
    except ClickError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # not an error, but what shows the help
            error.show()  # type: ignore[attr-defined]
            sys.exit(UsageError.exit_code)
        _tell(own_words(error, given, [str(command.name) for command in _commands()]))
    except Exception as error:
        if stopped:  # compiled modules that are stopped while they are imported raise an ImportError instead
            sys.exit(stopped[0])
        _tell(error)
    sys.exit(code if isinstance(code, int) else 0)


def _commands() -> list[Any]:
    return list(typer.main.get_command(app).commands.values())  # type: ignore[attr-defined]


def _tell(error: Exception) -> NoReturn:
    """Print an error in the user's words and exit; with ENDOSEG_DEBUG, raise it."""
    if os.environ.get(DEBUG_VARIABLE):
        raise error
    told = explain(error)
    print_error(told.message, told.hint, told.details)
    sys.exit(told.exit_code)


def _let_any_file_name_through() -> None:
    """Print any file name, on stdout by its own bytes where the encoding lacks it, else as an escape; never fail."""
    codecs.register_error(_ANY_NAME, _own_bytes_or_escape)
    for stream, errors in ((sys.stdout, _ANY_NAME), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def _own_bytes_or_escape(error: UnicodeError) -> tuple[str | bytes, int]:
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


def _leave_by_exceptions(stopped: list[int]) -> None:
    """Make Ctrl-C and SIGTERM raise, so that part files are closed properly, and note the exit code in `stopped`."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        stopped.append(INTERRUPTED_EXIT_CODE)
        raise KeyboardInterrupt

    def terminate(number: int, frame: FrameType | None) -> NoReturn:
        stopped.append(TERMINATED_EXIT_CODE)
        raise SystemExit(TERMINATED_EXIT_CODE)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a background job ignores Ctrl-C
        signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, terminate)
