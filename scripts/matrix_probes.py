"""What the conformance matrix asks of every pair of dialects: a small request or answer for each feature, and how it is seen.

Every probe holds words that stand nowhere else, so that it can be told whether they arrived in another form. Running the
probes belongs in `build_matrix`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from trunkline.canon.chat import (
    Chat,
    Choice,
    Citation,
    Media,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Reply,
    Sampling,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from trunkline.canon.usage import Usage
from trunkline.dialects.state import unwrap


class Request(NamedTuple):
    """A feature of requests. `words`, or the same to a blunter view, prove that what the view no longer sees is carried in
    another form.
    """

    name: str
    fields: dict[str, Any]
    view: Callable[[Chat], Any]
    words: tuple[str, ...] = ()
    blunter: Callable[[Chat], Any] | None = None

    def chat(self, dialect: str) -> Chat:
        """As a client of this dialect would be understood."""
        messages = self.fields.get("messages", (_user("Hello"),))
        return Chat(**{"max_tokens": 4096, **self.fields, "dialect": dialect, "model": "model", "messages": messages})


class Answer(NamedTuple):
    """A feature of answers."""

    name: str
    choice: Callable[[str], Choice]
    """Given the provider's dialect, whose seals it holds."""
    view: Callable[[Reply], Any]
    words: tuple[str, ...] = ()
    usage: Usage = Usage(input=30, output=20, basis="reported")
    choices: int = 1

    def reply(self, dialect: str) -> Reply:
        """As a provider of this dialect would be understood."""
        return Reply(dialect, "id-1", "model", (self.choice(dialect),) * self.choices, self.usage, created=1)


def _user(*parts: Part | str) -> Message:
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def _parts(chat: Chat, *kinds: type[Part]) -> list[Any]:
    """Parts of these kinds with their message's role, but for what a dialect may add: ids are the client's, details its own."""
    return [(message.role, part) for message in chat.messages for part in message.parts if isinstance(part, kinds)]


def _texts(chat: Chat) -> list[tuple[str, str]]:
    return [(role, part.text) for role, part in _parts(chat, Text)]


def _leads(chat: Chat) -> list[tuple[str, str]]:
    """Instructions and words in order; whether a system or a developer gives them is a name."""
    return [("system" if role == "developer" else role, text) for role, text in _texts(chat)]


def _media(chat: Chat) -> list[Any]:
    return [(part.kind, part.data or part.url) for _, part in _parts(chat, Media)]


def _tools(chat: Chat) -> list[Any]:
    return [(tool.name, tool.description, tool.parameters) for tool in chat.tools if isinstance(tool, Tool)]


def _strict(chat: Chat) -> list[Any]:
    return [tool.strict for tool in chat.tools if isinstance(tool, Tool)]


def _calls(chat: Chat) -> list[Any]:
    return [(part.name, msgspec.json.decode(part.arguments)) for _, part in _parts(chat, ToolCall)]


def _results(chat: Chat) -> list[Any]:
    found = []
    for _, result in _parts(chat, ToolResult):
        held = [part.text if isinstance(part, Text) else part.data for part in result.parts if isinstance(part, Text | Media)]
        found.append((result.failed, held))
    return found


def _choice(chat: Chat) -> Any:
    """No choice is the model's own, and no tools are none."""
    if not chat.tools:
        return "none", ()
    return (chat.tool_choice.mode, chat.tool_choice.names) if chat.tool_choice else ("auto", ())


def _must_call(chat: Chat) -> Any:
    """Which tools the model must choose from: those named, else all it is given."""
    choice = chat.tool_choice
    given = tuple(tool.name for tool in chat.tools if isinstance(tool, Tool))
    return (choice.mode, choice.names or given) if choice else None


def _caches(chat: Chat) -> list[Any]:
    return [chat.cache, *(part.cache for _, part in _parts(chat, Text, Media, ToolCall, ToolResult) if part.cache)]


def _thinks(chat: Chat) -> Any:
    return chat.reasoning.mode != "off" if chat.reasoning else None


def _may_think(chat: Chat) -> bool:
    """Where nothing is said, it is the model's own measure that holds."""
    return chat.reasoning is None or chat.reasoning.mode != "off"


def _effort(chat: Chat) -> Any:
    return chat.reasoning.effort if chat.reasoning else None


def _budget(chat: Chat) -> Any:
    return chat.reasoning.budget if chat.reasoning else None


PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n a picture of nothing").decode()
PDF = base64.b64encode(b"%PDF-1.7 a document of nothing").decode()
SOUND = base64.b64encode(b"RIFF a sound of nothing").decode()
_SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string"}},
    "required": ["colour"],
    "additionalProperties": False,
}
_TOOL = Tool("paint", "Paints a wall.", _SCHEMA)
_OTHER = Tool("sand", "Sands a wall.", _SCHEMA)
_CALL = ToolCall("call_1", "paint", '{"colour":"red"}')
_SECOND = ToolCall("call_2", "paint", '{"colour":"blue"}')


