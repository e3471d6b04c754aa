"""What a person may write of alerts. Shapes only."""

from __future__ import annotations

import base64
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, SecretStr, field_validator

from trunkline.config import values
from trunkline.config.fields import Section
from trunkline.config.web import Web

Event = Literal["budget.crossed", "budget.exceeded"]
EVENTS: tuple[Event, ...] = ("budget.crossed", "budget.exceeded")
_PREFIX = "whsec_"
_BYTES = range(24, 65)
"""Of a signing secret (Standard Webhooks, "Signature scheme")."""


def signing_key(secret: str) -> bytes:
    """The key that a secret is written for, as the libraries of Standard Webhooks read it. Raises ValueError."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if len(key) not in _BYTES:
        raise ValueError("must be 24 to 64 bytes in base64; make one with: openssl rand -base64 32")
    return key


def _secret(value: object) -> SecretStr:
    text = values.text(value)
    signing_key(text)
    return SecretStr(text)


AlertSecret = Annotated[SecretStr, PlainValidator(_secret, json_schema_input_type=str)]


class AlertsSpec(Section):
    """Who is told of budgets, by webhook."""

    url: Web = Field(description="Where alerts are sent (POST): https, or http on this machine.")
    secret: AlertSecret = Field(description="Signs each alert, as Standard Webhooks do: base64, with or without whsec_.")
    events: list[Event] = Field(default=list(EVENTS), description="Which ones; all by default.")
    ca: str | None = Field(default=None, description="PEM file of whom to trust instead of the system's.")

    @field_validator("events")
    @classmethod
    def _something(cls, events: list[Event]) -> list[Event]:
        if not events:
            raise ValueError("names nothing; to be told of nothing leave out the section")
        return events
