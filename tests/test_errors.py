from __future__ import annotations

import pytest

from endoseg_cli import errors

CODES = {
    errors.UsageError: (2, ValueError),
    errors.InputError: (3, ValueError),
    errors.MissingInputError: (3, FileNotFoundError),
    errors.OutputError: (4, OSError),
    errors.WeightsError: (5, ValueError),
    errors.DeviceError: (6, RuntimeError),
    errors.TrainingError: (1, RuntimeError),
    errors.InternalError: (1, RuntimeError),
}


@pytest.mark.parametrize("kind", CODES)
def test_an_error_is_endosegs_and_a_builtin_and_has_its_exit_code(kind: type[errors.EndosegError]) -> None:
    code, builtin = CODES[kind]
    with pytest.raises(builtin) as caught:
        raise kind("what is wrong: a.mp4", hint="do this")
    error = caught.value
    assert isinstance(error, errors.EndosegError) and error.exit_code == code
    assert (error.message, error.hint) == ("what is wrong: a.mp4", "do this")
    assert str(error) == "what is wrong: a.mp4\n\nhint: do this"


def test_an_error_without_a_hint_is_its_message() -> None:
    error = errors.InputError("what is wrong")
    assert str(error) == "what is wrong" and error.hint is None


def test_every_error_is_listed_here() -> None:
    assert set(errors.EndosegError.__subclasses__()) == set(CODES)


def test_the_other_exit_codes_are_what_shells_expect() -> None:
    assert errors.DAMAGED_EXIT_CODE == 7
    assert (errors.INTERRUPTED_EXIT_CODE, errors.TERMINATED_EXIT_CODE) == (128 + 2, 128 + 15)
