"""Client headers toward a provider: by name, opt-ins by value."""

from __future__ import annotations

import pytest

from trunkline.canon.wire import Origin
from trunkline.providers.forward import forwarded, unused
from trunkline.providers.provider import Provider

VERSION = (b"anthropic-version", b"2023-06-01")
BETA = (b"anthropic-beta", b"")


def _provider(*forward: tuple[bytes, bytes], betas: tuple[str, ...] = ("*",)) -> Provider:
    return Provider("p", "anthropic", "anthropic", Origin("https", "h", 443), "", forward=forward, betas=betas)


@pytest.mark.parametrize(
    ("provider", "headers", "lines", "held"),
    [
        (_provider(), {b"anthropic-version": b"x", b"cookie": b"c"}, b"", ()),
        (_provider(VERSION), {b"anthropic-version": b"2026-10-21"}, b"anthropic-version: 2026-10-21\r\n", ()),
        (_provider(VERSION), {}, b"anthropic-version: 2023-06-01\r\n", ()),
        (_provider(BETA), {}, b"", ()),
        (_provider(BETA), {b"anthropic-beta": b"a-1, b-2"}, b"anthropic-beta: a-1,b-2\r\n", ()),
        (
            _provider(BETA, betas=("a-*",)),
            {b"anthropic-beta": b"a-1,b-2"},
            b"anthropic-beta: a-1\r\n",
            ("anthropic-beta: b-2",),
        ),
        (_provider(BETA, betas=()), {b"anthropic-beta": b"a-1,,"}, b"", ("anthropic-beta: a-1",)),
    ],
)
def test_what_goes_on(provider: Provider, headers: dict[bytes, bytes], lines: bytes, held: tuple[str, ...]) -> None:
    """An opt-in that a server does not know is an error there; one held back in silence would be a feature lost in silence."""
    assert forwarded(provider, headers) == (lines, held)


@pytest.mark.parametrize(
    ("headers", "names"), [({}, ()), ({b"anthropic-beta": b"a-1"}, ("anthropic-beta",)), ({b"anthropic-beta": b""}, ())]
)
def test_what_another_dialect_cannot_be_told(headers: dict[bytes, bytes], names: tuple[str, ...]) -> None:
    """Opting into something and not getting it must not go unsaid."""
    assert unused(headers) == names
