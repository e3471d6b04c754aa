"""`python -m trunkline`."""

from __future__ import annotations

import subprocess
import sys

from trunkline import __version__


def test_python_m_runs_the_same_program():
    """A container without the script on its path could not start it."""
    done = subprocess.run(
        [sys.executable, "-m", "trunkline", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == f"trunkline {__version__}\n"
