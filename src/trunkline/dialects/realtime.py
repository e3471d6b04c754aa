"""What the events of a realtime session (OpenAI's, over a WebSocket) tell in passing: how much each answer used.

How frames are cut belongs in `edge`; the session itself passes as it is.
"""

from __future__ import annotations

import msgspec

from trunkline.canon.usage import Usage
from trunkline.dialects.passing import read_usage

_ABSENT = msgspec.Raw(b"")
_PROTOCOLS = "openai-insecure-api-key."
"""Before a key among the subprotocols: browsers cannot set headers (OpenAI's guide to realtime over WebSocket)."""
_HELD_BACK = (_PROTOCOLS, "openai-organization.", "openai-project.")
"""Subprotocols that say who pays; that is ours to say."""


class _Response(msgspec.Struct, gc=False):
    usage: msgspec.Raw = _ABSENT


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    response: _Response | None = None


_event = msgspec.json.Decoder(_Event).decode


def used(message: bytes) -> tuple[Usage, str] | None:
    """The usage that a server's event reports, and its own text: only `response.done` does. Never raises."""
    if b"response.done" not in message:
        return None
    try:
        event = _event(message)
    except (ValueError, RecursionError):
        return None
    if event.type != "response.done" or event.response is None:
        return None
    usage, raw = read_usage(event.response.usage)
    return (usage, raw) if raw else None


def key_of(protocols: bytes) -> bytes:
    """The key among the subprotocols that a client offers; empty where there is none."""
    found = (name for name in _split(protocols) if name.startswith(_PROTOCOLS))
    return next(found, "").removeprefix(_PROTOCOLS).encode("latin-1")


def passed_on(protocols: bytes) -> bytes:
    """The subprotocols that go on to a provider, as a header's value; empty where there are none."""
    return ", ".join(name for name in _split(protocols) if not name.startswith(_HELD_BACK)).encode("latin-1")


def _split(protocols: bytes) -> list[str]:
    return [name for part in protocols.decode("latin-1").split(",") if (name := part.strip())]
