"""The forms of what is said of keys, users, teams and organisations; the same in the file and in the store."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from trunkline.config.schema_holders import BudgetSpec, HolderSpec, KeySettings, KeySpec, LimitsSpec, TeamSpec, UserSpec
from trunkline.config.validate import told


def wrong(spec: type[HolderSpec], **fields: Any) -> list[str]:
    """What is wrong with it, in words."""
    with pytest.raises(ValidationError) as refusal:
        spec.model_validate(fields)
    return told(refusal.value)


def test_a_whole_one() -> None:
    """All forms, as a file has them (text) and as JSON may (numbers, true)."""
    for number, yes in ((str, "true"), (int, True)):
        spec = KeySettings.model_validate(
            {
                "user": "ann+test@example.com",
                "limits": {"rpm": number(60), "tpm": number(10**12), "concurrent": number(1)},
                "budgets": [
                    {
                        "usd": "0.000000001",
                        "per": "day",
                        "zone": "Europe/Berlin",
                        "soft": yes,
                        "alert_at": [number(80), "100%"],
                    },
                    {"usd": number(25), "per": "month"},
                ],
                "endpoints": ["chat.*"],
                "addresses": ["10.0.0.0/8", "192.0.2.7", "2001:DB8::/32"],
                "expires": "2027-01-01T00:00:00+01:00",
            }
        )
        assert spec.limits == LimitsSpec(rpm=60, tpm=10**12, concurrent=1)
        assert spec.budgets[0] == BudgetSpec.model_construct(
            usd=1, per="day", zone="Europe/Berlin", soft=True, alert_at=[80, 100]
        )
        assert (spec.budgets[1].usd, spec.budgets[1].zone, spec.budgets[1].alert_at) == (25 * 10**9, "UTC", None)
        assert spec.addresses == ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]
        assert spec.expires == 1_798_758_000 * 10**9
        assert [spec.above(kind) for kind in ("user", "team", "organisation")] == ["ann+test@example.com", None, None]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"limits": {"rpm": 0}}, "limits.rpm: must be a whole number from 1 to 1000000000000"),
        ({"limits": {"tpm": "1e6"}}, "limits.tpm: must be a whole number"),
        ({"limits": {"concurrent": -1}}, "limits.concurrent: must be a whole number"),
        ({"limits": {"rpm": 10**12 + 1}}, "limits.rpm: must be a whole number"),
        ({"limits": {"rps": 1}}, "limits.rps: unknown field"),
        ({"budgets": [{"per": "day"}]}, "budgets[0].usd: is required"),
        ({"budgets": [{"usd": 1}]}, "budgets[0].per: is required"),
        ({"budgets": [{"usd": 0, "per": "day"}]}, "budgets[0].usd: must be more than zero"),
        ({"budgets": [{"usd": "-1", "per": "day"}]}, "budgets[0].usd: must be a number of dollars"),
        ({"budgets": [{"usd": "0.0000000001", "per": "day"}]}, "budgets[0].usd: must be a number of dollars"),
        ({"budgets": [{"usd": 1, "per": "hour"}]}, "budgets[0].per: must be 'day', 'week', 'month' or 'total'"),
        (
            {"budgets": [{"usd": 1, "per": "day", "zone": "Europe/Berln"}]},
            "budgets[0].zone: must be a time zone such as Europe/Berlin or UTC; did you mean 'Europe/Berlin'?",
        ),
        ({"budgets": [{"usd": 1, "per": "day", "zone": "../../etc/passwd"}]}, "budgets[0].zone: must be a time zone"),
        ({"budgets": [{"usd": 1, "per": "day", "zone": "Europe"}]}, "budgets[0].zone: must be a time zone"),
        ({"budgets": [{"usd": 1, "per": "day", "zone": ""}]}, "budgets[0].zone: must be a time zone"),
        ({"budgets": [{"usd": 1, "per": "day", "alert_at": [0]}]}, "budgets[0].alert_at[0]: must be per cent"),
        ({"budgets": [{"usd": 1, "per": "day", "alert_at": [1001]}]}, "budgets[0].alert_at[0]: must be per cent"),
        ({"budgets": [{"usd": 1, "per": "day"}, {"usd": 2, "per": "day", "zone": "UTC"}]}, "budgets: two budgets are for"),
        ({"models": []}, "models: names nothing"),
        ({"providers": []}, "providers: names nothing"),
        ({"endpoints": []}, "endpoints: names nothing"),
        ({"addresses": []}, "addresses: names nothing"),
        (
            {"endpoints": ["chat.completion"]},
            "endpoints[0]: no endpoint has such a name, which would be such as chat.completions or chat.*; did you mean",
        ),
        ({"endpoints": ["zzz.*"]}, "endpoints[0]: no endpoint has such a name"),
        ({"addresses": ["10.0.0.1/8"]}, "addresses[0]: has bits set beyond its mask"),
        ({"addresses": ["office"]}, "addresses[0]: is no address and no network"),
        ({"addresses": ["10.0.0.0/33"]}, "addresses[0]: is no address and no network"),
        ({"user": "a b"}, "user: a name has 1 to 64 letters"),
        ({"team": "lab/x"}, "team: a name has 1 to 64 letters"),
        ({"team": 5}, "team: a name has 1 to 64 letters"),
        ({"organisation": "x" * 65}, "organisation: a name has 1 to 64 letters"),
        ({"tags": ["a,b"]}, "tags[0]: a name has 1 to 64 letters"),
        ({"priority": "vip"}, "priority: must be 'high', 'normal' or 'low'"),
        ({"expires": "soon"}, "expires: must be a date such as"),
        ({"organization": "acme"}, "organization: unknown field"),
    ],
)
def test_what_cannot_be(fields: dict[str, Any], says: str) -> None:
    """A limit or budget that means something else than it says costs money."""
    assert any(line.startswith(says) for line in wrong(KeySettings, **fields)), wrong(KeySettings, **fields)


def test_budgets_of_other_times_may_stand_together() -> None:
    """A day's beside a month's, and a day's in two zones."""
    pairs = [("day", "UTC"), ("day", "Europe/Berlin"), ("month", "UTC"), ("total", "UTC")]
    spec = TeamSpec.model_validate({"budgets": [{"usd": 1, "per": per, "zone": zone} for per, zone in pairs]})
    assert len(spec.budgets) == 4


def test_each_takes_what_is_its_own() -> None:
    """A team has no user, a user no secret; what is written in vain is a mistake."""
    assert wrong(TeamSpec, user="ann")
    assert wrong(TeamSpec, aliases={"a": "b"})
    assert wrong(UserSpec, expires="2027-01-01")
    assert wrong(KeySettings, name="x", secret="0123456789abcdef")
    assert KeySpec.model_validate({"name": "x", "team": "lab"}).team == "lab"


def test_an_empty_one_says_nothing() -> None:
    """A team that only gathers."""
    assert TeamSpec.model_validate(None) == TeamSpec()
    assert TeamSpec().above("user") is None
