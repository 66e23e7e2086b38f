"""The notebook in examples/ does what it shows: its cells run in order, as a reader would run them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def test_the_cells_run_in_order(tmp_path: Path) -> None:
    notebook = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    program = "\n\n".join(["import matplotlib", "matplotlib.use('Agg')", *cells, "assert areas and result.mask.any()"])
    (tmp_path / "cells.py").write_text(program, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, str(tmp_path / "cells.py")], cwd=EXAMPLES, capture_output=True, text=True, timeout=250
    )
    assert ran.returncode == 0, ran.stderr
    assert "Dice" in ran.stdout
    assert all(not cell.get("outputs") for cell in notebook["cells"]), "pictures belong on the reader's screen"
