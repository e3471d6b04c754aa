"""Which places on the network a URL from outside may lead to: the guard against requests forged through us (SSRF).

Pure functions of text and addresses; names are looked up and connections made in `fetch`. What is not known to be public is
refused. Sources: the IANA IPv4 and IPv6 special-purpose address registries (RFC 6890 and its updates).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urljoin, urlsplit

Address = IPv4Address | IPv6Address
Policy = Callable[[Address], bool]
"""Whether an address may be connected to."""

MAX_URL = 8192
"""Characters; signed links of object stores reach two thousand."""
_MAX_HOST = 253
_PORTS = {"https": 443, "http": 80}
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_BRACKETED = re.compile(r"\[[0-9a-fA-F:.]+\](:[0-9]*)?")
_PATH = "!$%&'()*+,-./:;=?@_~[]"  # what stays as it is in a path or query; everything else but letters and digits is quoted

_NOT_PUBLIC_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network; Linux takes it for itself
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a carrier's NAT; Alibaba's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host, in a public range
        "169.254.0.0/16",  # link-local; the clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "2620:4f:8000::/48",
        "3fff::/20",  # documentation
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
"""How IPv6-only networks spell IPv4: it is as public as the address inside."""


class Refused(Exception):  # noqa: N818 - a name that reads well where it is caught
    """The URL may not be fetched. The message completes "... : " for whoever sent it; it tells nothing of our network."""


class Place(NamedTuple):
    """A URL taken apart and found sound."""

    scheme: str
    host: str
    """A lower-case ASCII name without a final dot, or an address without brackets."""
    port: int
    path: str
    """Path and query, ASCII, as it goes on the wire."""

    @property
    def literal(self) -> Address | None:
        """The host as an address, where it is one."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        """What a `host` field says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def is_public(address: Address) -> bool:
    """Reachable from anywhere on the internet, and nobody's own network."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _GLOBAL_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


def place_of(url: str, *, schemes: frozenset[str], ports: frozenset[int]) -> Place:
    """The place a URL names. Raises `Refused`.

    Parsers disagree about odd URLs, and holes lie between them: what is not plainly one thing is refused.
    """
    if len(url) > MAX_URL:
        raise Refused(f"it is longer than {MAX_URL} characters")
    if any(char <= " " or char in "\\\x7f" for char in url):
        raise Refused("it holds a character that no URL may hold")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("it is not a URL") from None
    if parts.scheme not in schemes:
        raise Refused(f"only {' and '.join(sorted(schemes))} URLs are fetched")
    if "@" in parts.netloc:
        raise Refused("it holds a user name")
    port = _PORTS[parts.scheme] if port is None else port
    if port not in ports:
        raise Refused("its port is not one that is fetched from")
    return Place(parts.scheme, _host(parts), port, _path(parts))


def moved(place: Place, location: str) -> str:
    """The URL that a redirect from `place` leads to, yet to be checked. Raises `Refused`."""
    try:
        return urljoin(f"{place.scheme}://{place.authority}{place.path}", location)
    except ValueError:
        raise Refused("it redirects to what is not a URL") from None


def _host(parts: SplitResult) -> str:
    try:
        name = (parts.hostname or "").encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        raise Refused("its host is not a valid name") from None
    bracketed = parts.netloc.startswith("[")
    if bracketed and not _BRACKETED.fullmatch(parts.netloc):
        raise Refused("its address is not valid")
    labels = name.split(".")
    if bracketed or _NUMBER.fullmatch(labels[-1]):  # browsers' and resolvers' rule (WHATWG URL, "ends in a number")
        try:
            return str(IPv6Address(name) if bracketed else IPv4Address(name))
        except ValueError:
            raise Refused("its address is not written in the usual way") from None
    if len(name) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise Refused("its host is not a valid name")
    return name


def _path(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe=_PATH)
    return f"{path}?{quote(parts.query, safe=_PATH)}" if parts.query else path
