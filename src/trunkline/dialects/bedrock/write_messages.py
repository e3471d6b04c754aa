"""Canon's messages, written as `system` and `messages`.

Bedrock has turns of user and assistant: what follows one another in one role is one message, and the results of tools come
first in the user's. Instructions in mid-conversation are a message of role `system` where the model takes that, right after
a user's turn; else they are hoisted to the start. Those that follow an answer are the user's words where they stand: nobody
but the assistant would speak last while they do, and what is written of a history must not change when it grows.
"""

from __future__ import annotations

from collections.abc import Iterator

from trunkline.canon.chat import INSTRUCTS, Chat
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.bedrock.words import NAME
from trunkline.dialects.bedrock.write_blocks import Block, Blocks, Group
from trunkline.dialects.foreign import own_part
from trunkline.dialects.history import followers

_UNASKED = ("", "assistant")
"""Who speaks next where no user does."""
_POINT = "cachePoint"


class Turns:
    """The turns of one request."""

    def __init__(self, chat: Chat, facts: Facts, loss: Loss) -> None:
        self._chat = chat
        self._facts = facts
        self._loss = loss
        self._blocks = Blocks(chat, facts, loss)
        self._midway: list[Group] = []
        """Instructions that wait for the end of the user's turn."""
        self._turns: list[tuple[str, list[Group]]] = []
        self.system: list[Block] = []
        self.messages: list[Block] = []

    def write(self) -> Turns:
        """Fill `system` and `messages`."""
        before = ""
        for at, (message, after) in enumerate(zip(self._chat.messages, followers(self._chat), strict=True)):
            place = f"messages[{at}]"
            own_part(message.vendor, self._chat, NAME, self._loss, place)
            if message.name:
                self._loss.note(f"{place}.name")
            if message.role not in INSTRUCTS:
                before = message.role
                self._spoken("assistant" if before == "assistant" else "user", self._blocks.write(message, place))
            elif self._is_asked(at, before, after):
                groups = self._blocks.write(message, place)
                if groups:
                    self._loss.note(f"{place}.role")
                self._spoken("user", groups)
            elif before and self._facts.system_midway:
                self._midway += self._blocks.write(message, place)
            else:
                self.system += self._blocks.system(message, place)
        self._place()
        self._prefill()
        self.messages = [{"role": role, "content": _content(role, groups)} for role, groups in self._turns]
        if self._chat.cache and self._turns and self._turns[-1][0] == "user":
            self.messages[-1]["content"] += self._blocks.mark(self._chat.cache, "messages")
        return self

    def _is_asked(self, at: int, before: str, after: str) -> bool:
        """The instruction is the user's words: at the start the last one where there is no question, which Bedrock wants; later
        each that follows an answer and does not come with a user's turn where the model takes it.
        """
        if not before:
            messages = self._chat.messages
            last = at + 1 == len(messages) or messages[at + 1].role not in INSTRUCTS
            return last and after in _UNASKED
        return before == "assistant" and not (self._facts.system_midway and after not in _UNASKED)

    def _spoken(self, role: str, groups: list[Group]) -> None:
        if not groups:
            return
        if role == "assistant":
            self._place()
        if not self._turns or self._turns[-1][0] != role:
            self._turns.append((role, []))
        self._turns[-1][1].extend(groups)

    def _place(self) -> None:
        """Put down the instructions that wait, after the user's turn; where there is none they are hoisted."""
        if not self._midway:
            return
        if self._turns and self._turns[-1][0] == "user":
            self._turns.append(("system", self._midway))
        else:
            self.system += [block for group in self._midway for block in group]
        self._midway = []

    def _prefill(self) -> None:
        """A conversation that ends with the assistant asks the model to go on from there."""
        if not self._turns or self._turns[-1][0] != "assistant":
            return
        if "prefill" in self._facts.refuses:
            last = max(at for at, message in enumerate(self._chat.messages) if message.role == "assistant")
            self._loss.drop(f"messages[{last}]", "this model does not continue an answer that is begun for it")
            self._turns.pop()
            return
        block = self._turns[-1][1][-1][0]
        if "text" in block:
            block["text"] = block["text"].rstrip()  # trailing white space is an error to Claude


def _content(role: str, groups: list[Group]) -> list[Block]:
    if role == "user":
        groups = sorted(groups, key=lambda group: "toolResult" not in group[0])
    blocks = [block for group in groups for block in group]
    named = [block["document"]["name"] for block in blocks if "document" in block]
    if named and not any("text" in block for block in blocks):
        blocks.append({"text": ", ".join(named)})  # Bedrock takes no document without a text beside it
    return blocks


def needs_thinking(messages: list[Block]) -> bool:
    """Whether the turn that goes on is a tool's and began without thinking: with a budget, Claude then wants its thinking back,
    and it was made by another model or did not come back.
    """
    spoken = [message for message in messages if message["role"] != "system"]
    if len(spoken) < 2 or "toolResult" not in spoken[-1]["content"][0]:
        return False
    return spoken[-2]["role"] == "assistant" and "reasoningContent" not in spoken[-2]["content"][0]


def holds_thinking(messages: list[Block]) -> bool:
    """Whether thoughts of earlier turns go back."""
    return any("reasoningContent" in block for message in messages for block in message["content"])


def called(messages: list[Block]) -> Iterator[str]:
    """The tools that a history calls, by the names they have there."""
    return (block["toolUse"]["name"] for message in messages for block in message["content"] if "toolUse" in block)


def limit_marks(spaces: list[list[Block]], most: int, loss: Loss) -> None:
    """Keep the last `most` cache marks of all these lists, in this order, and take the others away."""
    over = sum(_POINT in block for blocks in spaces for block in blocks) - most
    for blocks in spaces:
        for block in [block for block in blocks if _POINT in block]:
            if over > 0:
                blocks[:] = [one for one in blocks if one is not block]
                loss.note("cache_control")
                over -= 1
