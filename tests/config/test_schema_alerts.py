"""What may be written of alerts, and what is said where it may not."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from pydantic import ValidationError

from trunkline.config.schema_alerts import EVENTS, AlertsSpec, signing_key

KEY = bytes(range(32))
LEAST = {"url": "https://hooks.example.com/x?t=1", "secret": base64.b64encode(KEY).decode()}


def test_the_least_is_enough_and_shows_no_secret() -> None:
    """Who names a receiver would not be told of all; or the secret would stand in a traceback."""
    spec = AlertsSpec.model_validate(LEAST)
    assert tuple(spec.events) == EVENTS
    assert LEAST["secret"] not in repr(spec)
    assert signing_key(spec.secret.get_secret_value()) == KEY


def test_a_secret_is_read_as_the_libraries_read_it() -> None:
    """Every signature would be wrong for whoever checks it with a library."""
    text = base64.b64encode(KEY).decode()
    assert signing_key(text) == signing_key(f"whsec_{text}") == KEY


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"secret": ""}, "24 to 64 bytes"),
        ({"secret": "password"}, "24 to 64 bytes"),
        ({"secret": "not base64 at all, but long enough!!"}, "24 to 64 bytes"),
        ({"secret": base64.b64encode(b"x" * 23).decode()}, "openssl rand"),
        ({"secret": base64.b64encode(b"x" * 65).decode()}, "24 to 64 bytes"),
        ({"secret": None}, "single value"),
        ({"url": "http://hooks.example.com/"}, "https"),
        ({"url": "hooks"}, "URL"),
        ({"events": []}, "names nothing"),
        ({"events": ["budget.x"]}, "budget.crossed"),
        ({"to": "x"}, "Extra"),
    ],
)
def test_what_may_not_be_written(change: dict[str, Any], says: str) -> None:
    """Alerts could be forged or read on the way; or nobody would be told."""
    with pytest.raises(ValidationError, match=says):
        AlertsSpec.model_validate({**LEAST, **change})


def test_url_and_secret_must_be_there() -> None:
    """Unsigned alerts could be anybody's."""
    for name in LEAST:
        with pytest.raises(ValidationError, match="required"):
            AlertsSpec.model_validate({key: value for key, value in LEAST.items() if key != name})
