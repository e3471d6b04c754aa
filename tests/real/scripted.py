"""A provider that answers programs: it thinks, calls a shell that the program really offers, and in the end says what it saw.

It speaks chat completions, responses, messages, generateContent and /api/chat, each as its own provider does, at one address.
How they write things is in `tongues` and `responses`; what is asked of the programs is in the tests.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from harness.script import END, STREAM_HEADERS, Close, Pause, Seen, Step, chunk, head, whole
from harness.upstream import Upstream
from real import tongues
from real.responses import Responses
from real.tongues import Asked, Call, Said, Tongue

TONGUES: dict[str, Tongue] = {**tongues.TONGUES, "openai_responses": Responses()}
"""By dialect."""
SHELLS = ("Bash", "run_shell_command", "bash", "exec_command", "functions__exec")
"""What Claude Code, Gemini CLI, opencode and Codex call the tool that runs a command; Codex has two, by the model's name."""
COMMANDS = ("printf 'trunkline-%o\\n' 34", "printf 'once-more-%x\\n' 119")
"""One for each round; Gemini CLI refuses `$()`. What they print stands in no request before the program ran them."""
PRINTED = ("trunkline-42", "once-more-77")
THOUGHTS = ('They want a number. 漢字, \U0001f600 and "quotes".', "And another one.")
TOKENS = 4242
"""What the providers that count say to a count."""
DIALECTS: dict[str, str] = {
    "responses": "openai_responses",
    "openai": "openai_chat",
    "deepseek": "openai_chat",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "ollama": "ollama",
}
"""Kind of provider -> how it speaks."""


class Scripted:
    """The provider. `seen` keeps every request; `spoil` makes the next turn of a program go wrong once."""

    def __init__(self) -> None:
        self._faults: deque[str] = deque()
        self.strange: list[str] = []
        """Targets of requests that no such provider knows."""
        self._upstream = Upstream()
        self._upstream.script(self._answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._upstream.stop()

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://{self._upstream.host}:{self._upstream.port}"

    @property
    def seen(self) -> list[Seen]:
        """Every request so far."""
        return list(self._upstream.requests)

    def clear(self) -> None:
        """Forget what was seen."""
        assert self._upstream.failures == []
        assert self._upstream.strays == []
        self._faults.clear()
        self.strange.clear()
        self._upstream.requests = []

    def spoil(self, *faults: str) -> None:
        """The next turns go wrong, one each: an HTTP status, or `cut` for a stream that ends in its middle."""
        self._faults.extend(faults)

    def turns(self) -> list[Asked]:
        """The requests that offered tools, in order: the turns of a program, without its titles, routers and counts."""
        asked = (_asked(seen) for seen in self.seen)
        return [one for one in asked if one is not None and one.tools]

    def counted(self) -> int:
        """How often tokens were to be counted."""
        return sum(1 for seen in self.seen if _counts(seen))

    def _answer(self, seen: Seen) -> Iterator[Step]:
        tongue = _tongue(seen)
        if tongue is not None and _counts(seen):
            yield whole(200, json.dumps(tongue.counted(TOKENS)).encode())
            return
        asked = _asked(seen)
        if tongue is None or asked is None:
            self.strange.append(seen.target)
            yield whole(404, b'{"error":{"message":"no such path","type":"not_found_error"}}')
            return
        fault = self._faults.popleft() if self._faults and asked.tools else ""
        if fault.isdigit():
            more = [("retry-after", "1")] if fault == "429" else []
            yield whole(int(fault), json.dumps(tongue.failed(int(fault))).encode(), headers=more)
        elif asked.streams:
            yield from _stream(tongue, asked, cut=fault == "cut")
        else:
            yield whole(200, json.dumps(tongue.whole(asked, _said(asked))).encode())


def _stream(tongue: Tongue, asked: Asked, *, cut: bool) -> Iterator[Step]:
    frames = list(tongue.frames(asked, _said(asked)))
    yield head(200, [("content-type", tongue.content_type), *STREAM_HEADERS[1:]])
    for frame in frames[: len(frames) // 2] if cut else frames:
        yield chunk(frame)
        yield Pause(0.001)  # or the kernel would join them
    yield Close() if cut else END


def _tongue(seen: Seen) -> Tongue | None:
    path = seen.target.partition("?")[0]
    return next((tongue for tongue in TONGUES.values() if tongue.serves(path)), None)


def _counts(seen: Seen) -> bool:
    return seen.target.partition("?")[0].endswith(("/count_tokens", ":countTokens", "/input_tokens"))


def _asked(seen: Seen) -> Asked | None:
    """What a request asks; None where it asks for no completion."""
    tongue = _tongue(seen)
    return None if tongue is None or _counts(seen) else tongue.asked(seen)


def _said(asked: Asked) -> Said:
    """The next answer in this conversation."""
    shell = next((name for name in SHELLS if name in asked.tools), None)
    done = len(asked.results)
    if shell is None or done >= len(COMMANDS):
        return Said(text=_text(asked), round=done)
    call = Call(shell, _arguments(asked.tools[shell], COMMANDS[done]))
    return Said(THOUGHTS[done], "I run it.", call, done)


def _text(asked: Asked) -> str:
    if asked.schema is not None:
        return json.dumps(instance(asked.schema))
    if not asked.results:
        return "A short title"
    return "It printed: " + " / ".join(asked.results)


def _arguments(schema: dict[str, Any], command: str) -> dict[str, Any]:
    known = schema.get("properties") or {}
    assert known.keys() & {"command", "cmd", "input"}, f"the shell's schema lost its properties: {schema}"
    script = f"const r = await tools.exec_command({{cmd: {json.dumps(command)}}}); text(r);"
    given = {"command": command, "description": "Print a number", "cmd": command, "input": script}
    return {name: value for name, value in given.items() if name in known}


def instance(schema: dict[str, Any]) -> Any:
    """A value that a JSON Schema allows, as small as can be; for the simple ones that programs send."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = str(schema.get("type", "object")).lower()
    if kind == "object":
        properties = schema.get("properties") or {}
        return {name: instance(properties[name]) for name in schema.get("required") or properties}
    return {"string": "short", "array": [], "boolean": True, "null": None}.get(kind, 1)


def conversation(turn: Asked) -> list[Any]:
    """The messages of a turn, as far as they mean anything: no cache marks, and a text alone is as good as a list of one.

    A provider binds its signatures and its cache to what came before; so must each turn begin as the last one did.
    """
    body = turn.body
    first = [body.get(name) for name in ("system", "systemInstruction", "tools")]
    return [_meaning(one) for one in [*first, *next(body[name] for name in ("messages", "contents", "input") if name in body)]]


def _meaning(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _meaning(inner) for name, inner in value.items() if name != "cache_control"}
    if isinstance(value, list):
        found = [_meaning(inner) for inner in value]
        return found[0]["text"] if len(found) == 1 and _is_text(found[0]) else found
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == "text" and value.keys() == {"type", "text"}
