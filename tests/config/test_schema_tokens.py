"""What may be written of issuers of tokens, and what is said where it may not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from trunkline.config.schema_tokens import TokenSpec

LEAST = {"issuer": "https://login.example.com/", "audience": "us"}


def test_defaults_are_the_safe_ones() -> None:
    """Who writes only whose tokens and for whom would get more than he thinks."""
    spec = TokenSpec.model_validate(LEAST)
    assert spec.audience == ["us"]
    assert set(spec.algorithms) == {"RS256", "ES256"}
    assert (spec.leeway, spec.refresh, spec.jwks, spec.max_age) == (30.0, 600.0, None, None)
    assert spec.claims.user == "sub"
    assert spec.claims.team is None


def test_all_that_may_be_written() -> None:
    """A setting of the documentation would be refused."""
    spec = TokenSpec.model_validate(
        {
            **LEAST,
            "audience": ["us", "api://them"],
            "jwks": "file:keys.json",
            "algorithms": ["PS512", "EdDSA"],
            "leeway": "0",
            "max_age": "24h",
            "claims": {"user": "email", "team": "https://x/team", "organisation": "o.id", "tags": "roles", "models": "m"},
            "require": {"email_verified": True, "tier": "gold", "level": "3"},
            "each": {"limits": {"rpm": 60}, "budgets": [{"usd": 5, "per": "day"}], "endpoints": ["chat.*"]},
        }
    )
    assert spec.require == {"email_verified": "true", "tier": "gold", "level": "3"}
    assert spec.jwks == "file:keys.json"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"issuer": "http://login.example.com/"}, "https"),
        ({"issuer": "login"}, "URL"),
        ({"audience": []}, "must not be empty"),
        ({"audience": ""}, "claim"),
        ({"algorithms": ["HS256"]}, "RS256"),
        ({"algorithms": ["none"]}, "RS256"),
        ({"algorithms": []}, "must not be empty"),
        ({"jwks": "http://login.example.com/keys"}, "https"),
        ({"jwks": "file:"}, "name a file"),
        ({"leeway": "10m"}, "at most 5m"),
        ({"refresh": "100ms"}, "at least 1s"),
        ({"max_age": 0}, "more than zero"),
        ({"claims": {"user": ""}}, "claim"),
        ({"claims": {"user": "a\nb"}}, "claim"),
        ({"claims": {"name": "x"}}, "Extra"),
        ({"require": {"a": ""}}, "must be true"),
        ({"require": {"a": ["b"]}}, "single value"),
        ({"each": {"rpm": 5}}, "Extra"),
        ({"each": {"user": "ann"}}, "Extra"),
        ({"secret": "x"}, "Extra"),
    ],
)
def test_what_may_not_be_written(change: dict[str, Any], says: str) -> None:
    """A slip would weaken the door in silence."""
    with pytest.raises(ValidationError, match=says):
        TokenSpec.model_validate({**LEAST, **change})


def test_issuer_and_audience_must_be_there() -> None:
    """Tokens made for somebody else would open this gateway."""
    for name in LEAST:
        with pytest.raises(ValidationError, match="required"):
            TokenSpec.model_validate({key: value for key, value in LEAST.items() if key != name})
