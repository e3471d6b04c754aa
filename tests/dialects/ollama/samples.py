"""Hand-written answers and requests of this dialect, for the tests beside it."""

from __future__ import annotations

import base64
import json
from typing import Any

from conformance.recordings import Recording, recordings
from trunkline.canon.chat import Choice, Reply, Text, Thinking, ToolCall
from trunkline.canon.stream import Event
from trunkline.canon.usage import Usage
from trunkline.dialects.dialect import NOT_NAMED, Ask, Frame, Named
from trunkline.dialects.ollama.reader import OllamaReader
from trunkline.dialects.ollama.request import read_request

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"not much of a picture").decode()
WHEN = "2026-08-07T06:08:09.335586123Z"
SECONDS = 1786082889
SPENT = {
    "total_duration": 9,
    "load_duration": 1,
    "prompt_eval_count": 12,
    "prompt_eval_duration": 3,
    "eval_count": 7,
    "eval_duration": 5,
}
ARGUMENTS: dict[str, Any] = {"city": "Köln", "days": [1, 2.5, None]}


def line(message: dict[str, Any] | None = None, **fields: Any) -> bytes:
    """One line of the chat form; with `message` None one of the generate form."""
    said = {} if message is None else {"message": {"role": "assistant", "content": ""} | message}
    return json.dumps({"model": "m", "created_at": WHEN, **said, "done": False, **fields}).encode() + b"\n"


def calls(*told: tuple[str, dict[str, Any]], ids: bool = True) -> list[dict[str, Any]]:
    """Calls of (name, arguments), with ids `c0`, `c1`, ... or, as before 2026, without."""
    found = []
    for number, (name, arguments) in enumerate(told):
        function = {"index": number, "name": name, "arguments": arguments}
        found.append(({"id": f"c{number}"} if ids else {}) | {"function": function})
    return found


LAST = {"done": True, "done_reason": "stop", **SPENT}
#: A stream with everything: thought, text, two calls in lines of their own, counts.
STREAM = b"".join(
    (
        line({"thinking": "Hm"}),
        line({"thinking": "m."}),
        line({"content": "It\u2028"}),
        line({"content": " rains\n."}),
        line({"tool_calls": calls(("weather", ARGUMENTS))}),
        line({"tool_calls": calls(("weather", {}), ids=False)}),
        line({}, **LAST),
    )
)
GENERATED = b"".join(
    (
        line(thinking="Hm.", response=""),
        line(response="It "),
        line(response="rains."),
        line(response="", context=[1, 2], **LAST),
    )
)
WHOLE = line({"content": "It rains.", "thinking": "Hm.", "tool_calls": calls(("weather", ARGUMENTS))}, **LAST)
USAGE = Usage(input=12, output=7, basis="reported")
RECORDED: list[Recording] = recordings("ollama.chat") + recordings("ollama.generate")

REPLY = Reply(
    dialect="openai_chat",
    id="x",
    model="gpt",
    choices=(
        Choice(
            (Thinking("Hm."), Text("It rains."), ToolCall("c0", "weather", '{"city":"Ulm"}'), ToolCall("c1", "now", "{}")),
            "tool_calls",
            "tool_calls",
        ),
    ),
    usage=Usage(input=3, cache_read=1, output=5, reasoning=2, basis="reported"),
    created=SECONDS,
)


def ask(fields: dict[str, Any] | None = None, form: str = "") -> Ask:
    """A request that was read; an empty conversation where no fields are given."""
    named = Named(form) if form else NOT_NAMED
    return read_request(json.dumps({"model": "alias", **(fields or {})}).encode(), named)


def frame(form: str = "", created: int = 1_700_000_000) -> Frame:
    """What an answer is framed with."""
    return Frame(ask(form=form), "req", created)


def slices(body: bytes, cuts: list[int]) -> list[bytes]:
    """`body` cut at these places (taken modulo its length)."""
    at = sorted({cut % (len(body) + 1) for cut in cuts})
    return [body[start:end] for start, end in zip([0, *at], [*at, len(body)], strict=True)]


def events(pieces: list[bytes]) -> list[Event]:
    """What a reader makes of a stream."""
    reader = OllamaReader("seed")
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()
