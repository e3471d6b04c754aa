"""The conformance matrix is what the dialects do, and nothing is lost in silence."""

from __future__ import annotations

from pathlib import Path

import build_matrix
import matrix_families
import pytest
from matrix_probes import REQUESTS

from trunkline.dialects.table import DIALECTS


def test_the_page_is_what_the_dialects_do(capsys: pytest.CaptureFixture[str]) -> None:
    """A page that says more than is true misleads whoever chooses by it; run scripts/build_matrix.py."""
    assert build_matrix.main(["--check"]) == 0, capsys.readouterr().out


def test_nothing_is_lost_in_silence() -> None:
    """What does not arrive must be named in a header, refused, or have no words in that API."""
    for name in build_matrix.CLIENTS:
        lost = [
            (name, feature, cells)
            for feature, cells in build_matrix.rows(DIALECTS[name])
            if build_matrix.LOST in "".join(cells)
        ]
        assert not lost


def test_every_feature_can_be_said_by_someone() -> None:
    """A probe that nobody can say would prove nothing."""
    for probe in REQUESTS:
        assert any(build_matrix.spoken(DIALECTS[name], probe) is not None for name in build_matrix.CLIENTS), probe.name


def test_a_stale_page_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check must fail where the page differs, and the script must mend it."""
    monkeypatch.setattr(build_matrix, "FILE", tmp_path / "conformance.md")
    assert build_matrix.main(["--check"]) == 1
    assert build_matrix.main([]) == 0
    assert build_matrix.main(["--check"]) == 0


def test_no_family_loses_anything_in_silence() -> None:
    """Vectors of another length, or of another text, would spoil an index unnoticed."""
    for table in matrix_families.TABLES:
        for client in table.family.clients:
            lost = [(client, name, cells) for name, cells in matrix_families.rows(table, client) if "LOST" in "".join(cells)]
            assert not lost


def test_every_feature_of_a_family_is_asked_for_by_someone() -> None:
    """A row of dashes would prove nothing."""
    for table in matrix_families.TABLES:
        for feature in table.features:
            assert feature.bodies.keys() <= table.family.clients.keys()
            assert feature.bodies
