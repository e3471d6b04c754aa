"""What both places say, together; the commands that use it are tested in `test_keys` and `test_holders`."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.cli.holding import _dates, configured, described, facts
from trunkline.config.schema_holders import KeySpec, TeamSpec
from trunkline.meters.windows import FOREVER, window

NOON = 1_767_265_200 * 10**9
"""2026-01-01, noon in Berlin."""


@pytest.mark.parametrize(
    ("period", "zone", "told"),
    [
        ("day", "UTC", "2026-01-01"),
        ("day", "Europe/Berlin", "2026-01-01 (Europe/Berlin)"),
        ("week", "UTC", "2025-12-29 to 2026-01-04"),
        ("month", "Europe/Berlin", "2026-01-01 to 2026-01-31 (Europe/Berlin)"),
    ],
)
def test_the_days_of_a_window(period: str, zone: str, told: str) -> None:
    """Whoever asks when a budget begins anew thinks in its own days."""
    assert _dates(window(period, zone, NOON), zone) == told
    assert _dates(FOREVER, zone) == "ever"


def test_what_a_file_says_in_the_store_s_form() -> None:
    """One list shows both; money is exact, and no secret is in it."""
    spec = KeySpec.model_validate(
        {"name": "k", "secret": "0123456789abcdef", "team": "lab", "budgets": [{"usd": "1234.000000001", "per": "day"}]}
    )
    assert described(spec) == {"team": "lab", "budgets": [{"usd": "1234.000000001", "per": "day"}]}
    assert described(TeamSpec()) == {}


def test_what_is_said_of_one() -> None:
    """In the order in which people read it."""
    said = {"tags": ["a", "b"], "models": ["m"], "team": "lab", "aliases": {"x": "m"}, "limits": {"rpm": 1}}
    assert [*facts(said)] == [("team", "lab"), ("models", "m"), ("tags", "a, b"), ("aliases", "x = m")]


def test_a_configuration_with_mistakes_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else what stands in it would seem not to be there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRUNKLINE_CONFIG", raising=False)
    assert configured(None) is None
    (tmp_path / "t.yaml").write_text("models: {m: {}}")
    assert configured(tmp_path / "t.yaml") is None
    assert "has mistakes" in capsys.readouterr().err
    (tmp_path / "t.yaml").write_text("teams: {lab: {}}")
    found = configured(tmp_path / "t.yaml")
    assert found is not None
    assert [*found.holders["team"]] == ["lab"]