def _tooled(*results: ToolResult, calls: tuple[ToolCall, ...] = (_CALL,)) -> dict[str, Any]:
    messages = (_user("Paint it"), Message("assistant", calls), Message("tool", results))
    return {"tools": (_TOOL,), "messages": messages}


def _result(*parts: Text | Media, failed: bool = False, number: int = 1) -> ToolResult:
    return ToolResult(f"call_{number}", "paint", parts, failed)


def _chosen(mode: Any, *names: str) -> dict[str, Any]:
    return {"tools": (_TOOL,), "tool_choice": ToolChoice(mode, names)}


def _sampled(name: str, value: Any) -> Request:
    also = {"logprobs": True} if name == "top_logprobs" else {}
    return Request(f"`{name}`", {"sampling": Sampling(**{name: value, **also})}, lambda chat: getattr(chat.sampling, name))


REQUESTS = (
    Request("text", {"messages": (_user("Hällo 👋"),)}, _texts),
    Request("system message", {"messages": (Message("system", (Text("Be brief."),)), _user("Hello"))}, _texts),
    Request("developer message", {"messages": (Message("developer", (Text("Be brief."),)), _user("Hello"))}, _leads),
    Request(
        "system message in mid-conversation",
        {
            "messages": (
                _user("Hello"),
                Message("assistant", (Text("Yes?"),)),
                _user("Go on"),
                Message("system", (Text("Be-brief"),)),
            )
        },
        _leads,
        ("Be-brief",),
    ),
    Request("image as data", {"messages": (_user("See", Media("image", "image/png", PICTURE)),)}, _media),
    Request(
        "image by URL", {"messages": (_user("See", Media("image", "image/png", url="https://example.com/a.png")),)}, _media
    ),
    Request("document (PDF)", {"messages": (_user("Read", Media("document", "application/pdf", PDF, name="a.pdf")),)}, _media),
    Request("audio", {"messages": (_user("Hear", Media("audio", "audio/wav", SOUND)),)}, _media),
    Request("tools", {"tools": (_TOOL,)}, _tools),
    Request("strict tools", {"tools": (msgspec.structs.replace(_TOOL, strict=True),)}, _strict),
    Request("tool calls in history", _tooled(_result(Text("done"))), _calls),
    Request(
        "parallel tool calls in history",
        _tooled(_result(Text("done")), _result(Text("done too"), number=2), calls=(_CALL, _SECOND)),
        _calls,
    ),
    Request("tool result", _tooled(_result(Text("done"))), _results),
    Request("tool result that failed", _tooled(_result(Text("no paint left"), failed=True)), _results, ("no paint left",)),
    Request(
        "tool result with an image", _tooled(_result(Text("done"), Media("image", "image/png", PICTURE))), _results, (PICTURE,)
    ),
    Request("tool choice: auto", _chosen("auto"), _choice),
    Request("tool choice: none", _chosen("none"), _choice),
    Request("tool choice: any", _chosen("required"), _choice),
    Request(
        "tool choice: one by name", {**_chosen("required", "paint"), "tools": (_TOOL, _OTHER)}, _choice, blunter=_must_call
    ),
    Request("no parallel tool calls", {"tools": (_TOOL,), "parallel_tools": False}, lambda chat: chat.parallel_tools),
    Request("answer as JSON", {"output": OutputFormat("json")}, lambda chat: chat.output and chat.output.kind),
    Request(
        "answer by a JSON schema",
        {"output": OutputFormat("schema", _SCHEMA, name="wall")},
        lambda chat: chat.output and (chat.output.kind, chat.output.schema),
    ),
    Request("thinking on", {"reasoning": Reasoning("on", show=True)}, _thinks, blunter=_may_think),
    Request("thinking, adaptive", {"reasoning": Reasoning("adaptive", show=True)}, _thinks, blunter=_may_think),
    Request("thinking off", {"reasoning": Reasoning("off")}, _thinks),
    Request("thinking effort", {"reasoning": Reasoning("on", effort="high")}, _effort, ('"high"',), _thinks),
    Request("thinking budget", {"reasoning": Reasoning("on", budget=2048)}, _budget, blunter=_thinks),
    Request("`max_tokens`", {"max_tokens": 777}, lambda chat: chat.max_tokens),
    Request("`stop`", {"stop": ("END", "ENOUGH")}, lambda chat: chat.stop),
    _sampled("temperature", 0.7),
    _sampled("top_p", 0.9),
    _sampled("top_k", 40),
    _sampled("min_p", 0.1),
    _sampled("seed", 7),
    _sampled("frequency_penalty", 0.5),
    _sampled("presence_penalty", 0.5),
    _sampled("logit_bias", {"50256": -100}),
    _sampled("logprobs", True),
    _sampled("top_logprobs", 3),
    Request("`n`", {"choices": 2}, lambda chat: chat.choices),
    Request("metadata: user id", {"user": "user-123"}, lambda chat: chat.user),
    Request(
        "cache marks",
        {"messages": (Message("system", (Text("Be brief.", cache="5m"),)), _user("Hello"))},
        _caches,
    ),
)


