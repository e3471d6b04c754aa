"""From where keys may be used, and who clients are that come through proxies."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.policy.addresses import _KEPT, _KEPT_CLIENTS, UNKNOWN, Clients, Networks, network

OURS = Networks(["10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    ("lists", "address", "held"),
    [
        ([["10.0.0.0/8"]], "10.1.2.3", True),
        ([["10.0.0.0/8"]], "11.1.2.3", False),
        ([["10.0.0.0/8", "192.0.2.7/32"]], "192.0.2.7", True),
        ([["192.0.2.7"]], "192.0.2.7", True),
        ([["2001:db8::/32"]], "2001:db8::1", True),
        ([["2001:db8::/32"]], "2001:db9::1", False),
        ([["2001:db8::/32"]], "10.0.0.1", False),
        ([["10.0.0.0/8"]], "::ffff:10.1.2.3", True),  # a v4 client on a socket of both families
        ([["fe80::/10"]], "fe80::1%eth0", True),
        ([["0.0.0.0/0"]], "::1", False),
        ([["10.0.0.0/8"], ["10.1.0.0/16"]], "10.1.2.3", True),
        ([["10.0.0.0/8"], ["10.1.0.0/16"]], "10.2.2.3", False),
        ([["10.0.0.0/8"], ["192.168.0.0/16"]], "10.1.2.3", False),
        ([["0.0.0.0/0", "::/0"]], UNKNOWN, False),
        ([["0.0.0.0/0", "::/0"]], "", False),
    ],
)
def test_where_an_address_is(lists: list[list[str]], address: str, held: bool) -> None:
    """A key for the office must not open anything from elsewhere; all lists of key, team and organisation must hold."""
    networks = Networks(*lists)
    assert networks.hold(address) is held
    assert networks.hold(address) is held  # as remembered


@given(st.lists(st.ip_addresses(), min_size=1, max_size=_KEPT * 2), st.ip_addresses().map(lambda one: f"{one}/9"))
def test_what_is_remembered_is_bounded_and_right(addresses: list[object], net: str) -> None:
    """Somebody who comes from many addresses must neither fill the memory nor get another one's answer."""
    name = str(ip_network(net, strict=False))
    networks = Networks([name])
    for one in addresses * 2:
        assert networks.hold(str(one)) is (Networks([name])._look(str(one)))
        assert len(networks._seen) <= _KEPT


def test_equal_where_they_name_the_same() -> None:
    """A reload would tell of keys that did not change."""
    one = Networks(["10.0.0.0/8", "::1/128"], ["10.0.0.0/8"])
    assert one == Networks(["::1/128", "10.0.0.0/8", "10.0.0.0/8"], ["10.0.0.0/8"])
    assert hash(one) == hash(Networks(["::1/128", "10.0.0.0/8"], ["10.0.0.0/8"]))
    assert one != Networks(["10.0.0.0/8"])
    assert one != "10.0.0.0/8"
    assert "10.0.0.0/8" in repr(one)


def test_the_usual_form() -> None:
    """One network is one, however it is written."""
    assert [network(text) for text in (" 10.0.0.0/255.0.0.0", "::1", "2001:DB8::/32")] == [
        "10.0.0.0/8",
        "::1/128",
        "2001:db8::/32",
    ]
    # as an address that is written so is itself, so is a network of them: else it would hold nobody
    mapped = [network(text) for text in ("::ffff:10.1.2.3", "::ffff:10.0.0.0/104", "::ffff:0:0/96", "::/0")]
    assert mapped == ["10.1.2.3/32", "10.0.0.0/8", "0.0.0.0/0", "::/0"]
    with pytest.raises(ValueError, match="host bits"):
        network("10.0.0.1/8")


@pytest.mark.parametrize(
    ("peer", "told", "client"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", b"10.0.0.1", "192.0.2.1"),  # who is no proxy of ours may say what it likes
        ("10.0.0.1", None, "10.0.0.1"),  # the proxy itself, which looks whether we are well
        ("10.0.0.1", b"", "10.0.0.1"),
        ("10.0.0.1", b" ", "10.0.0.1"),
        ("10.0.0.1", b"192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", b"198.51.100.9, 192.0.2.1", "192.0.2.1"),  # forged by the client before our proxy added the truth
        ("10.0.0.1", b"garbage, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", b"198.51.100.9, 192.0.2.1,10.0.0.2", "192.0.2.1"),
        ("10.0.0.1", b"10.9.9.9,10.0.0.2", "10.9.9.9"),  # a client of our own network
        ("10.0.0.1", b"192.0.2.1:4711", "192.0.2.1"),
        ("10.0.0.1", b"[2001:db8::7]:4711", "2001:db8::7"),
        ("10.0.0.1", b"[2001:db8::7]", "2001:db8::7"),
        ("10.0.0.1", b"2001:DB8:0::7", "2001:db8::7"),
        ("10.0.0.1", b"::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:10.0.0.1", b"192.0.2.1", "192.0.2.1"),
        ("fd00::1", b"192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", b"unknown", UNKNOWN),
        ("10.0.0.1", b"192.0.2.1, unknown", UNKNOWN),
        ("10.0.0.1", b"192.0.2.1,", UNKNOWN),
        ("10.0.0.1", b"\xff", UNKNOWN),
        ("10.0.0.1", b"x," * 9000 + b"192.0.2.1" + b",10.0.0.2" * 20, "192.0.2.1"),
        ("10.0.0.1", b"192.0.2.1" + b",10.0.0.2" * 9000, UNKNOWN),  # nobody has so many proxies
    ],
)
def test_who_a_client_is(peer: str, told: bytes | None, client: str) -> None:
    """Whoever could choose the address it is taken for could use a key from anywhere, and evade the bound on guessing."""
    headers = {} if told is None else {b"x-forwarded-for": told}
    assert Clients().find(peer, headers, OURS) == client


@given(st.lists(st.binary(max_size=8), max_size=4), st.ip_addresses())
def test_nothing_that_a_client_writes_counts(forged: list[bytes], real: object) -> None:
    """Whatever stands before what our own proxy added."""
    if OURS.hold(str(real)):
        return
    told = b", ".join([*forged, str(real).encode()])
    assert ip_address(Clients().find("10.0.0.1", {b"x-forwarded-for": told}, OURS)) == (
        getattr(real, "ipv4_mapped", None) or real
    )


def test_what_clients_are_remembered() -> None:
    """Bounded; and forgotten when others are trusted."""
    clients = Clients()
    for n in range(_KEPT_CLIENTS + 1):
        assert clients.find("10.0.0.1", {b"x-forwarded-for": f"192.0.{n // 256}.{n % 256}".encode()}, OURS).startswith("192.0.")
    assert len(clients._known) == 1
    clients.find("10.0.0.1", {b"x-forwarded-for": b"x" * 9000 + b",192.0.2.1"}, OURS)
    assert len(clients._known) == 1, "a client's long header is not kept"
    told = {b"x-forwarded-for": b"192.0.2.1, 172.16.0.1"}
    for _ in range(2):
        assert clients.find("10.0.0.1", told, OURS) == "172.16.0.1"
    assert clients.find("10.0.0.1", told, Networks(["10.0.0.0/8", "172.16.0.0/12"])) == "192.0.2.1"
