"""A small file of weights, and the entry that stands for it."""

from __future__ import annotations

import hashlib

import numpy as np
from safetensors.numpy import save

from endoseg_cli.hub.manifest import Entry
from tests.hub.server import COMMIT

BODY = save({"weight": np.arange(300_000, dtype=np.float32)})
SHA256 = hashlib.sha256(BODY).hexdigest()
ENTRY = Entry(name="sample", repo_id="org/name", revision=COMMIT)
