"""What a person may write of the issuers whose tokens are taken beside keys. Shapes only.

Where their keys are, and what a user has for himself, is decided in `tokens`.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, field_validator

from trunkline.config import values
from trunkline.config.fields import Duration, DurationOrZero, Section
from trunkline.config.schema_holders import HolderSpec
from trunkline.config.web import web

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Asymmetric ones only: with others whoever can check a token can also make one."""
_FILE = "file:"
_MAX_TEXT = 512
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+:-]{0,31}")
"""As names begin, and a colon, which no name has that is written here."""


def _issuer(value: object) -> str:
    """The issuer as its tokens write it: to the letter, so that nothing of it may be put in order."""
    web(value)
    return values.text(value)


def _jwks(value: object) -> str:
    text = values.text(value)
    if text.startswith(_FILE):
        if not text.removeprefix(_FILE):
            raise ValueError("must name a file behind file:")
        return text
    web(text)
    return text


def _claim(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= values.MAX_NAME or not value.isprintable() or value != value.strip():
        raise ValueError("must be a claim's name, or a dotted path into one")
    return value


def _prefix(value: object) -> str:
    if not isinstance(value, str) or _PREFIX.fullmatch(value) is None:
        raise ValueError("must be 1 to 32 letters, digits, or some of . _ - @ + : and begin with a letter or digit")
    return value


def _exactly(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else values.text(value)
    if not 0 < len(text) <= _MAX_TEXT:
        raise ValueError("must be true, false, a whole number or a text")
    return text


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


IssuerUrl = Annotated[str, PlainValidator(_issuer, json_schema_input_type=str)]
Jwks = Annotated[str, PlainValidator(_jwks, json_schema_input_type=str)]
Prefix = Annotated[str, PlainValidator(_prefix, json_schema_input_type=str)]
Claim = Annotated[str, PlainValidator(_claim, json_schema_input_type=str)]
Exactly = Annotated[str, PlainValidator(_exactly, json_schema_input_type=str | int | bool)]
Texts = Annotated[list[Claim], BeforeValidator(_several, json_schema_input_type=str | list[str])]


class ClaimsSpec(Section):
    """Where a token says what: the name of a claim, or a dotted path. What is named must be there, but for tags."""

    user: Claim = Field(default="sub", description="Who it is for, as accounts show it.")
    team: Claim | None = Field(default=None, description="A team that is known here; of a list the first that is.")
    organisation: Claim | None = Field(default=None, description="An organisation that is known here; of a list the first.")
    tags: Claim | None = Field(default=None, description="A list, or words with spaces between.")
    models: Claim | None = Field(default=None, description="What may be asked for: a list, or words with spaces between.")


class TokenSpec(Section):
    """One issuer of bearer tokens (JWT)."""

    issuer: IssuerUrl = Field(description="As its tokens say in iss, to the letter.")
    audience: Texts = Field(description="One or several; a token must be for one of them.")
    jwks: Jwks | None = Field(default=None, description="URL of its keys, or file:PATH; absent: found by OpenID discovery.")
    algorithms: list[Algorithm] = Field(default=["RS256", "ES256"], description="That its tokens may be signed with.")
    leeway: DurationOrZero = Field(default=30.0, description="By how much clocks may differ; at most 5m.")
    max_age: Duration | None = Field(default=None, description="Since a token was issued (iat); no bound by default.")
    refresh: Duration = Field(default=600.0, description="Between two looks at its keys; at least 1s.")
    ca: str | None = Field(default=None, description="PEM file of whom to trust for its keys instead of the system's.")
    prefix: Prefix | None = Field(default=None, description="Before the names of its users: who is called so is nobody else.")
    claims: ClaimsSpec = Field(default_factory=ClaimsSpec)
    require: dict[Claim, Exactly] = Field(default={}, description="Claims, and the value that each must have, or hold.")
    each: HolderSpec = Field(default_factory=HolderSpec, description="What each of its users has for himself.")

    @field_validator("audience", "algorithms")
    @classmethod
    def _something(cls, names: list[str]) -> list[str]:
        if not names:
            raise ValueError("must not be empty")
        return names

    @field_validator("leeway")
    @classmethod
    def _little(cls, leeway: float) -> float:
        if leeway > 300:
            raise ValueError("must be at most 5m: for so long an expired token would count")
        return leeway

    @field_validator("refresh")
    @classmethod
    def _seldom(cls, refresh: float) -> float:
        if refresh < 1:
            raise ValueError("must be at least 1s")
        return refresh
