"""Where the data is: one directory for the store, the journal and the lock. Its files' names stand here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import platformdirs

DATABASE = "trunkline.db"
JOURNAL = "journal"


def data_dir(argument: Path | None, environ: Mapping[str, str]) -> Path:
    """The data directory: the argument, else `TRUNKLINE_DATA`, else the platform's place for a user's data. Not created."""
    named = argument or environ.get("TRUNKLINE_DATA")
    return Path(named).expanduser() if named else Path(platformdirs.user_data_dir("trunkline", appauthor=False))


def make_private(data: Path) -> None:
    """Make the directory, readable by its owner only; an existing one is narrowed to that. Raises OSError."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if data.stat().st_mode & 0o077:
        data.chmod(0o700)
