"""Which URLs and addresses are public, by tables of what attackers write. Nothing is connected to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.edge.fetch_guard import MAX_URL, Place, Refused, is_public, moved, place_of

BOTH = frozenset({"https", "http"})
PORTS = frozenset({443, 80})


def place(url: str) -> Place:
    """As a fetcher that takes both schemes would."""
    return place_of(url, schemes=BOTH, ports=PORTS)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:a00:1",
        "::ffff:169.254.169.254",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:10::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    """Metadata services, the operator's own network, and every way to spell them in IPv6."""
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.167.1.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450:4001::200e",
        "64:ff9b::8.8.8.8",
        "::ffff:8.8.8.8",
        "2620:fe::fe",
    ],
)
def test_addresses_that_are_public(address: str) -> None:
    """The neighbours of what is refused: a guard that refuses the internet is switched off."""
    assert is_public(ip_address(address))


@given(st.integers(0, 2**32 - 1))
def test_what_python_calls_private_is_never_public(number: int) -> None:
    """The standard library's own list of networks is within ours."""
    address = IPv4Address(number)
    assert not is_public(address) or not (address.is_private or address.is_multicast or address.is_reserved)
    assert is_public(IPv6Address(f"::ffff:{address}")) == is_public(address)


@given(st.integers(0, 2**128 - 1) | st.integers(0x2000 << 112, (0x4000 << 112) - 1))
def test_what_python_calls_private_is_never_public_in_ipv6(number: int) -> None:
    """As above; an IPv4 address inside is judged as one."""
    address = IPv6Address(number)
    if address.ipv4_mapped is None and is_public(address):
        assert address.is_global
        assert not address.is_multicast


@pytest.mark.parametrize(
    "url",
    [
        "http://127.1/",
        "http://127.0.1/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://017700000001/",
        "http://0177.0.0.1/",
        "http://127.0.0.01/",
        "http://127.0.0.1.2/",
        "http://256.1.1.1/",
        "http://0/",
        "http://0x/",
        "http://1.2.3.0x4/",
        "http://[::1/",
        "http://[::1]evil/",
        "http://[::1]:80:80/",
        "http://[fe80::1%25eth0]/",
        "http://[v1.a]/",
        "http://[localhost]/",
        "http://user@example.com/",
        "http://user:secret@example.com/",
        "http://@example.com/",
        "http://example.com:443@127.0.0.1/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com\\.evil/",
        "http:\\\\127.0.0.1/",
        "http://exa mple.com/",
        "http://example.com/\r\nHost: evil",
        "http://example.com/\t",
        " http://example.com/",
        "http://example.com/\x00",
        "http://example.com:22/",
        "http://example.com:0/",
        "http://example.com:8443/",
        "http://example.com:99999/",
        "http://example.com:-80/",
        "http://example.com:8O/",
        "http://",
        "http:///path",
        "http:example.com",
        "//example.com/",
        "/path",
        "",
        "file:///etc/passwd",
        "gopher://example.com/",
        "data:image/png;base64,AAAA",
        "ftp://example.com/",
        "dict://example.com/",
        "javascript:alert(1)",
        "jar:http://example.com!/",
        "http://127%2e0.0.1/",
        "http://%6cocalhost/",
        "http://a..b/",
        "http://.../",
        "http://-a.example/",
        "http://a*b.example/",
        "http://" + "a" * 64 + ".example/",
        "http://" + "a." * 130 + "example/",
        "http://example.com/" + "a" * MAX_URL,
        "http://\u2100.example/",
    ],
)
def test_urls_that_are_not_plainly_one_thing(url: str) -> None:
    """Each is read differently by some parser: what we check and what is connected to would be two places."""
    with pytest.raises(Refused) as refused:
        place(url)
    assert "127" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com", Place("https", "example.com", 443, "/")),
        ("HTTPS://EXAMPLE.com./A?b=C#d", Place("https", "example.com", 443, "/A?b=C")),
        ("http://example.com:80/a%20b", Place("http", "example.com", 80, "/a%20b")),
        ("http://example.com:443/", Place("http", "example.com", 443, "/")),
        ("http://example.com:/?", Place("http", "example.com", 80, "/")),
        ('https://example.com/\u00e9/|?q=\u00fc"', Place("https", "example.com", 443, "/%C3%A9/%7C?q=%C3%BC%22")),
        ("https://b\u00fccher.example/", Place("https", "xn--bcher-kva.example", 443, "/")),
        ("https://8.8.8.8/", Place("https", "8.8.8.8", 443, "/")),
        ("https://[2606:4700:0:0::1111]/", Place("https", "2606:4700::1111", 443, "/")),
        ("https://[::FFFF:127.0.0.1]/", Place("https", "::ffff:7f00:1", 443, "/")),
        ("https://127\u30020\u30020\u30021/", Place("https", "127.0.0.1", 443, "/")),
        ("https://\uff11\uff12\uff17.0.0.1/", Place("https", "127.0.0.1", 443, "/")),
        ("https://_dmarc.a-b.example/", Place("https", "_dmarc.a-b.example", 443, "/")),
    ],
)
def test_urls_taken_apart(url: str, expected: Place) -> None:
    """Names as they go into DNS and TLS, paths as they go on the wire; odd digits become the address they are."""
    assert place(url) == expected


