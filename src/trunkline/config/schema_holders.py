"""What a person may write of keys, users, teams and organisations, in the file and, as JSON, in the store. Shapes only.

What one of them says about another, and what a key may do after all of them, is decided in `holders`.
"""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import Field, PlainValidator, field_validator

from trunkline.config import values
from trunkline.config.fields import ClientSecret, Digest, ModelName, Moment, Section, Slug
from trunkline.policy import addresses, endpoints
from trunkline.policy.overload import Priority

Kind = Literal["user", "team", "organisation"]
KINDS: tuple[Kind, ...] = ("user", "team", "organisation")
"""From who is nearest to a key to who is furthest."""
MAX_AMOUNT = 10**12
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


def who(value: object) -> str:
    """A user's, team's or organisation's name: as a key's, and `@` and `+`, so that it may be an e-mail address."""
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise ValueError("a name has 1 to 64 letters, digits, or one of . _ - @ + and begins with a letter or digit")
    return value


def _amount(value: object) -> int:
    digits = values.text(value)
    if not re.fullmatch(r"\d{1,13}", digits, re.ASCII) or not 0 < int(digits) <= MAX_AMOUNT:
        raise ValueError(f"must be a whole number from 1 to {MAX_AMOUNT}")
    return int(digits)


def _money(value: object) -> int:
    nano = values.dollars(value)
    if not nano:
        raise ValueError("must be more than zero; who may spend nothing is given no key")
    return nano


def _percent(value: object) -> int:
    digits = values.text(value).removesuffix("%")
    if not re.fullmatch(r"\d{1,4}", digits, re.ASCII) or not 0 < int(digits) <= 1000:
        raise ValueError("must be per cent of the amount, such as 80: a whole number from 1 to 1000")
    return int(digits)


def zone(value: object) -> str:
    """A time zone that the machine's tables (or those of the package tzdata) know."""
    name = values.text(value)
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        near = difflib.get_close_matches(name[:64], sorted(available_timezones()), n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"must be a time zone such as Europe/Berlin or UTC{meant}") from None
    return name


def network(value: object) -> str:
    """An address or a network, in its usual form."""
    text = values.text(value)
    try:
        return addresses.network(text)
    except ValueError as error:
        reason = "has bits set beyond its mask" if "host bits" in str(error) else "is no address and no network"
        raise ValueError(f"{reason}; must be such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32") from None


def endpoint(value: object) -> str:
    """An endpoint's name, or a glob that means at least one."""
    name = values.glob(value)
    if endpoints.named(name):
        return name
    near = difflib.get_close_matches(name[:64], endpoints.ENDPOINTS, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"no endpoint has such a name, which would be such as chat.completions or chat.*{meant}")


Who = Annotated[str, PlainValidator(who, json_schema_input_type=str)]
Amount = Annotated[int, PlainValidator(_amount, json_schema_input_type=int | str)]
Money = Annotated[int, PlainValidator(_money, json_schema_input_type=float | str)]
Percent = Annotated[int, PlainValidator(_percent, json_schema_input_type=int | str)]
Zone = Annotated[str, PlainValidator(zone, json_schema_input_type=str)]
Network = Annotated[str, PlainValidator(network, json_schema_input_type=str)]
EndpointGlob = Annotated[str, PlainValidator(endpoint, json_schema_input_type=str)]


class LimitsSpec(Section):
    """How much at a time."""

    rpm: Amount | None = Field(default=None, description="Requests a minute.")
    tpm: Amount | None = Field(default=None, description="Tokens a minute, of prompts and answers together.")
    concurrent: Amount | None = Field(default=None, description="Requests at the same time.")


class BudgetSpec(Section):
    """How much money in a while."""

    usd: Money = Field(description="Dollars, with at most nine decimals.")
    per: Literal["day", "week", "month", "total"] = Field(description="Of the calendar; weeks begin on Monday.")
    zone: Zone = Field(default="UTC", description="The time zone whose midnight begins a day, week or month.")
    soft: bool = Field(default=False, description="true: more is told of, and not refused.")
    alert_at: list[Percent] | None = Field(
        default=None, description="Per cent of the amount at which somebody is told; of a soft budget 100 by default."
    )


def _once(budgets: list[BudgetSpec]) -> list[BudgetSpec]:
    windows = [(budget.per, budget.zone) for budget in budgets]
    if len(set(windows)) != len(windows):
        raise ValueError("two budgets are for the same time (per and zone): keep one")
    return budgets


class HolderSpec(Section):
    """What holds for a key, or for all keys of a user, team or organisation."""

    limits: LimitsSpec = Field(default_factory=LimitsSpec)
    budgets: list[BudgetSpec] = Field(default=[], description="All of them hold.")
    models: list[ModelName] | None = Field(default=None, description="May ask for: model names, provider/model, provider/*.")
    providers: list[Slug] | None = Field(default=None, description="Whom its requests may go to; all by default.")
    endpoints: list[EndpointGlob] | None = Field(
        default=None, description="What may be called, such as chat.*; all by default."
    )
    addresses: list[Network] | None = Field(default=None, description="From where, such as 10.0.0.0/8; anywhere by default.")
    tags: list[Slug] = Field(default=[], description="What the rules of models may ask for, and accounts show.")

    @field_validator("budgets")
    @classmethod
    def _one_of_a_kind(cls, budgets: list[BudgetSpec]) -> list[BudgetSpec]:
        return _once(budgets)

    @field_validator("models", "providers", "endpoints", "addresses")
    @classmethod
    def _something(cls, names: list[str] | None) -> list[str] | None:
        if names == []:
            raise ValueError("names nothing, so that nothing could be done; leave it out where everything is allowed")
        return names

    def above(self, kind: Kind) -> str | None:
        """The name of the user, team or organisation that this says it belongs to."""
        found: str | None = getattr(self, kind, None)
        return found


class UserSpec(HolderSpec):
    """A person, or whatever has keys of its own."""

    team: Who | None = Field(default=None, description="Whose limits and budgets hold besides.")
    organisation: Who | None = Field(default=None, description="By default the team's.")


class TeamSpec(HolderSpec):
    """Several users."""

    organisation: Who | None = Field(default=None, description="Whose limits and budgets hold besides.")


class OrganisationSpec(HolderSpec):
    """Several teams."""


class KeySettings(HolderSpec):
    """What is said of a key besides its name and its secret."""

    user: Who | None = Field(default=None, description="Whose limits and budgets hold besides.")
    team: Who | None = Field(default=None, description="By default the user's.")
    organisation: Who | None = Field(default=None, description="By default the team's.")
    aliases: dict[ModelName, ModelName] = Field(default={}, description="What names mean to this key: a model for each.")
    priority: Priority = Field(default="normal", description="Under load, low is turned away first and high last.")
    expires: Moment | None = Field(default=None, description="A date (its beginning, UTC) or a date and time.")


class KeySpec(KeySettings):
    """A client's key, by its secret or only its hash."""

    name: Slug
    secret: ClientSecret | None = Field(default=None, description="16 to 512 printable ASCII characters.")
    hash: Digest | None = Field(default=None, description="sha256: and 64 hexadecimal digits, instead of the secret.")


SPECS: dict[Kind, type[HolderSpec]] = {"user": UserSpec, "team": TeamSpec, "organisation": OrganisationSpec}
