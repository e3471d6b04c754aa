"""Canon's messages, written as `system` and `messages`.

Anthropic has turns of user and assistant only: what follows one another in one role is one message, and the results of
tools come first in the user's. Instructions in mid-conversation are a message of role `system` where the model takes that,
which must stand right after a user's turn (Anthropic's page on mid-conversation system messages, June 2026); else they are
hoisted to the start. Those that follow an answer are the user's words where they stand: nobody but the assistant would speak
last while they do, and what is written of a history must not change when it grows.
"""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import INSTRUCTS, NOTHING, Chat, Json
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.anthropic.words import NAME
from trunkline.dialects.anthropic.write_blocks import Blocks
from trunkline.dialects.foreign import own_part
from trunkline.dialects.history import followers

_UNASKED = ("", "assistant")
"""Who speaks next where no user does."""


class Turns:
    """The turns of one request."""

    def __init__(self, chat: Chat, facts: Facts, loss: Loss) -> None:
        self._chat = chat
        self._facts = facts
        self._loss = loss
        self._own = chat.dialect == NAME
        self._as_placed = self._own and facts.system_midway
        self._blocks = Blocks(chat, facts, loss)
        self._midway: dict[str, Any] | None = None
        """Instructions that wait for the end of the user's turn."""
        self.system: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []

    def write(self) -> Turns:
        """Fill `system` and `messages`."""
        before = ""
        for at, (message, after) in enumerate(zip(self._chat.messages, followers(self._chat), strict=True)):
            place = f"messages[{at}]"
            blocks = self._blocks.write(message, place)
            vendor = own_part(message.vendor, self._chat, NAME, self._loss, place)
            if message.name:
                self._loss.note(f"{place}.name")
            if message.role not in INSTRUCTS:
                before = message.role
                self._spoken("assistant" if before == "assistant" else "user", blocks, vendor)
            elif self._is_asked(at, before, after):
                self._asked(blocks, vendor, place)
            elif not before:
                self.system += blocks
            else:
                self._instructed(blocks, vendor, place)
        self._place()
        for turn in self.messages:
            if turn["role"] == "user":
                turn["content"].sort(key=lambda block: block["type"] != "tool_result")
        self._prefill()
        return self

    def _is_asked(self, at: int, before: str, after: str) -> bool:
        """The instruction is the user's words, by who spoke before it and who speaks after it (see `_followers`): at the start
        the last one where there is no question, which Anthropic wants; later each that follows an answer and does not come
        with a user's turn where the model takes it.
        """
        if not before:
            messages = self._chat.messages
            last = at + 1 == len(messages) or messages[at + 1].role not in INSTRUCTS
            return last and not self._own and after in _UNASKED
        return before == "assistant" and not self._as_placed and not (self._facts.system_midway and after not in _UNASKED)

    def _spoken(self, role: str, blocks: list[dict[str, Any]], vendor: Json) -> None:
        if not blocks:
            return
        if role == "assistant":
            self._place()
        if not self.messages or self.messages[-1]["role"] != role:
            self.messages.append({"role": role, "content": []})
        turn = self.messages[-1]
        turn["content"] += blocks
        turn.update(vendor)

    def _asked(self, blocks: list[dict[str, Any]], vendor: Json, place: str) -> None:
        for name in ("role", *vendor) if blocks else vendor:
            self._loss.note(f"{place}.{name}")
        self._spoken("user", blocks, NOTHING)

    def _instructed(self, blocks: list[dict[str, Any]], vendor: Json, place: str) -> None:
        if not self._facts.system_midway:
            self.system += blocks
            for name in vendor:
                self._loss.note(f"{place}.{name}")
        elif blocks or vendor:
            self._midway = self._midway or {"role": "system", "content": []}
            self._midway["content"] += blocks
            self._midway.update(vendor)

    def _place(self) -> None:
        """Put down the instructions that wait, after the user's turn; where there is none they are hoisted."""
        if self._midway is None:
            return
        if self._as_placed or (self.messages and self.messages[-1]["role"] == "user"):
            self.messages.append(self._midway)
        else:
            self.system += self._midway["content"]
        self._midway = None

    def _prefill(self) -> None:
        """A conversation that ends with the assistant asks the model to go on from there."""
        if not self.messages or self.messages[-1]["role"] != "assistant":
            return
        if "prefill" in self._facts.refuses:
            last = max(at for at, message in enumerate(self._chat.messages) if message.role == "assistant")
            self._loss.drop(f"messages[{last}]", "this model does not continue an answer that is begun for it")
            self.messages.pop()
        elif not self._own and self.messages[-1]["content"][-1]["type"] == "text":
            block = self.messages[-1]["content"][-1]
            block["text"] = block["text"].rstrip()  # trailing white space is an error there


def needs_thinking(messages: list[dict[str, Any]]) -> bool:
    """Whether the turn that goes on is a tool's and began without thinking: with a budget, Anthropic then wants its thinking
    back, and it was made by another model or did not come back.
    """
    spoken = [message for message in messages if message["role"] != "system"]
    if len(spoken) < 2 or spoken[-1]["content"][0]["type"] != "tool_result":
        return False
    return spoken[-2]["role"] == "assistant" and spoken[-2]["content"][0]["type"] not in {"thinking", "redacted_thinking"}


def holds_thinking(messages: list[dict[str, Any]]) -> bool:
    """Whether thoughts of earlier turns go back."""
    blocks = (block for message in messages if message["role"] == "assistant" for block in message["content"])
    return any(block["type"] in {"thinking", "redacted_thinking"} for block in blocks)


def limit_marks(spaces: list[list[dict[str, Any]]], most: int, loss: Loss) -> None:
    """Keep the last `most` cache marks of all these tools and blocks, in this order, and take the others away."""
    marked = [block for blocks in spaces for block in _flat(blocks) if block.get("cache_control") is not None]
    for block in marked[: max(0, len(marked) - most)]:
        del block["cache_control"]
        loss.note("cache_control")


def _flat(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Blocks and those inside the results of tools, in the order in which they are in the prompt."""
    flat: list[dict[str, Any]] = []
    for block in blocks:
        inner = block.get("content") if block.get("type") == "tool_result" else None
        flat += [one for one in inner if isinstance(one, dict)] if isinstance(inner, list) else []
        flat.append(block)
    return flat
