"""TRUNKLINE_REQUIRE_ALL: what CI requires cannot be skipped away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

def test_skipped():
    pytest.skip("no server here")

@pytest.mark.skipif(True, reason="never")
def test_marked():
    pass

@pytest.mark.other_os
@pytest.mark.skip(reason="another system")
def test_other():
    pass

@pytest.mark.xfail(reason="known", strict=True)
def test_known():
    assert False
"""
WHOLE_FILE = 'import pytest\npytest.skip("no library here", allow_module_level=True)\n'


@pytest.mark.parametrize(
    ("required", "closing"), [("0", "4 skipped, 1 xfailed"), ("1", "1 failed, 1 skipped, 1 xfailed, 2 errors")]
)
def test_skips_are_failures_where_everything_is_required(tmp_path: Path, required: str, closing: str) -> None:
    """CI would be green with its real servers missing."""
    (tmp_path / "conftest.py").write_text(Path(__file__).with_name("conftest.py").read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = other_os\n")
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_whole.py").write_text(WHOLE_FILE)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--continue-on-collection-errors", "-q", str(tmp_path)]
    environ = os.environ | {"TRUNKLINE_REQUIRE_ALL": required, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert closing in done.stdout.splitlines()[-1], done.stdout
    assert ("no server here" in done.stdout) == (required == "1")
