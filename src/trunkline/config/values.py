"""The written forms of single values: durations, sizes, addresses, URLs, names, header values.

Each function takes what stands in the file and returns the plain value, or raises ValueError that says which form is
expected. It never repeats the value: it may be a secret. Which field takes which form belongs in `schema`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import re
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from typing_extensions import override

MAX_NAME = 256
MAX_SECONDS = 30 * 86400.0
MAX_SIZE = 1 << 40
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}
_DOLLARS = re.compile(r"\$?(\d{1,7})(?:\.(\d{1,9}))?", re.ASCII)
_PORTION = re.compile(r"(\d{1,4})(?:\.(\d{1,6}))?(%?)", re.ASCII)
_SIZE = re.compile(r"(\d+)\s*(KiB|MiB|GiB|B)?", re.ASCII)
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, None: 1}
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*\.?")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DOTS = frozenset({".", ".."})
_SECRET = re.compile(r"[\x21-\x7e]+")
_HASH = re.compile(r"sha256:([0-9a-fA-F]{64})")
_SAMPLES = ("", "test", "password", "secret", "changeme", "example", "admin", "key", "1234", "123456", "sk-1234", "sk-test")
_KNOWN = {hashlib.sha256(sample.encode() + end).digest() for sample in _SAMPLES for end in (b"", b"\n")}
"""Hashes that are copied from examples or made of nothing; whoever knows the word would be let in."""


class Address(NamedTuple):
    """Where to listen: a host without brackets, and a port (0: any free one)."""

    host: str
    port: int


class Endpoint(NamedTuple):
    """Where to call. `path` has no trailing slash."""

    scheme: str
    host: str
    port: int
    path: str


class ProxyAddress(NamedTuple):
    """An HTTP proxy and the credential toward it."""

    host: str
    port: int
    user: str | None
    password: str

    @override
    def __repr__(self) -> str:
        """The address without the credential."""
        return f"ProxyAddress({self.host}:{self.port})"


def text(value: object) -> str:
    """A single value as text. A number is what a program, not a file, would hand in."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise ValueError("must be a single value")


def duration(value: object) -> float:
    """Seconds, more than zero, from `200ms`, `5s`, `10m`, `1h` or a number of seconds. At most 30 days."""
    seconds = duration_or_zero(value)
    if seconds == 0:
        raise ValueError("must be more than zero")
    return seconds


def duration_or_zero(value: object) -> float:
    """As `duration`, zero allowed."""
    match = _DURATION.fullmatch(text(value))
    if match is None:
        raise ValueError("must be a duration such as 200ms, 5s, 10m, 1h, or a number of seconds")
    seconds = float(match[1]) * _SECONDS[match[2]]
    if not math.isfinite(seconds) or seconds > MAX_SECONDS:
        raise ValueError("must be at most 30 days")
    return seconds


def retention(value: object) -> int:
    """Seconds from `90d` or `52w`: a day to a hundred years."""
    match = re.fullmatch(r"(\d{1,5})\s*([dw])", text(value), re.ASCII)
    days = 0 if match is None else int(match[1]) * (7 if match[2] == "w" else 1)
    if not 1 <= days <= 36_525:
        raise ValueError("must be days or weeks such as 90d or 52w, at most 36525d")
    return days * 86_400


def size(value: object) -> int:
    """Bytes, more than zero, from `64KiB`, `32MiB`, `1GiB` or a whole number of bytes. At most 1 TiB."""
    match = _SIZE.fullmatch(text(value))
    if match is None or len(match[1]) > 15:
        raise ValueError("must be a size such as 64KiB, 32MiB, 1GiB, or a whole number of bytes")
    count = int(match[1]) * _BYTES[match[2]]
    if not 0 < count <= MAX_SIZE:
        raise ValueError("must be more than zero and at most 1024GiB")
    return count


def count(value: object) -> int:
    """A whole number from 1 to 10 million."""
    digits = text(value)
    if not re.fullmatch(r"\d{1,8}", digits, re.ASCII) or not 0 < int(digits) <= 10_000_000:
        raise ValueError("must be a whole number from 1 to 10000000")
    return int(digits)


def share(value: object) -> float:
    """A part of a whole, from `5%` or `0.05`; more than nothing, at most all."""
    digits = text(value)
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(%?)", digits, re.ASCII)
    part = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0 < part <= 1:
        raise ValueError("must be a share such as 5%, or a number up to 1")
    return part


def dollars(value: object) -> int:
    """Nano-dollars, exactly, from a decimal number of dollars such as `2`, `0.15` or `$0.0004`; at most nine decimals."""
    match = _DOLLARS.fullmatch(text(value))
    if match is None:
        raise ValueError("must be a number of dollars such as 2.50, with at most nine decimals")
    return int(match[1]) * 1_000_000_000 + int((match[2] or "").ljust(9, "0"))


