"""A conversation in the order in which it is sent. What is sent of a message belongs in each dialect."""

from __future__ import annotations

import msgspec

from trunkline.canon.chat import INSTRUCTS, Chat, Message, ToolCall
from trunkline.canon.loss import Loss


def placed(chat: Chat, loss: Loss, *, midway: bool) -> list[tuple[int, Message]]:
    """The messages in the order they are sent, each with its place in canon. Where instructions cannot stand in the middle
    (`midway`) they come first; but those that follow an answer are the user's words where they stand: what is written of a
    history must not change when it grows. Nothing may stand between a call and its result.
    """
    told = list(enumerate(chat.messages))
    if midway:
        return told
    first, kept, answered = [], [], False
    for at, message in told:
        if message.role not in INSTRUCTS:
            answered = message.role == "assistant" and not any(isinstance(part, ToolCall) for part in message.parts)
            kept.append((at, message))
        elif answered:
            loss.note(f"messages[{at}].role")
            kept.append((at, msgspec.structs.replace(message, role="user")))
        else:
            first.append((at, message))
    return first + kept


def followers(chat: Chat) -> list[str]:
    """For each message the role of the next that is no instruction; empty where there is none."""
    found: list[str] = []
    after = ""
    for message in reversed(chat.messages):
        found.append(after)
        after = after if message.role in INSTRUCTS else message.role
    return found[::-1]
