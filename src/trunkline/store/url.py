"""Where a store on a server is: the URL as an operator writes it, taken apart. Connecting belongs in `postgres_dial`."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Literal, get_args
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import msgspec
from typing_extensions import override

TlsMode = Literal["disable", "require", "verify-ca", "verify-full"]
"""As PostgreSQL's own programs mean them: https://www.postgresql.org/docs/current/libpq-ssl.html. `require` trusts anyone."""

PORT = 5432
_SYSTEM = "system"
"""libpq's word, since PostgreSQL 16, for the authorities of the system; without it, it looks for a file in one's home."""
_FORM = "must be postgresql://user:password@host:5432/database, with @ in user or password as %40, / as %2F, # as %23, % as %25"


class StoreUrl(msgspec.Struct, frozen=True):
    """A database on a PostgreSQL server. Neither `str` nor `repr` shows the password."""

    host: str
    """A name or address; or the folder of a socket on this machine, which begins with `/`."""
    port: int
    database: str
    user: str
    password: str
    tls: TlsMode
    ca: str | None = None
    """PEM file of whom to trust instead of the system's authorities."""

    @override
    def __str__(self) -> str:
        """For messages: where it is, and nothing that lets anyone in."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.database!r} at {host}:{self.port}"

    @override
    def __repr__(self) -> str:
        return f"StoreUrl({self})"

    def without_password(self) -> str:
        """As a URL for PostgreSQL's own programs, which ask for the password."""
        host = "" if self.host.startswith("/") else quote(self.host, safe=":")
        host = f"[{host}]" if ":" in host else host
        ca = self.ca or (_SYSTEM if self.tls == "verify-full" else None)
        query = {"sslmode": self.tls, **({"sslrootcert": ca} if ca else {}), **({} if host else {"host": self.host})}
        user, database = quote(self.user, safe=""), quote(self.database, safe="")
        return f"postgresql://{user}@{host}:{self.port}/{database}?{urlencode(query)}"

    def secrets(self) -> tuple[bytes, ...]:
        """What must not be seen, in each of the forms in which it could be."""
        forms = {self.password, quote(self.password, safe=""), quote(self.password)} - {""}
        return tuple(sorted(form.encode() for form in forms))


def parse(value: object) -> StoreUrl:
    """The URL taken apart. Raises ValueError that says which form is expected, and never repeats the value.

    Without `sslmode`, a server on this machine is reached as it is, and any other only by TLS with a certificate for its name.
    """
    if not isinstance(value, str):
        raise ValueError(_FORM)  # noqa: TRY004 - pydantic takes ValueError
    try:
        parts = urlsplit(value.strip())
        port = parts.port or PORT
    except ValueError:
        raise ValueError(_FORM) from None
    if parts.scheme == "sqlite":
        raise ValueError("SQLite is used where this is absent, in the data directory: remove it")
    if parts.scheme not in {"postgresql", "postgres"} or parts.fragment:
        raise ValueError(_FORM)
    query = _query(parts.query)
    found = (parts.hostname, parts.username, parts.password, parts.path[1:])
    host, user, password, database = (unquote(part or "") for part in found)
    host = query.get("host") or host
    if not (host and user and database) or not (host + user + password + database).isprintable():
        raise ValueError(_FORM)
    ca, mode = query.get("sslrootcert"), query.get("sslmode")
    if ca == _SYSTEM:
        if mode not in {None, "verify-full"}:
            raise ValueError("its sslrootcert=system is for sslmode=verify-full")
        ca, mode = None, "verify-full"
    return StoreUrl(host, port, database, user, password, _tls(mode, host), ca)


def is_local(host: str) -> bool:
    """Whether nobody can listen in on the way: a socket, or this machine's own addresses."""
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _query(text: str) -> dict[str, str]:
    try:
        query = dict(parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text)))
    except ValueError:
        raise ValueError(_FORM) from None
    if unknown := query.keys() - {"sslmode", "sslrootcert", "host"}:
        name = min(unknown)
        shown = f" {name!r}" if name.isidentifier() and len(name) <= 32 else ""
        raise ValueError(f"its query may hold sslmode, sslrootcert and host (the folder of a socket), but not{shown}")
    if not query.get("host", "/").startswith("/"):
        raise ValueError("'host' in its query is for the folder of a socket, which begins with /")
    return query


def _tls(written: str | None, host: str) -> TlsMode:
    if written is None:
        return "disable" if is_local(host) else "verify-full"
    for mode in get_args(TlsMode):
        if written == mode:
            found: TlsMode = mode
            return found
    raise ValueError(f"its sslmode must be one of {', '.join(get_args(TlsMode))}")
