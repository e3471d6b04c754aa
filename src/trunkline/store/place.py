"""Where the data is: one directory for the store, the journal and the lock. Its files' names stand here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import platformdirs

DATABASE = "trunkline.db"
JOURNAL = "journal"


def journal_of(data: Path, number: int, count: int) -> Path:
    """The journal's directory of one of `count` processes: segments of two must never mix."""
    return data / JOURNAL if count == 1 else data / JOURNAL / str(number)


def door_of(data: Path, number: int) -> Path:
    """Where one of several processes answers the others."""
    return data / f"worker-{number}.sock"


def counts_of(data: Path, number: int) -> Path:
    """What one of several processes had counted when its metrics were last asked for."""
    return data / f"worker-{number}.counts"


def data_dir(argument: Path | None, environ: Mapping[str, str]) -> Path:
    """The data directory: the argument, else `TRUNKLINE_DATA`, else the platform's place for a user's data. Not created."""
    named = argument or environ.get("TRUNKLINE_DATA")
    return Path(named).expanduser() if named else Path(platformdirs.user_data_dir("trunkline", appauthor=False))


def make_private(data: Path) -> None:
    """Make the directory, for its owner only. One that exists is left as it is: others may use it too. Raises OSError."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)


def is_private(data: Path) -> bool:
    """Whether nobody but its owner may look into the directory. Its files are their owner's alone in any case."""
    return not data.stat().st_mode & 0o077
