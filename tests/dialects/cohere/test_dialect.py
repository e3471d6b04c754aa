"""The dialect as one object."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.canon.chat import Chat
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS
from trunkline.dialects.cohere.dialect import Cohere
from trunkline.dialects.dialect import ProviderDialect, Reader
from trunkline.dialects.table import DIALECTS, SPOKEN

DIALECT = Cohere()


def test_providers_speak_it_and_clients_do_not() -> None:
    """A door for it would be a promise."""
    assert isinstance(SPOKEN["cohere"], Cohere)
    assert "cohere" not in DIALECTS


def test_it_has_every_part() -> None:
    """A part left out would be an AttributeError in the middle of someone's request."""
    parts: list[tuple[Any, type]] = [(DIALECT, ProviderDialect), (DIALECT.reader("seed"), Reader)]
    for whole, interface in parts:
        names = {*vars(interface), *getattr(interface, "__annotations__", {})}
        assert [name for name in names if not name.startswith("_") and not hasattr(whole, name)] == []


@pytest.mark.parametrize(
    ("content_type", "streams"), [(b"text/event-stream", True), (b"Text/Event-Stream;x", True), (b"application/json", False)]
)
def test_what_a_stream_is(content_type: bytes, streams: bool) -> None:
    """A whole answer taken for a stream would be read as broken."""
    assert DIALECT.streams(content_type) is streams


def test_nobody_counts() -> None:
    """Cohere tokenizes texts only; the gateway's own tokenizer counts."""
    assert DIALECT.write_count(Chat("x", "m", ()), "m", NO_FACTS) is None
    with pytest.raises(GatewayError):
        DIALECT.read_count(b"{}")
