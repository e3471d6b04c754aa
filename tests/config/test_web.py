"""Places that the operator names: over TLS or on this machine, whole and unbent, through the proxy of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from trunkline.config.reach import Context
from trunkline.config.values import Endpoint
from trunkline.config.web import moved, place, web


def context(base: Path, said: list[str], **environ: str) -> Context:
    """What compiling needs; mistakes go to `said`."""
    return Context(environ, base, lambda path, message: said.append(f"{'.'.join(map(str, path))}: {message}"), lambda *_: None)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://a.example", "/"),
        ("https://a.example/", "/"),
        ("https://a.example/keys", "/keys"),
        ("https://a.example/keys/", "/keys/"),
        ("https://a.example:8443/a/b?p=b2c_1&x=%20", "/a/b?p=b2c_1&x=%20"),
        ("https://a.example?x", "/?x"),
        ("http://127.0.0.1:9/x", "/x"),
        ("http://localhost/x", "/x"),
        ("http://[::1]:9/x", "/x"),
    ],
)
def test_a_place_is_what_was_written(url: str, path: str) -> None:
    """Keys would be asked for elsewhere, which is another page for some servers."""
    assert web(url).path == path


@pytest.mark.parametrize(
    "url",
    [
        "", "a.example/keys", "ftp://a.example/", "http://a.example/keys", "http://10.0.0.1/", "https://u:p@a.example/",
        "https://a.example/#x", "https://a.example/?a b", "https://a.example/?<>", "https://a.example/../x",
        "https://a.exa mple/", "https:///x", 5, None, ["https://a.example"], "https://a.example/?x\r\ny: z",
    ],
)  # fmt: skip
def test_what_is_no_safe_place_is_refused(url: object) -> None:
    """Keys could be replaced, and alerts read, on the way; or a header be smuggled in."""
    with pytest.raises(ValueError, match=r"must|URL|port"):
        web(url)


def test_the_proxy_of_the_environment_is_used(tmp_path: Path) -> None:
    """Behind a company's proxy no keys could be fetched."""
    said: list[str] = []
    proxied = context(tmp_path, said, HTTPS_PROXY="http://u:p@proxy.lan:3128")
    there = place(web("https://a.example/keys"), None, ("tokens", "x"), proxied)
    assert there.origin.proxy is not None
    assert (there.origin.proxy.host, there.origin.host, there.path) == ("proxy.lan", "a.example", "/keys")
    assert place(web("http://127.0.0.1/keys"), None, ("tokens", "x"), proxied).origin.proxy is None
    place(Endpoint("https", "a.example", 443, "/"), None, ("alerts",), context(tmp_path, said, HTTPS_PROXY="socks5://p"))
    assert len(said) == 1
    assert said[0].startswith("alerts.proxy: ")


def test_another_place_is_reached_the_same_way(tmp_path: Path) -> None:
    """A discovery document could lead to where no TLS is; or its keys would not be found behind a proxy."""
    base = place(web("https://a.example/x"), None, ("t",), context(tmp_path, [], HTTPS_PROXY="http://proxy.lan:3128"))
    there = moved(base, "https://keys.example:8443/k?v=1")
    assert (there.origin.host, there.origin.port, there.path) == ("keys.example", 8443, "/k?v=1")
    assert there.origin.proxy == base.origin.proxy
    here = place(web("http://127.0.0.1:8/x"), None, ("t",), context(tmp_path, []))
    assert moved(here, "http://127.0.0.1:9/k").origin.proxy is None
    for begin, led in ((base, "http://keys.example/k"), (here, "http://keys.example/k"), (base, "http://127.0.0.1:4001/k")):
        with pytest.raises(ValueError, match="https"):
            moved(begin, led)


def test_authorities_of_ones_own(tmp_path: Path) -> None:
    """A company's own sign-in could not be asked; or a mistake in the file would show at the first request only."""
    said: list[str] = []
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "other.pem").write_text("nothing")
    there = place(web("https://a.example/"), "ca.pem", ("alerts",), context(tmp_path, said))
    assert there.origin.tls.ca_file == str(tmp_path / "ca.pem")
    assert there.origin.tls.digest
    assert there.origin.tls.verify
    for file in ("missing.pem", "other.pem"):
        place(web("https://a.example/"), file, ("alerts",), context(tmp_path, said))
    assert said[0] == "alerts.ca: there is no such file"
    assert all(one.startswith("alerts.ca: ") for one in said)
    assert "PEM" in said[-1]
