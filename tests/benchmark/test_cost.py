from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "cost.py"


def test_cores_and_price_follow_from_frames_a_second(tmp_path: Path) -> None:
    video = {"width": 1280, "height": 720, "segment": {"flagged": {"frames_per_second": 50.0}}}
    found = {
        "machine": {"processor": "A CPU", "usable_cores": 2},
        "settings": {"model": "polyp-lite", "input_size": [240, 320], "runtime": "torch", "precision": "bf16"},
        "videos": [video],
    }
    (tmp_path / "speed.json").write_text(json.dumps(found))
    command = [sys.executable, str(SCRIPT), str(tmp_path / "speed.json"), "--price", "0.1"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "A CPU, 2 cores, polyp-lite at 320x240 in torch bf16" in printed
    # 30,000 frames at 25 a second and core are 1,200 s of a core; 100 of them 33.3 hours; a million 38 years
    row = "| 1280x720 | flagged | 50.0 | 25.0 | 20 core minutes | 1.4 | 4.2 | 38 core years, 33,333 at 0.1 an hour |"
    assert row in printed
