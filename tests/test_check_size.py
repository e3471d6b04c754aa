"""The size gate, run over small made-up projects."""

from __future__ import annotations

from pathlib import Path

import check_size
import pytest


def project(root: Path, exceptions: str = "") -> Path:
    """A project with one long file and one long function, allowed 20 and 5 lines."""
    (root / "src").mkdir()
    (root / "src" / "long.py").write_text("x = 1\n" * 21)
    (root / "src" / "fine.py").write_text("def short():\n    return 1\n")
    (root / "src" / "deep.py").write_text(
        "class A:\n    async def outer(self):\n        def inner():\n            return 1\n" + "        x = 1\n" * 3
    )
    bounds = 'roots = ["src"]\nmax_file_lines = 20\nmax_function_lines = 5\n'
    (root / "pyproject.toml").write_text(f"[tool.trunkline.size]\n{bounds}[tool.trunkline.size.exceptions]\n{exceptions}")
    return root


def test_what_is_too_large_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file would grow until nobody can hold it in mind, and the gate would say nothing."""
    assert check_size.main(project(tmp_path)) == 1
    assert capsys.readouterr().out.splitlines() == [
        "src/deep.py::A.outer: 6 lines, at most 5 are allowed",
        "src/long.py: 21 lines, at most 20 are allowed",
    ]


def test_an_exception_with_a_reason_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table that is best read in one piece could not be kept in one."""
    assert check_size.main(project(tmp_path, '"src/long.py" = "a table"\n"src/deep.py::A.outer" = "one state machine"\n')) == 0
    assert "2 exceptions" in capsys.readouterr().out


def test_an_exception_that_is_stale_or_has_no_reason_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The list of exceptions would only ever grow."""
    listed = '"src/long.py" = " "\n"src/deep.py::A.outer" = "one state machine"\n"src/fine.py" = "was long once"\n'
    assert check_size.main(project(tmp_path, listed)) == 1
    out = capsys.readouterr().out
    assert "src/fine.py: an exception, but within its size" in out
    assert "src/long.py: an exception needs its reason" in out
