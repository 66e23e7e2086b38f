"""Run the command line in this process."""

from __future__ import annotations

import signal

import pytest

from endoseg_cli.cli.app import main


def exit_code(*arguments: object) -> int:
    """Run `endoseg` with the arguments through its one entry point and return the exit code."""
    terminate = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    signal.signal(signal.SIGTERM, terminate)
    assert isinstance(exit_.value.code, int)
    return exit_.value.code
