"""From where a key may be used, and who a client is that came through proxies. Pure.

Networks are compiled once; what an address means is remembered, so that the ordinary request costs one look-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from typing_extensions import override

Network = IPv4Network | IPv6Network
UNKNOWN = "unknown"
"""The client of a trusted proxy that did not say who it is, in a way that can be read. In no network."""

_KEPT = 64
"""Addresses whose answer is remembered. A key is seldom used from more."""
_KEPT_CLIENTS = 4096
_MOST_TOLD = 256
"""Bytes of a header that is remembered: its beginning is the client's own, as long as it likes."""
_MOST_PROXIES = 32
"""That one request comes through."""
_FORWARDED = b"x-forwarded-for"
_MAPPED = 96
"""Bits before an IPv4 address that is written as one of IPv6."""


def network(text: str) -> str:
    """An address or network in its usual form, such as `10.0.0.0/8` or `::1/128`; of IPv4 also where it is written as one of
    IPv6. Raises ValueError.
    """
    found = ip_network(text.strip())
    mapped = found.network_address.ipv4_mapped if isinstance(found, IPv6Network) and found.prefixlen >= _MAPPED else None
    return str(IPv4Network((mapped, found.prefixlen - _MAPPED)) if mapped is not None else found)


class Networks:
    """Lists of networks; an address must be in one of each. Equal where they name the same."""

    __slots__ = ("_lists", "_seen", "names")

    def __init__(self, *lists: Iterable[str]) -> None:
        """Each of networks as `network` writes them. Raises ValueError."""
        self.names = tuple(dict.fromkeys(tuple(sorted(set(names))) for names in lists))
        self._lists = [[ip_network(name) for name in names] for names in self.names]
        self._seen: dict[str, bool] = {}

    def hold(self, address: str) -> bool:
        """Whether an address, as text, is in one network of each list. What is no address is in none."""
        found = self._seen.get(address)
        if found is None:
            if len(self._seen) >= _KEPT:
                self._seen.clear()
            found = self._seen[address] = self._look(address)
        return found

    def _look(self, address: str) -> bool:
        meant = _address(address)
        return meant is not None and all(any(meant in one for one in networks) for networks in self._lists)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Networks) and self.names == other.names

    @override
    def __hash__(self) -> int:
        return hash(self.names)

    @override
    def __repr__(self) -> str:
        return f"Networks{self.names}"


class Clients:
    """Who clients are that come through proxies we trust (`x-forwarded-for`, as each proxy adds the address it saw)."""

    def __init__(self) -> None:
        self._trusted: Networks | None = None
        self._known: dict[tuple[str, bytes], str] = {}

    def find(self, peer: str, headers: Mapping[bytes, bytes], trusted: Networks) -> str:
        """The address of the client. `peer`: whose connection it is. Nobody but a trusted proxy is believed.

        Read from the right: the last address is the one that our own proxy saw, and whatever stands before the first that
        is no proxy of ours was written by the client itself.
        """
        if not trusted.hold(peer):
            return peer
        told = headers.get(_FORWARDED, b"")
        if trusted is not self._trusted or len(self._known) >= _KEPT_CLIENTS:
            self._trusted, self._known = trusted, {}
        found = self._known.get((peer, told))
        if found is None:
            found = _client(peer, told, trusted)
            if len(told) <= _MOST_TOLD:
                self._known[peer, told] = found
        return found


def _client(peer: str, told: bytes, trusted: Networks) -> str:
    found = peer
    for part in reversed(told.rsplit(b",", _MOST_PROXIES) if told.strip() else []):
        address = _address(_bare(part.strip().decode("latin-1")))
        if address is None:
            return UNKNOWN
        found = str(address)
        if not trusted.hold(found):
            break
    return found


def _bare(text: str) -> str:
    """Without a port, which some proxies add, and without the brackets of IPv6."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """What a text means; an IPv4 address that is written as one of IPv6 (RFC 4291 section 2.5.5.2) is itself."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
