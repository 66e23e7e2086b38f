"""How long the fuzz tests look: few examples, the same ones each time, or as many as a person asks for."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, settings

EXAMPLES_VARIABLE = "ENDOSEG_FUZZ_EXAMPLES"
"""Examples of each fuzz test; unset, it is few, and the same ones in every run."""
ROOT = Path(__file__).resolve().parents[2]


def budget(few: int) -> settings:
    """Return the settings of a fuzz test that takes `few` examples unless the environment says another number."""
    wanted = os.environ.get(EXAMPLES_VARIABLE)
    return settings(
        max_examples=int(wanted) if wanted else few,
        derandomize=wanted is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