def test_only_https_where_only_https_is_allowed() -> None:
    """A picture over plain HTTP may be exchanged on its way."""
    with pytest.raises(Refused, match="only https URLs"):
        place_of("http://example.com/", schemes=frozenset({"https"}), ports=PORTS)


def test_a_literal_is_known_as_one() -> None:
    """It is checked without a look-up."""
    assert place("https://8.8.8.8/").literal == IPv4Address("8.8.8.8")
    assert place("https://[2606:4700::1111]/").literal == IPv6Address("2606:4700::1111")
    assert place("https://example.com/").literal is None


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://example.com/", "example.com"),
        ("http://example.com:443/", "example.com:443"),
        ("https://[2606:4700::1111]/", "[2606:4700::1111]"),
        ("http://[2606:4700::1111]:443/", "[2606:4700::1111]:443"),
    ],
)
def test_what_the_host_field_says(url: str, authority: str) -> None:
    """Servers with several names answer by it."""
    assert place(url).authority == authority


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b", "https://example.com/b"),
        ("b?c", "https://example.com/a/b?c"),
        ("//other.example/x", "https://other.example/x"),
        ("http://127.0.0.1/", "http://127.0.0.1/"),
        ("file:///etc/passwd", "file:///etc/passwd"),
    ],
)
def test_where_a_redirect_leads(location: str, url: str) -> None:
    """Checked anew from its beginning, whatever it is."""
    assert moved(place("https://example.com/a/x"), location) == url


@given(st.text(max_size=40) | st.sampled_from(["http://[::1", "//[", "//]/", "http://[v1.x]/"]))
def test_a_redirect_to_anything_is_a_url_or_refused(location: str) -> None:
    """A server says what it likes; it must not become an internal error."""
    try:
        url = moved(place("https://example.com/a"), location)
    except Refused:
        return
    assert isinstance(url, str)


def test_a_redirect_to_half_an_address() -> None:
    """The one thing that the standard library cannot join."""
    with pytest.raises(Refused, match="not a URL"):
        moved(place("https://example.com/a"), "http://[::1/")


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z0-9.\[\]:@%\\/-]{0,30}", fullmatch=True))
def test_any_text_is_a_place_or_refused(url: str) -> None:
    """Never an internal error, and never anything on the wire that could begin another field."""
    try:
        found = place(url)
    except Refused:
        return
    wire = f"{found.authority} {found.path}"
    assert wire.isascii()
    assert wire.isprintable()
    assert " " not in found.path
    assert found.port in PORTS
