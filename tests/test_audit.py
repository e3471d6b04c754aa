"""The verdict on a vulnerability report: what was not checked never looks like what was found sound."""

from __future__ import annotations

from typing import Any

import audit
import pytest

SOUND = {"name": "a", "version": "1", "vulns": []}
HOLED = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["2.1"]}, {"id": "CVE-2", "fix_versions": []}]}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found and could not be audited"}


@pytest.mark.parametrize(
    ("packages", "code", "lines"),
    [
        ([SOUND], 0, ["audit: no known vulnerability in 1 packages"]),
        ([SOUND, HOLED], 1, ["b 2: CVE-1, mended in 2.1", "b 2: CVE-2, mended in no version"]),
        ([SOUND, UNKNOWN], 3, ["not checked: the index gave no vulnerability data for 1 of 2 packages"]),
        ([], 3, ["not checked: nothing was audited"]),
    ],
)
def test_verdict(packages: list[dict[str, Any]], code: int, lines: list[str]) -> None:
    """Behind a mirror that knows no vulnerabilities, every audit would pass."""
    assert audit.verdict({"dependencies": packages}) == (code, lines)


def test_a_hole_counts_even_where_other_packages_are_unknown() -> None:
    """One unknown package would hide a known hole in another."""
    assert audit.verdict({"dependencies": [HOLED, UNKNOWN]})[0] == 1
