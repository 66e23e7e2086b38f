"""Print the oldest releases that pyproject.toml allows as pip's constraints; torch is left as it comes."""

import re
import tomllib
from pathlib import Path

dependencies = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
for dependency in dependencies:
    found = re.fullmatch(r"([a-z0-9-]+)>=([0-9.]+)(,.*)?", dependency)
    if found is None:
        raise SystemExit(f"expected NAME>=VERSION, found {dependency} in pyproject.toml")
    if found[1] != "torch":
        print(f"{found[1]}=={found[2]}")
