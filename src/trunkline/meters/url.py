"""Where Redis is: the URL as an operator writes it, taken apart. Connecting belongs in `link`."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec
from typing_extensions import override

PORT = 6379
_FORM = (
    "must be redis://[user:password@]host:6379[/database], rediss:// for TLS, or unix://[user:password@]/path[?db=0]; "
    "with %40 for @, %2F for /, %23 for # and %3F for ? in user and password"
)


class RedisUrl(msgspec.Struct, frozen=True):
    """A Redis server. Neither `str` nor `repr` shows the password."""

    host: str
    """A name or address; or the path of a socket on this machine, which begins with `/`."""
    port: int
    database: int
    user: str
    password: str
    tls: bool
    """With a certificate for its name, from somebody who is trusted."""
    ca: str | None = None
    """PEM file of whom to trust instead of the system's authorities."""

    @override
    def __str__(self) -> str:
        """For messages: where it is, and nothing that lets anyone in."""
        if self.host.startswith("/"):
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @override
    def __repr__(self) -> str:
        return f"RedisUrl({self})"

    def secrets(self) -> tuple[bytes, ...]:
        """What must not be seen, in each of the forms in which it could be."""
        forms = {self.password, quote(self.password, safe=""), quote(self.password)} - {""}
        return tuple(sorted(form.encode() for form in forms))


class RedisSettings(msgspec.Struct, frozen=True):
    """Where limits and budgets are shared. `repr` shows no password."""

    url: RedisUrl
    timeout: float
    """Seconds that a request waits for it at most."""
    prefix: str
    """Of every key."""


def prefix(value: object) -> str:
    """What every key begins with. Raises ValueError."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value or len(value) > 64:
        raise ValueError("must be at most 64 printable ASCII characters without spaces")
    return value


def parse(value: object) -> RedisUrl:
    """The URL taken apart. Raises ValueError that says which form is expected, and never repeats the value."""
    if not isinstance(value, str):
        raise ValueError(_FORM)  # noqa: TRY004 - pydantic takes ValueError
    try:
        parts = urlsplit(value.strip())
        port = parts.port or PORT
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ValueError(_FORM) from None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme == "unix":
        host, database, allowed = parts.path, query.get("db", ""), {"db"}
    else:
        host, database, allowed = parts.hostname or "", parts.path[1:], {"ssl_ca_certs"} if parts.scheme == "rediss" else set()
    if parts.scheme not in {"redis", "rediss", "unix"} or parts.fragment or not host or query.keys() - allowed:
        raise ValueError(_FORM)
    if not (host + user + password).isprintable() or (user and not password):
        raise ValueError(_FORM)
    if database and not (database.isascii() and database.isdigit() and len(database) < 6):
        raise ValueError("its database must be a number, such as redis://localhost:6379/0")
    tls = parts.scheme == "rediss"
    return RedisUrl(host, port, int(database or 0), user, password, tls, query.get("ssl_ca_certs") or None)
