"""Entry point of `endoseg` and `python -m endoseg_cli`."""

from __future__ import annotations

from endoseg_cli.cli.app import main

if __name__ == "__main__":
    main()
