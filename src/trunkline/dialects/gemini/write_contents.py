"""The conversation of a request for a provider: messages into contents.

Roles alternate: consecutive messages of one side are one content, and all results of a turn stand in one. Instructions are
hoisted to the start, as Gemini has no role for them in the middle; but those that follow an answer are the user's words where
they stand, and so is the last one before an answer that nobody asked for, so that a history is written the same when it has
grown. How one part is written is in `write_parts`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from trunkline.canon.chat import INSTRUCTS, Chat, Message, Part, ToolCall, ToolResult
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.foreign import own_part
from trunkline.dialects.gemini.words import NAME
from trunkline.dialects.gemini.write_parts import PartWriter
from trunkline.dialects.state import UNSIGNED


class _Written(NamedTuple):
    part: Part
    told: dict[str, Any]


class _Content(NamedTuple):
    role: str
    written: list[_Written]


def write_contents(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """`contents` and, where there are instructions, `systemInstruction`.

    Raises `GatewayError` for what the model needs to see and cannot take, and where nobody says anything.
    """
    writer = PartWriter(chat, facts, loss)
    contents: list[_Content] = []
    system: list[dict[str, Any]] = []
    asked = _asked(chat)
    for at, message in enumerate(chat.messages):
        _leave_out(message, chat, loss, f"messages[{at}]")
        written = [
            _Written(part, told)
            for number, part in enumerate(message.parts)
            if (told := writer.write(part, message.role, f"messages[{at}].content[{number}]")) is not None
        ]
        if message.role in INSTRUCTS and at not in asked:
            system += [one.told for one in written]
        elif written:
            if at in asked:
                loss.note(f"messages[{at}].role")
            _append(contents, "model" if message.role == "assistant" else "user", written)
    _put_in_order(contents)
    if facts.signatures:
        _sign(contents)
    if not contents and (chat.dialect != NAME or not chat.messages):
        raise GatewayError(Kind.BAD_REQUEST, "The conversation is empty.", param="messages")
    conversation = [{"role": one.role, "parts": [part.told for part in one.written]} for one in contents]
    return {"contents": conversation, **({"systemInstruction": {"parts": system}} if system else {})}


def _asked(chat: Chat) -> set[int]:
    """Which instructions are the user's words, by their numbers."""
    found: set[int] = set()
    before, last = "", -1
    for at, message in enumerate(chat.messages):
        if message.role not in INSTRUCTS:
            if not before and message.role == "assistant":
                found.add(last)
            before = message.role
        elif before == "assistant":
            found.add(at)
        last = at
    if not before:
        found.add(last)
    return found if chat.dialect != NAME else set()


def _leave_out(message: Message, chat: Chat, loss: Loss, place: str) -> None:
    if message.name:
        loss.note(f"{place}.name")
    own_part(message.vendor, chat, NAME, loss, place)


def _append(contents: list[_Content], role: str, written: list[_Written]) -> None:
    if contents and contents[-1].role == role:
        contents[-1].written.extend(written)
    else:
        contents.append(_Content(role, written))


def _put_in_order(contents: list[_Content]) -> None:
    """Results before all else, and as their calls stand: Gemini matches two calls of one function by their order."""
    order: dict[str, int] = {}
    for content in contents:
        if content.role == "model":
            order = {one.part.id: at for at, one in enumerate(content.written) if isinstance(one.part, ToolCall)}
        else:
            content.written.sort(
                key=lambda one: (0, order.get(one.part.id, -1)) if isinstance(one.part, ToolResult) else (1, 0)
            )


def _sign(contents: list[_Content]) -> None:
    """Gemini 3 refuses a call of the current turn without a signature; of calls made together only the first has one
    (ai.google.dev, thought signatures). Calls of earlier turns get the same stand-in, which nobody looks at: a history is
    written the same when it has grown.
    """
    for content in contents:
        call = next((one for one in content.written if isinstance(one.part, ToolCall)), None)
        if call is not None and "thoughtSignature" not in call.told:
            call.told["thoughtSignature"] = UNSIGNED
