"""From alerts as written to where they go."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from trunkline.config.load import load
from trunkline.config.mistakes import ConfigError
from trunkline.config.reload import change
from trunkline.config.snapshot import Snapshot

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
URL = "https://hooks.example.com/services/T000/B000/abcdef?x=1"


def loaded(folder: Path, alerts: Any, environ: dict[str, str] | None = None) -> Snapshot:
    """A configuration of nothing but alerts."""
    file = folder / "trunkline.yaml"
    file.write_text(yaml.safe_dump({"alerts": alerts}))
    file.chmod(0o600)
    return load(file, environ or {})


def test_nobody_is_told_unless_somebody_is_named(tmp_path: Path) -> None:
    """A gateway would call out by itself."""
    assert loaded(tmp_path, None).alerts is None


def test_where_alerts_go_and_what_signs_them(tmp_path: Path) -> None:
    """They would go elsewhere, or be signed with something else."""
    snapshot = loaded(
        tmp_path, {"url": URL, "secret": "${ALERT_SECRET}", "events": ["budget.exceeded"]}, {"ALERT_SECRET": SECRET}
    )
    assert snapshot.alerts is not None
    assert (snapshot.alerts.key, snapshot.alerts.events) == (KEY, frozenset({"budget.exceeded"}))
    assert snapshot.alerts.place.path == "/services/T000/B000/abcdef?x=1"


def test_nothing_secret_shows_itself(tmp_path: Path) -> None:
    """Whoever reads a log could forge alerts; the address of many receivers is all that one needs to write to them."""
    snapshot = loaded(tmp_path, {"url": URL, "secret": SECRET})
    assert {SECRET.encode(), b"/services/T000/B000/abcdef?x=1"} <= set(snapshot.secrets())
    assert SECRET not in repr(snapshot.alerts)
    assert "T000" not in repr(snapshot.alerts)
    (tmp_path / "trunkline.yaml").write_text(yaml.safe_dump({"alerts": {"url": URL, "secret": SECRET}, "log": {"level": "x"}}))
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "trunkline.yaml", {})
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("alerts", "says"),
    [
        ({"url": URL}, "alerts.secret: is required"),
        ({"url": URL, "secret": ""}, "alerts.secret: must be 24 to 64 bytes in base64"),
        ({"url": URL, "secret": "${NONE}"}, "NONE"),
        ({"url": URL, "secret": SECRET, "ca": "none.pem"}, "alerts.ca: there is no such file"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, alerts: dict[str, Any], says: str) -> None:
    """A receiver that can tell ours from others' alerts would find out that it cannot when it matters."""
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, alerts)
    assert says in str(raised.value)


def test_a_reload_changes_who_is_told(tmp_path: Path) -> None:
    """A new receiver would need a restart."""
    old = loaded(tmp_path, {"url": URL, "secret": SECRET})
    assert change(old, loaded(tmp_path, {"url": URL, "secret": SECRET})).told() == {}
    assert change(old, loaded(tmp_path, {"url": URL + "2", "secret": SECRET})).told() == {"settings": "alerts"}