def portion(value: object) -> int:
    """A part of a price in millionths, from `50%` or `0.5`; nothing, all and more than all (up to ten times) are fine."""
    match = _PORTION.fullmatch(text(value))
    part = int(match[1]) * 1_000_000 + int((match[2] or "").ljust(6, "0")) if match else -1
    part = part // 100 if match and match[3] else part
    if not 0 <= part <= 10_000_000:
        raise ValueError("must be a part of the usual price such as 50%, or a number such as 0.5; at most 1000%")
    return part


def moment(value: object) -> int:
    """Nanoseconds since the epoch, from a date (its beginning, UTC) or a date and time (UTC where it names no zone)."""
    try:
        when = datetime.fromisoformat(text(value))
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        seconds = int(when.timestamp())
    except (ValueError, OverflowError):
        seconds = -1
    if not 0 <= seconds < 1 << 33:
        raise ValueError("must be a date such as 2026-12-01, or a date and time such as 2026-12-01T08:00:00+01:00")
    return seconds * 1_000_000_000


def glob(value: object) -> str:
    """A pattern of values, `*` and `?` standing for any: 1 to 256 printable ASCII characters."""
    digits = text(value)
    if not 0 < len(digits) <= MAX_NAME or not digits.isascii() or not digits.isprintable():
        raise ValueError(f"must be 1 to {MAX_NAME} printable ASCII characters")
    return digits


def host(value: str) -> str:
    """A host name, IPv4 or IPv6 address (without brackets), lower case. RFC 1123, underscores let through."""
    lowered = value.lower()
    try:
        return str(ipaddress.ip_address(lowered))
    except ValueError:
        if _HOST.fullmatch(lowered) is None or re.fullmatch(r"[\d.]+", lowered):
            raise ValueError("the host must be a name (punycode where it is not ASCII) or an IP address") from None
    return lowered


def _port(value: str, least: int) -> int:
    if not re.fullmatch(r"\d{1,5}", value, re.ASCII) or not least <= int(value) <= 65535:
        raise ValueError(f"the port must be a number from {least} to 65535")
    return int(value)


def address(value: object) -> Address:
    """Where to listen, from `127.0.0.1:4000`, `localhost:4000` or `[::1]:4000`."""
    name, colon, port = text(value).rpartition(":")
    if not colon or not name:
        raise ValueError("must be host:port, such as 127.0.0.1:4000 or [::1]:4000 (0.0.0.0 for every interface)")
    return Address(_unbracketed(name), _port(port, 0))


def _unbracketed(name: str) -> str:
    """The host of an address or URL, where IPv6 stands in brackets (RFC 3986 section 3.2.2)."""
    bracketed = name.startswith("[") and name.endswith("]")
    found = host(name[1:-1] if bracketed else name)
    if bracketed != (":" in found):
        raise ValueError("an IPv6 address stands in square brackets, and nothing else does")
    return found


def endpoint(value: object) -> Endpoint:
    """Where to call, from an http or https URL without credentials, query or fragment."""
    url = text(value)
    scheme, host_name, port, path, credential = _split(url)
    if credential is not None:
        raise ValueError("must not hold credentials; they belong in api_key or headers")
    if scheme not in {"http", "https"}:
        raise ValueError("must begin with http:// or https://")
    if "?" in url or "#" in url:
        raise ValueError("must not have a query or a fragment")
    path = path.rstrip("/")
    if _PATH.fullmatch(path) is None or {".", ".."} & set(path.split("/")):
        raise ValueError("the path must be plain URL characters, without empty, '.' or '..' segments")
    return Endpoint(scheme, host_name, port or (443 if scheme == "https" else 80), path)


def proxy(value: object) -> ProxyAddress:
    """A proxy, from `http://[user:password@]host:port`."""
    url = text(value)
    scheme, host_name, port, path, credential = _split(url)
    if scheme != "http":
        raise ValueError("only http:// proxies are supported (they tunnel https too)")
    if path not in {"", "/"} or "?" in url or "#" in url:
        raise ValueError("must be http://host:port without a path")
    if credential is None:
        return ProxyAddress(host_name, port or 80, None, "")
    user, _, password = credential.partition(":")
    user, password = unquote(user), unquote(password)
    if not (user + password).isprintable():
        raise ValueError("the credential must be printable characters")
    return ProxyAddress(host_name, port or 80, user, password)