def history(dialect: str, *, sealed: bool) -> tuple[Chat, Choice]:
    """A conversation with a thought and a tool call of a provider of this dialect, and that turn as it answered it."""
    thinking = Thinking("Red, I think.", Seal(dialect, PICTURE) if sealed else None)
    call = msgspec.structs.replace(_CALL, seal=Seal(dialect, PDF)) if sealed and dialect == "gemini" else _CALL
    messages = (_user("Paint it"), Message("assistant", (thinking, call)), Message("tool", (_result(Text("done")),)))
    return Chat(dialect, "model", messages, tools=(_TOOL,), max_tokens=4096), Choice((thinking, call), "tool_calls")


def state_of(chat: Chat) -> list[str]:
    """The seals in a conversation."""
    return sorted(part.seal.data for _, part in _parts(chat, Thinking, ToolCall, Text) if part.seal)


# answers -----------------------------------------------------------------------------------------------------------------


def _said(*parts: Part, finish: Any = "stop", **more: Any) -> Callable[[str], Choice]:
    return lambda _: Choice(parts, finish, **more)


def _all(reply: Reply, *kinds: type[Part]) -> list[Any]:
    return [part for choice in reply.choices for part in choice.parts if isinstance(part, kinds)]


def _text(reply: Reply) -> str:
    return "".join(part.text for part in _all(reply, Text))


def _called(reply: Reply) -> list[Any]:
    return [(call.name, msgspec.json.decode(call.arguments)) for call in _all(reply, ToolCall)]


def _finish(reply: Reply) -> str:
    """A stop sequence is a way to stop."""
    return reply.choices[0].finish.replace("stop_sequence", "stop")


def _opened(reply: Reply) -> list[str]:
    """Seals, unwrapped where they stand in another dialect's slot."""
    seals = [part.seal.data for part in _all(reply, Thinking, ToolCall, Text) if part.seal]
    return [found[0].data if (found := unwrap(seal)) else seal for seal in seals]


_WHOLE = Usage(input=30, output=20, basis="reported")
ANSWERS = (
    Answer("text", _said(Text("Héllo 👋")), _text),
    Answer("thinking", _said(Thinking("Let me see."), Text("Yes.")), lambda reply: [one.text for one in _all(reply, Thinking)]),
    Answer(
        "thinking state",
        lambda dialect: Choice((Thinking("Let me see.", Seal(dialect, PICTURE)), Text("Yes.")), "stop"),
        _opened,
    ),
    Answer("tool call", _said(_CALL, finish="tool_calls"), _called),
    Answer("parallel tool calls", _said(Text("Both."), _CALL, _SECOND, finish="tool_calls"), _called),
    Answer("finish: stop", _said(Text("Yes.")), _finish),
    Answer("finish: length", _said(Text("Yes"), finish="length"), _finish),
    Answer("finish: tool calls", _said(_CALL, finish="tool_calls"), _finish),
    Answer("finish: content filter", _said(Text("Y"), finish="content_filter"), _finish),
    Answer(
        "which stop sequence", _said(Text("Yes"), finish="stop_sequence", stop_sequence="ENOUGH"),
        lambda reply: reply.choices[0].stop_sequence,
    ),
    Answer("refusal", _said(Refusal("I-will-not.")),
        lambda reply: [one.text for one in _all(reply, Refusal)], ("I-will-not.",)),
    Answer(
        "citations",
        _said(Text("It is so.", citations=(Citation(url="https://example.com/source", title="A source", start=0, end=9),))),
        lambda reply: [one.url for part in _all(reply, Text) for one in part.citations], ("https://example.com/source",),
    ),
    Answer(
        "logprobs", _said(Text("Yes"), logprobs=({"token": "Yes", "logprob": -0.5, "bytes": [89], "top_logprobs": []},)),
        lambda reply: [(one["token"], one["logprob"]) for one in reply.choices[0].logprobs],
    ),
    Answer("several choices", _said(Text("Yes.")), lambda reply: len(reply.choices), choices=2),
    Answer("usage: prompt and answer", _said(Text("Yes.")), lambda reply: (reply.usage.input, reply.usage.output)),
    Answer(
        "usage: read from a cache", _said(Text("Yes.")), lambda reply: (reply.usage.input, reply.usage.cache_read),
        usage=msgspec.structs.replace(_WHOLE, cache_read=10),
    ),
    Answer(
        "usage: written to a cache", _said(Text("Yes.")), lambda reply: (reply.usage.input, reply.usage.cache_write_5m),
        usage=msgspec.structs.replace(_WHOLE, cache_write_5m=10),
    ),
    Answer(
        "usage: thinking", _said(Text("Yes.")), lambda reply: (reply.usage.output, reply.usage.reasoning),
        usage=msgspec.structs.replace(_WHOLE, reasoning=5),
    ),
)  # fmt: skip
