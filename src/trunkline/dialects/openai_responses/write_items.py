"""A conversation, written as the `input` items of a request to a provider of the Responses API.

Instructions are messages of their own role where they stand, never `instructions`: what is written of a history does not
change when it grows. What the parts of a message say belongs in `write_content`.
"""

from __future__ import annotations

from typing import Any, TypeGuard

from trunkline.canon.chat import Chat, Media, Message, Other, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects import names
from trunkline.dialects.history import placed
from trunkline.dialects.openai_responses.offered import Offered
from trunkline.dialects.openai_responses.words import CUSTOM_CALL, NAME, NAMESPACE, custom_input
from trunkline.dialects.openai_responses.write_content import MESSAGE_FIELDS, Content
from trunkline.dialects.openai_shape.settings import fit_name

_LONGEST = 64
"""Characters of a call's id."""
_FAILED = "Error: "
_INPUT = "input_"
"""How the types of a message's parts begin; what else stands in it is an item of its own."""


class Items:
    """Writes the items of one request."""

    def __init__(self, chat: Chat, facts: Facts, loss: Loss) -> None:
        self._chat = chat
        self._facts = facts
        self._loss = loss
        self._own = chat.dialect == NAME
        self._content = Content(chat, facts, loss)
        self._offered = Offered(chat.tools if self._own else ())
        self._out: list[dict[str, Any]] = []

    def write(self) -> list[dict[str, Any]]:
        """All of them. Raises what the loss refuses, and `GatewayError(BAD_REQUEST)` where nobody says anything."""
        kept = placed(self._chat, self._loss, midway=self._facts.system_midway or self._own)
        if kept and kept[-1][1].role == "assistant" and "prefill" in self._facts.refuses and not self._own:
            self._loss.drop(f"messages[{kept.pop()[0]}]", "this model does not go on with a begun answer")
        for at, message in kept:
            path = f"messages[{at}]"
            if message.name:
                self._loss.note(f"{path}.name")
            if message.role == "assistant":
                self._assistant(message, path)
            elif message.role == "tool":
                self._results(message, path)
            else:
                self._spoken(message, path)
        if not self._out:
            raise GatewayError(Kind.BAD_REQUEST, "The conversation is empty.", param="messages")
        return self._out

    def _spoken(self, message: Message, path: str) -> None:
        """What somebody says to the model, or an item that stands for what was said before."""
        alone = [dict(part.value) for part in message.parts if _stands_alone(part)]
        self._out += alone
        parts = ((at, part) for at, part in enumerate(message.parts) if not _stands_alone(part))
        content = self._content.write(parts, message.role, path)
        if content or not alone:
            vendor = self._content.vendor(message.vendor, path)
            self._out.append({"type": "message", "role": message.role, "content": _short(content), **vendor})

    def _assistant(self, message: Message, path: str) -> None:
        """The model's own, an item for each part, but that texts which stand together are one message."""
        start = len(self._out)
        for at, part in enumerate(message.parts):
            place = f"{path}.content[{at}]"
            match part:
                case Text() if part.text:
                    self._say(part, place, start)
                case Refusal():
                    self._say(part, place, start)
                case ToolCall():
                    self._call(part, place)
                case Thinking():
                    self._thought(part, place)
                case Other(dialect="openai_responses"):
                    self._out.append(dict(part.value))
                case Media() | Other():  # a model can do without
                    self._loss.note(place)
                case _:
                    pass
        while not self._own and len(self._out) > start and self._out[-1]["type"] == "reasoning":
            self._loss.note("reasoning")  # without the item that it led to it is an error
            self._out.pop()

    def _say(self, part: Text | Refusal, place: str, start: int) -> None:
        told = self._content.said(part, place)
        vendor = part.vendor if self._own and isinstance(part, Text) else {}
        beside = {name: value for name, value in vendor.items() if name in MESSAGE_FIELDS}
        last = self._out[-1] if len(self._out) > start else {}
        same = {name: last[name] for name in MESSAGE_FIELDS if name in last} == beside
        joins = last.get("type") == "message" and (isinstance(part, Refusal) or same)
        if joins:
            last["content"].append(told)
        else:
            self._out.append({"type": "message", "role": "assistant", "content": [told], **beside})

    def _call(self, call: ToolCall, place: str) -> None:
        vendor = dict(self._content.vendor(call.vendor, place))
        if call.seal is not None:
            self._loss.note("reasoning")
        offer = self._offered.offer(call.name)
        space = vendor.pop(NAMESPACE, "") or offer.namespace
        name = call.name.removeprefix(f"{space}__") if space else call.name if self._own else fit_name(call.name)
        told = {"call_id": self._id(call.id), "name": name, **({NAMESPACE: space} if space else {})}
        if vendor.pop("type", "") == CUSTOM_CALL or offer.custom:
            told = {"type": CUSTOM_CALL, **told, "input": custom_input(call.arguments)}
        else:
            told = {"type": "function_call", **told, "arguments": call.arguments}
        self._out.append({**vendor, **told})

    def _thought(self, part: Thinking, place: str) -> None:
        """A piece of reasoning with the state that the provider gave it; without such it is of no use to the model."""
        vendor = dict(self._content.vendor(part.vendor, place))
        ours = part.seal is not None and part.seal.family == NAME
        if not ours and (part.seal is not None or not vendor):
            self._loss.note("reasoning")
            return
        summary = [{"type": "summary_text", "text": part.text}] if part.text and "content" not in vendor else []
        sealed = {"encrypted_content": part.seal.data} if part.seal is not None else {}
        self._out.append({"type": "reasoning", "summary": summary, **vendor, **sealed})

    def _results(self, message: Message, path: str) -> None:
        for at, part in enumerate(message.parts):
            if isinstance(part, ToolResult):
                self._result(part, f"{path}.content[{at}]")

    def _result(self, result: ToolResult, path: str) -> None:
        vendor = dict(self._content.vendor(result.vendor, path))
        if result.cache:
            self._loss.note("cache_control")
        kind = vendor.pop("type", "function_call_output")
        told = self._content.write(enumerate(result.parts), "tool", path)
        if not self._own and all(one["type"] == "input_text" for one in told):
            texts: Any = "\n".join(one["text"] for one in told)
            output = f"{_FAILED}{texts}" if result.failed and not texts.startswith(_FAILED) else texts
        else:
            output = _short([{"type": "input_text", "text": _FAILED}, *told] if result.failed else told)
        self._out.append({**vendor, "type": kind, "call_id": self._id(result.id), "output": output})

    def _id(self, told: str) -> str:
        return told if self._own else names.cut(told, _LONGEST)


def _stands_alone(part: Part) -> TypeGuard[Other]:
    return isinstance(part, Other) and part.dialect == NAME and not str(part.value.get("type")).startswith(_INPUT)


def _short(parts: list[dict[str, Any]]) -> Any:
    """Only a text is a string: that is what every server takes."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0].keys() == {"type", "text"} else parts
