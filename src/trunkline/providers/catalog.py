"""The catalogue of provider kinds: the rows of `catalog.toml`, typed and read once.

What a person configures on top of a row belongs in `config`, what models can in `models`; prices do not belong here either.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import tomllib
from importlib.resources import files
from typing import Literal

import msgspec

from trunkline.providers.provider import StreamUsage

Auth = Literal["bearer", "api-key", "x-api-key", "x-goog-api-key", "none"]
OLLAMA_PORT = 11434
_VERSION = re.compile(r"/v\d+(?:alpha|beta)?\d*$")
"""A path that ends in a version: `/v1`, `/v1beta`, `/v1beta1`."""


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of provider. The fields are explained at the top of `catalog.toml`."""

    base_url: str
    env: tuple[str, ...]
    auth: Auth
    dialects: dict[str, str]
    stream_usage: StreamUsage
    source: str
    date: dt.date
    bare: bool = False
    builtin: bool = False
    forward: dict[str, str] = {}
    betas: tuple[str, ...] = ()
    at_home: tuple[str, ...] = ()
    on_request: tuple[str, ...] = ()
    names_models: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    cloud: str = ""
    settings: tuple[str, ...] = ()
    found: tuple[str, ...] = ()

    def spoken(self, *, at_home: bool) -> tuple[str, ...]:
        """The dialects that such a provider is taken to speak where the configuration names none."""
        left_out = self.on_request if at_home else (*self.on_request, *self.at_home)
        return tuple(name for name in self.dialects if name not in left_out)

    def base_path(self, given: str, dialect: str) -> str:
        """The path before the dialect's own paths, for a base URL whose path is `given` (no trailing slash)."""
        below = self.dialects[dialect]
        if not self.bare:
            return given + below
        if not below:
            return given.removesuffix("/v1")  # the dialect's own paths begin with it, or with another
        return given if _VERSION.search(given) else given + below


@functools.cache
def catalog() -> dict[str, Row]:
    """Every kind by name, in the order of the file. Shared: do not change it."""
    text = files("trunkline.providers").joinpath("catalog.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Row])


def ollama_base_url(host: str) -> str:
    """The base URL of a local Ollama, from the value of `OLLAMA_HOST` (empty: the default address).

    Takes the forms that Ollama takes: `host`, `host:port`, `:port`, and either with a scheme, where a missing port is the
    scheme's own (ollama `envconfig`). An address that means "every interface" is where a server listens, not where a client
    goes: it becomes loopback. The result is not checked; `config` does that.
    """
    text = host.strip().rstrip("/")
    if not text:
        return catalog()["ollama"].base_url
    scheme, has_scheme, rest = text.rpartition("://")
    address, slash, path = rest.partition("/")
    name, colon, port = address.rpartition(":")
    if not colon or "]" in port:  # no port; the colons are an IPv6 address's own
        name, port = address, ""
    if name in {"", "0.0.0.0", "[::]"}:
        name = "127.0.0.1"
    if not port:
        port = str(OLLAMA_PORT) if not has_scheme else "443" if scheme == "https" else "80"
    return f"{scheme or 'http'}://{name}:{port}{slash}{path}"
