"""The options by which commands say what holds for a key, user, team or organisation, and what they make of stored settings.

One table for all of those commands: an option is there wherever its setting is. How settings are checked belongs in `config`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, NamedTuple

import typer

from trunkline.cli.data import fail
from trunkline.config.holders import settings_of
from trunkline.config.schema_holders import SPECS, KeySettings, Kind

_BUDGET = "Dollars in a while: 25/month, 100/total, 5/day@Europe/Berlin. May stand several times."


class Setting(NamedTuple):
    """One option."""

    name: str
    """As it is written, without the dashes."""
    field: str
    """What the settings call it; with a dot where it is a part of something."""
    several: bool
    help: str


SETTINGS = (
    Setting("models", "models", several=True, help="Models it may use, comma-separated; all if absent."),
    Setting("provider", "providers", several=True, help="Whom its requests may go to; all if absent."),
    Setting("endpoint", "endpoints", several=True, help="What it may call, such as chat.*; everything if absent."),
    Setting("address", "addresses", several=True, help="From where, such as 10.0.0.0/8; anywhere if absent."),
    Setting("tag", "tags", several=True, help="For the rules of models, and for accounts."),
    Setting("user", "user", several=False, help="Whom it belongs to."),
    Setting("team", "team", several=False, help="The team it belongs to; by default the user's."),
    Setting("organisation", "organisation", several=False, help="The organisation; by default the team's."),
    Setting("rpm", "limits.rpm", several=False, help="Requests a minute."),
    Setting("tpm", "limits.tpm", several=False, help="Tokens a minute."),
    Setting("concurrent", "limits.concurrent", several=False, help="Requests at the same time."),
    Setting("budget", "budgets", several=True, help=_BUDGET),
    Setting("soft-budget", "", several=True, help="As --budget; more is told of and not refused."),
    Setting("alert-at", "", several=True, help="Per cent of these budgets at which somebody is told."),
    Setting("alias", "aliases", several=True, help="What a name means to it: NAME=MODEL."),
    Setting("priority", "priority", several=False, help="high, normal or low: who is turned away first under load."),
)
_BUDGETS = ("budget", "soft_budget", "alert_at")
_Command = Callable[..., None]


def settable(kind: Kind | None) -> list[Setting]:
    """The options for a user, a team, an organisation or (None) a key."""
    fields = _fields(kind)
    return [one for one in SETTINGS if one.field.partition(".")[0] in fields or not one.field]


def options(kind: Kind | None, *, clearing: bool = False) -> Callable[[_Command], _Command]:
    """Give a command the options for such settings; it gets what was given as its argument `given`.

    `clearing`: for each setting there is `--no-…` too, which takes it back.
    """

    def decorate(command: _Command) -> _Command:
        own = [one for one in inspect.signature(command, eval_str=True).parameters.values() if one.name != "given"]
        added = [_option(one) for one in settable(kind)]
        if clearing:
            added += [_clearing(one) for one in settable(kind) if one.field]
        names = {one.name for one in added}

        def run(**arguments: Any) -> None:
            given = {name: value for name, value in arguments.items() if name in names and value not in (None, False, [])}
            command(**{name: value for name, value in arguments.items() if name not in names}, given=given)

        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {}
        return run

    return decorate


def _option(one: Setting) -> inspect.Parameter:
    kind: Any = list[str] if one.several else str
    option = Annotated[kind | None, typer.Option(f"--{one.name}", help=one.help, metavar="TEXT")]
    name = one.name.replace("-", "_")
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)


def _clearing(one: Setting) -> inspect.Parameter:
    option = Annotated[bool, typer.Option(f"--no-{one.name}", help=f"Take back what --{one.name} said.")]
    name = f"no_{one.name.replace('-', '_')}"
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=option)


def edited(kind: Kind | None, settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings after what was given; checked. Fails the command, naming every field that is wrong."""
    found = {name: dict(value) if isinstance(value, dict) else value for name, value in settings.items()}
    for one in settable(kind):
        name = one.name.replace("-", "_")
        if given.get(f"no_{name}"):
            if name in given:
                raise typer.BadParameter(f"--{one.name} and --no-{one.name} contradict each other")
            _put(found, one.field, None)
        elif name in given and name not in _BUDGETS:
            _put(found, one.field, _value(one, given[name]))
    budgets = [*_budgets(given, "budget", soft=False), *_budgets(given, "soft_budget", soft=True)]
    if budgets:
        if given.get("no_budget"):
            raise typer.BadParameter("--soft-budget and --no-budget contradict each other")
        found["budgets"] = budgets
    elif "alert_at" in given:
        raise typer.BadParameter("--alert-at goes with --budget or --soft-budget")
    try:
        settings_of(kind, found)
    except ValueError as error:
        raise fail(f"This cannot be: {error}.", "`--help` says how each option is written.") from None
    return found


def _put(found: dict[str, Any], field: str, value: Any) -> None:
    """Set one, or remove it (None), and what it was the last part of."""
    whole, _, part = field.partition(".")
    if part:
        inner = {**found.get(whole, {}), part: value}
        value = {name: it for name, it in inner.items() if it is not None} or None
    if value is None:
        found.pop(whole, None)
    else:
        found[whole] = value


def _value(one: Setting, given: Any) -> Any:
    if one.field == "aliases":
        pairs = [text.partition("=") for text in given]
        if any(not sign for _, sign, _ in pairs):
            raise typer.BadParameter("--alias takes NAME=MODEL")
        aliases = {name.strip(): model.strip() for name, _, model in pairs}
        if len(aliases) < len(pairs):
            raise typer.BadParameter("--alias says twice what a name means")
        return aliases
    if not one.several:
        return given
    names = list(_split(given))
    if not names:
        raise typer.BadParameter(
            f"--{one.name} names nothing, so that nothing could be done; without it everything is allowed."
        )
    return names


def _split(given: Iterable[str]) -> Iterable[str]:
    return (part.strip() for text in given for part in text.split(",") if part.strip())


def _budgets(given: Mapping[str, Any], name: str, *, soft: bool) -> Iterable[dict[str, Any]]:
    """`25/month@Europe/Berlin` as the file has it. What is wrong in it is found where all is checked."""
    marks = list(_split(given.get("alert_at", ())))
    for text in given.get(name, ()):
        usd, slash, rest = text.partition("/")
        if not slash:
            raise typer.BadParameter(f"{text!r} says no time: write such as {text}/month")
        per, _, zone = rest.partition("@")
        made: dict[str, Any] = {"usd": usd.strip(), "per": per.strip()}
        made |= {"zone": zone.strip()} if zone else {}
        made |= {"soft": True} if soft else {}
        yield made | ({"alert_at": marks} if marks else {})


def _fields(kind: Kind | None) -> frozenset[str]:
    return frozenset((KeySettings if kind is None else SPECS[kind]).model_fields)
