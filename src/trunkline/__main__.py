"""`python -m trunkline`: the same program as `trunkline`."""

from __future__ import annotations

from trunkline.cli.main import app

if __name__ == "__main__":
    app(prog_name="trunkline")
