"""The table must not reach the network."""

from __future__ import annotations

import pytest
from huggingface_hub import constants


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
