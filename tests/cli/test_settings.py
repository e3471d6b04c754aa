"""Options that say what holds for a key or whom it belongs to."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from trunkline.cli.settings import edited, options, settable
from trunkline.config.schema_holders import Kind


def test_each_kind_has_its_own() -> None:
    """A team has no user, an organisation belongs to nobody, and only keys have aliases."""
    kinds: list[Kind | None] = [None, "user", "team", "organisation"]
    own = {kind: {one.name for one in settable(kind)} for kind in kinds}
    assert own[None] - own["user"] == {"user", "alias", "priority"}
    assert own["user"] - own["team"] == {"team"}
    assert own["team"] - own["organisation"] == {"organisation"}
    assert {"models", "provider", "endpoint", "address", "tag", "rpm", "tpm", "concurrent", "budget", "soft-budget"} < own[
        "team"
    ]


@pytest.mark.parametrize(
    ("before", "given", "after"),
    [
        ({}, {}, {}),
        ({}, {"models": ["a, b", "c"]}, {"models": ["a", "b", "c"]}),
        ({"models": ["a"]}, {"models": ["b"]}, {"models": ["b"]}),
        ({"models": ["a"], "tags": ["x"]}, {"no_models": True}, {"tags": ["x"]}),
        ({}, {"no_models": True}, {}),
        ({"limits": {"rpm": "1"}}, {"tpm": "5"}, {"limits": {"rpm": "1", "tpm": "5"}}),
        ({"limits": {"rpm": "1", "tpm": "5"}}, {"no_rpm": True}, {"limits": {"tpm": "5"}}),
        ({"limits": {"rpm": "1"}}, {"no_rpm": True}, {}),
        ({}, {"budget": ["25/month"]}, {"budgets": [{"usd": "25", "per": "month"}]}),
        (
            {"budgets": [{"usd": "1", "per": "day"}]},
            {"budget": ["0.5/day@Europe/Berlin"], "soft_budget": ["9/total"], "alert_at": ["50,90"]},
            {
                "budgets": [
                    {"usd": "0.5", "per": "day", "zone": "Europe/Berlin", "alert_at": ["50", "90"]},
                    {"usd": "9", "per": "total", "soft": True, "alert_at": ["50", "90"]},
                ]
            },
        ),
        ({"budgets": [{"usd": "1", "per": "day"}]}, {"no_budget": True}, {}),
        ({}, {"alias": ["x=y", "default = smart"]}, {"aliases": {"x": "y", "default": "smart"}}),
        ({}, {"team": "lab", "priority": "high"}, {"team": "lab", "priority": "high"}),
        ({"team": "lab"}, {"no_team": True, "endpoint": ["chat.*"]}, {"endpoints": ["chat.*"]}),
    ],
)
def test_what_becomes_of_settings(before: dict[str, Any], given: dict[str, Any], after: dict[str, Any]) -> None:
    """What is not named stays; what was there is not changed in place."""
    kept = {name: dict(value) if isinstance(value, dict) else value for name, value in before.items()}
    assert edited(None, before, given) == after
    assert before == kept


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"models": [" , "]}, "--models names nothing"),
        ({"models": ["a"], "no_models": True}, "contradict"),
        ({"budget": ["25"]}, "write such as 25/month"),
        ({"alert_at": ["80"]}, "--alert-at goes with"),
        ({"alias": ["x"]}, "--alias takes NAME=MODEL"),
        ({"alias": ["x=a", "x=b"]}, "--alias says twice"),
        ({"soft_budget": ["5/day"], "no_budget": True}, "contradict"),
    ],
)
def test_what_is_not_understood(given: dict[str, Any], says: str) -> None:
    """An option that is wrong changes nothing."""
    with pytest.raises(typer.BadParameter, match=says):
        edited(None, {}, given)


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        (None, {"rpm": "0"}, "limits.rpm: must be a whole number"),
        (None, {"budget": ["x/month"]}, "budgets[0].usd: must be a number of dollars"),
        (None, {"budget": ["1/hour"]}, "budgets[0].per: must be"),
        (None, {"budget": ["1/day@Mars"]}, "budgets[0].zone: must be a time zone"),
        ("team", {"address": ["here"]}, "addresses[0]: is no address"),
        ("team", {"organisation": "a b"}, "organisation: a name has"),
    ],
)
def test_settings_are_checked(kind: Kind | None, given: dict[str, Any], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the same rules as the file, before anything is written."""
    with pytest.raises(typer.Exit):
        edited(kind, {}, given)
    assert says in capsys.readouterr().err


def test_a_command_gets_what_was_given() -> None:
    """And nothing of what was not."""
    app, seen = typer.Typer(), []

    @app.command()
    @options("organisation", clearing=True)
    def change(name: str, loud: bool = False, *, given: dict[str, Any]) -> None:
        """Told."""
        seen.append((name, loud, given))

    run = CliRunner().invoke
    assert run(app, ["x", "--rpm", "5", "--loud", "--no-budget", "--tag", "a", "--tag", "b"]).exit_code == 0
    assert run(app, ["y"]).exit_code == 0
    assert seen == [("x", True, {"rpm": "5", "no_budget": True, "tag": ["a", "b"]}), ("y", False, {})]
    assert run(app, ["x", "--team", "lab"]).exit_code == 2
    assert run(app, ["z", "--rpm", ""]).exit_code == 0
    assert seen[-1] == ("z", False, {"rpm": ""}), "an empty variable of a script must not be taken for nothing"
    told = run(app, ["--help"]).stdout
    assert "Told." in told
    assert "--no-rpm" in told
    assert "--no-soft-budget" not in told
