"""The mirror gate, run over small made-up projects."""

from __future__ import annotations

from pathlib import Path

import check_mirror
import pytest


def project(root: Path, exceptions: str = "") -> Path:
    """A project in which `a/seen.py` has its test file and `a/unseen.py` and `top.py` have none."""
    for path in ("a/__init__.py", "a/seen.py", "a/unseen.py", "top.py", "store/migrations/one.py"):
        (root / "src" / "trunkline" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "src" / "trunkline" / path).touch()
    (root / "tests" / "a").mkdir(parents=True)
    (root / "tests" / "a" / "test_seen.py").touch()
    (root / "pyproject.toml").write_text(f"[tool.trunkline.mirror.exceptions]\n{exceptions}")
    return root


def test_what_has_no_test_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever changes a file could not find what proves it."""
    assert check_mirror.main(project(tmp_path)) == 1
    assert capsys.readouterr().out.splitlines() == [
        "src/trunkline/a/unseen.py: has no tests/a/test_unseen.py",
        "src/trunkline/top.py: has no tests/test_top.py",
    ]


def test_an_exception_with_a_reason_passes(tmp_path: Path) -> None:
    """A file without behaviour would need an empty test."""
    assert check_mirror.main(project(tmp_path, '"a/unseen.py" = "an interface"\n"top.py" = "one line"\n')) == 0


def test_an_exception_that_is_stale_or_has_no_reason_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The list of exceptions would only ever grow."""
    assert check_mirror.main(project(tmp_path, '"a/unseen.py" = ""\n"top.py" = "one line"\n"a/seen.py" = "once"\n')) == 1
    out = capsys.readouterr().out
    assert "a/seen.py: listed as an exception, but" in out
    assert "a/unseen.py: an exception needs its reason" in out