def _split(url: str) -> tuple[str, str, int | None, str, str | None]:
    """(scheme, host, port, path, credential) of a URL. Refuses what `urlsplit` would silently drop or bend."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("must be a URL of printable ASCII characters")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("is not a URL") from None
    credential, at, place = parts.netloc.rpartition("@")
    name, colon, port = place.rpartition(":")
    if not colon or "]" in port:
        name, colon, port = place, "", ""
    if not name:
        raise ValueError("must be a URL with a host, such as https://api.example.com/v1")
    host_name = _unbracketed(name)
    return parts.scheme.lower(), host_name, _port(port, 1) if colon else None, parts.path, credential if at else None


def origin(value: object) -> str:
    """A CORS origin: `*`, or scheme://host[:port] as browsers send it (Fetch Standard, origin serialisation)."""
    written = text(value)
    if written == "*":
        return written
    try:
        where = endpoint(written)
    except ValueError as error:
        raise ValueError(f"must be '*' or an origin such as https://app.example.com: {error}") from None
    if where.path or written.endswith("/"):
        raise ValueError("an origin has no path and no trailing slash")
    return written.lower()


def label(value: object) -> str:
    """A cloud's name for a place or a resource, fit to stand in a host name (RFC 1123 section 2.1); lower case."""
    if not isinstance(value, str) or re.fullmatch(r"[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?", value) is None:
        raise ValueError("must be 1 to 63 letters, digits and '-', with no '-' at either end")
    return value.lower()


def project(value: object) -> str:
    """A Google Cloud project: its id, also one of a domain's (`example.com:lab`), or its number."""
    written = text(value)
    if re.fullmatch(r"[0-9a-z][0-9a-z.:-]{0,127}", written) is None:
        raise ValueError("must be a project's id or number, such as my-project-1234")
    return written


def slug(value: object) -> str:
    """A provider's or key's name: up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit."""
    if not isinstance(value, str) or _SLUG.fullmatch(value) is None:
        raise ValueError("a name has 1 to 64 letters, digits, '.', '_' or '-' and begins with a letter or digit")
    return value


def is_model(name: str) -> bool:
    """Whether `name` can be a model's name: 1 to 256 printable characters, none of them at the rim a space, and nothing that a
    provider's path would lose (RFC 3986 section 5.2.4).
    """
    return 0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip() and _DOTS.isdisjoint(name.split("/"))


def model(value: object) -> str:
    """A model's name, or `provider/model`."""
    if not isinstance(value, str) or not is_model(value):
        raise ValueError(f"a model name has 1 to {MAX_NAME} printable characters, no space at either end, no part . or ..")
    return value


def header_name(value: object) -> str:
    """A header's name (RFC 9110 section 5.1 token), lower case."""
    if not isinstance(value, str) or _TOKEN.fullmatch(value) is None:
        raise ValueError("is not a header name")
    return value.lower()


def header_value(value: object) -> str:
    """A header's value: printable ASCII, so neither CR, LF nor NUL can smuggle a second line (RFC 9110 section 5.5)."""
    if not isinstance(value, str):
        raise ValueError("must be text")  # noqa: TRY004 - pydantic takes ValueError
    if not value.isascii() or not value.isprintable():
        raise ValueError("must be printable ASCII: no line break, no NUL")
    if len(value) > 8192:
        raise ValueError("must be at most 8192 characters")
    return value.strip()


def api_version(value: object) -> str:
    """An API's version as a header tells it, such as `2023-06-01`; empty for none."""
    if not isinstance(value, str) or re.fullmatch(r"[0-9A-Za-z.-]{0,32}", value) is None:
        raise ValueError("must be a version such as 2023-06-01")
    return value


def beta(value: object) -> str:
    """A value of `anthropic-beta`, or a glob of them."""
    if not isinstance(value, str) or re.fullmatch(r"[0-9A-Za-z._*?\[\]!-]{1,128}", value) is None:
        raise ValueError("must be the name of a beta, such as context-1m-2025-08-07, or a glob such as '*'")
    return value


def api_key(value: object) -> str:
    """A provider's credential: printable ASCII without spaces."""
    if not isinstance(value, str) or not value:
        raise ValueError("is empty; write the key, or none where the provider needs no key")
    if _SECRET.fullmatch(value) is None or len(value) > 8192:
        raise ValueError("must be printable ASCII without spaces or line breaks")
    return value


def client_secret(value: object) -> str:
    """A client's credential: 16 to 512 printable ASCII characters without spaces."""
    if not isinstance(value, str) or _SECRET.fullmatch(value) is None or not 16 <= len(value) <= 512:
        raise ValueError("must be 16 to 512 printable ASCII characters without spaces")
    return value


def digest(value: object) -> bytes:
    """SHA-256 of a client's credential, from `sha256:` and 64 hexadecimal digits."""
    match = _HASH.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be 'sha256:' and 64 hexadecimal digits")
    made = bytes.fromhex(match[1])
    if made in _KNOWN:
        raise ValueError('is the hash of an empty or well-known word; make one of a secret: printf %s "$KEY" | sha256sum')
    return made
