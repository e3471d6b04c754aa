"""What the events of a realtime session (OpenAI's, over a WebSocket) tell in passing: how much each answer used.

How frames are cut belongs in `edge`; the session itself passes as it is.
"""

from __future__ import annotations

import msgspec

from trunkline.canon.errors import GatewayError
from trunkline.canon.usage import Usage
from trunkline.dialects.openai_shape.errors import write_error
from trunkline.dialects.passing import read_usage

_BEGINNING = 256
"""Bytes of an event in which its type stands."""
_SOUND = 3200
"""Bytes of a token of sound: 20 a second (OpenAI's guide to the costs of realtime), 24,000 samples of 16 bits in base64."""
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


class Coming:
    """The answer that a provider is about: how much of it came, guessed."""

    __slots__ = ("sound", "tokens")

    def __init__(self) -> None:
        self.tokens = self.sound = 0
        """All of them, and those of sound."""

    def see(self, message: bytes) -> None:
        """A server's event: a delta of words is a token, sound is known by its length."""
        if message.find(b'"response.', 0, _BEGINNING) < 0:
            return
        if message.find(b'"response.done"', 0, _BEGINNING) > 0:
            self.tokens = self.sound = 0
        elif message.find(b'audio.delta"', 0, _BEGINNING) > 0:
            heard = -(-len(message) // _SOUND)
            self.tokens, self.sound = self.tokens + heard, self.sound + heard
        else:
            self.tokens += 1


def write_event(error: GatewayError) -> bytes:
    """An error as a server's event."""
    return b'{"type":"error",' + write_error(error)[1:]


def key_of(protocols: bytes) -> bytes:
    """The key among the subprotocols that a client offers; empty where there is none."""
    found = (name for name in _split(protocols) if name.startswith(_PROTOCOLS))
    return next(found, "").removeprefix(_PROTOCOLS).encode("latin-1")


def passed_on(protocols: bytes) -> bytes:
    """The subprotocols that go on to a provider, as a header's value; empty where there are none."""
    return ", ".join(name for name in _split(protocols) if not name.startswith(_HELD_BACK)).encode("latin-1")


def _split(protocols: bytes) -> list[str]:
    return [name for part in protocols.decode("latin-1").split(",") if (name := part.strip())]
