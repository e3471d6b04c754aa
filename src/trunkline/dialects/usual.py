"""What most dialects do alike: the classes that a dialect's object is made of, each for one thing. What a dialect does in its
own way belongs in its own folder.
"""

from __future__ import annotations

from trunkline.canon.chat import Chat
from trunkline.canon.facts import Facts
from trunkline.dialects.dialect import Ask, Outgoing
from trunkline.dialects.errors import protocol

_EVENTS = b"text/event-stream"


class Events:
    """Answers stream as server-sent events, always."""

    def stream_type(self, ask: Ask) -> bytes:  # noqa: ARG002 - it is the same for all
        """Toward a client."""
        return _EVENTS

    def streams(self, content_type: bytes) -> bool:
        """Whether a provider's answer is a stream."""
        return content_type.lower().startswith(_EVENTS)


class Rewritable:
    """Every request can be read and written anew."""

    def only_bytes(self, ask: Ask) -> bool:  # noqa: ARG002 - whatever it asks
        """None."""
        return False


class Uncounted:
    """Tokens cannot be asked for."""

    def write_count(self, chat: Chat, model: str, facts: Facts) -> Outgoing | None:  # noqa: ARG002 - no provider can be asked
        """There is no such question to a provider."""
        return None

    def read_count(self, body: bytes) -> int:
        """There is no such answer."""
        raise protocol("The provider's answer is no count of tokens.", body)

    def write_count_answer(self, tokens: int) -> bytes:  # noqa: ARG002 - no client asks
        """There is no such question of a client."""
        return b"{}"
