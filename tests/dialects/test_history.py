"""The order in which a conversation is sent."""

from __future__ import annotations

import pytest

from trunkline.canon.chat import Chat, Message, Role, Text, ToolCall
from trunkline.canon.loss import Loss
from trunkline.dialects.history import followers, placed


def spoken(roles: str) -> Chat:
    """A message for each letter: system, user, assistant, tool; an assistant that calls a tool is a `c`."""
    known: dict[str, Role] = {"s": "system", "u": "user", "a": "assistant", "c": "assistant", "t": "tool"}
    said = {"c": (ToolCall("1", "f", "{}"),)}
    return Chat("d", "m", tuple(Message(known[letter], said.get(letter, (Text(letter),))) for letter in roles))


@pytest.mark.parametrize(
    ("roles", "midway", "sent", "noted"),
    [
        ("sua", False, [(0, "system"), (1, "user"), (2, "assistant")], []),
        ("usa", False, [(1, "system"), (0, "user"), (2, "assistant")], []),
        ("uas", False, [(0, "user"), (1, "assistant"), (2, "user")], ["messages[2].role"]),
        ("ucst", False, [(2, "system"), (0, "user"), (1, "assistant"), (3, "tool")], []),
        ("uas", True, [(0, "user"), (1, "assistant"), (2, "system")], []),
    ],
)
def test_where_instructions_stand(roles: str, midway: bool, sent: list[tuple[int, str]], noted: list[str]) -> None:
    """A model that takes none in the middle refuses them there; one between a call and its result is an error to all."""
    loss = Loss(strict=False)
    assert [(at, message.role) for at, message in placed(spoken(roles), loss, midway=midway)] == sent
    assert list(loss.names) == noted


def test_who_speaks_next() -> None:
    """Instructions do not count: they go elsewhere."""
    assert followers(spoken("usa")) == ["assistant", "assistant", ""]
