"""A provider as the hot path sees it: compiled, frozen, with its request heads ready to send.

Reading the catalogue and the configuration into this form belongs in `config`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from typing_extensions import override

from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.wire import Deadlines, Origin
from trunkline.credentials.credential import Spec
from trunkline.meters.rule import NO_RULES, Rules

StreamUsage = Literal["ask", "always", "never"]
Hosting = Literal["", "deployments", "vertex"]


class Provider(msgspec.Struct, frozen=True):
    """One configured provider. `repr` shows no secret."""

    name: str
    """The name the configuration gives it; what the ledger and `x-trunkline-provider` show."""
    kind: str
    """The catalogue row it is made from (`openai`, `groq`, …); what prices are looked up under."""
    origin: Origin
    speaks: Mapping[str, str]
    """The dialects it speaks (`openai_chat`, `anthropic`, …), never none, each with what stands before that dialect's own
    paths, without a trailing slash, such as `/v1`. The first is for clients of any other dialect."""
    hosting: Hosting = ""
    """In which way of its own it keeps those paths; `hosting.place` knows them."""
    query: str = ""
    """Sent with every path, such as `api-version=2024-10-21`."""
    head: bytes = b""
    """Header lines (each ending CRLF) sent with every request: host, credential, extra headers."""
    secrets: tuple[bytes, ...] = ()
    """Credential values that must never appear in an answer, an error or a log."""
    stream_usage: StreamUsage = "ask"
    """`ask`: reports stream usage only when `stream_options.include_usage` is sent. `always`: unasked, so it is not sent.
    `never`: does not know the option."""
    names_models: tuple[str, ...] = ()
    """Fields of a request, `model` aside, that name further models."""
    builtin: bool = False
    """Answers by itself; nobody is called."""
    forward: tuple[tuple[bytes, bytes], ...] = ()
    """Client request headers, lower case, that are passed on, and what is sent where the client has none (empty: nothing)."""
    betas: tuple[str, ...] = ()
    """Globs of the values of `anthropic-beta` that are passed on."""
    facts: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    """What the operator knows of its models better than we, by glob of their names; the last one that matches wins."""
    strict: bool = False
    """A parameter that its models cannot be told is refused, unless a model says otherwise."""
    deadlines: Deadlines = Deadlines()
    families: frozenset[str] = frozenset()
    """The families of `dialects.families` that it has."""
    credential: Spec | None = None
    """A credential that is no fixed header: signed with, or renewed as it expires."""
    seat: int = 0
    """Which of several credentials this is; they differ in nothing else, and each is a target of its own."""
    others: tuple[Provider, ...] = ()
    """Of the first one, all the others."""
    breaker: bool = True
    """A target of it that fails again and again is left alone for a while."""
    slow: float = math.inf
    """Seconds to a stream's first token after which a target counts as failing."""
    max_answer: int = 64 * 1024 * 1024
    """Bytes of a whole answer, inflated, after which it is refused."""
    max_stream: int = 1024 * 1024 * 1024
    """Bytes of a streamed answer, inflated, after which it is cut."""
    limits: Rules = NO_RULES
    """Of all requests that go there, whoever sends them; its credentials have them together."""

    @property
    def dialect(self) -> str:
        """The one it speaks best."""
        return next(iter(self.speaks))

    @override
    def __repr__(self) -> str:
        """Name and place only."""
        return (
            f"Provider({self.name!r}, {self.origin.scheme}://{self.origin.host}:{self.origin.port}{self.speaks[self.dialect]})"
        )


class Target(msgspec.Struct, frozen=True):
    """A provider and the name it knows the model by."""

    provider: Provider
    model: str
    weight: float = 1.0
    facts: Facts = NO_FACTS
    strict: bool = False
    """A parameter that the model cannot be told is refused; else it is dropped, and named."""

    @property
    def priced_as(self) -> tuple[str, str, str]:
        """What its price is looked up under."""
        return self.provider.name, self.provider.kind, self.model
