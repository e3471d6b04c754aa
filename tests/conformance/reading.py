"""What must come of a provider's answer, read with the standard library and no code of ours.

The yardstick of `test_replay`: which bytes the client must get, and what the ledger must say. Where the gateway declares a
difference, it is stated here once more, in other words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

REPORTS_UNASKED = frozenset({"deepseek", "openrouter", "mistral", "groq", "perplexity"})
"""Kinds whose streams tell their usage without being asked; all others are asked by the gateway."""
_EVENT_ENDS = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)|(?<=\r\r)")


class Case(NamedTuple):
    """One exchange to replay: what the client asks, and what the provider answers."""

    id: str
    kind: str
    """The provider's row in the catalogue."""
    fields: dict[str, Any]
    """The client's request; `model` is the provider's name of the model."""
    body: bytes
    status: int = 200
    headers: dict[str, str] = {}  # noqa: RUF012 - a default of a named tuple, never written to

    @property
    def streams(self) -> bool:
        """The answer is an event stream."""
        return self.status == 200 and self.body.lstrip(b"\xef\xbb\xbf").startswith((b"data:", b":", b"event:"))

    @property
    def asked(self) -> bool:
        """The client itself asks for the usage of a stream."""
        return bool((self.fields.get("stream_options") or {}).get("include_usage"))

    @property
    def gateway_asks(self) -> bool:
        """The gateway asks for it."""
        return bool(self.fields.get("stream")) and self.kind not in REPORTS_UNASKED


class Expected(NamedTuple):
    """What the client must get and what the ledger must hold."""

    status: int
    body: bytes
    """Word for word; where `told` is not empty, what comes before the error that is told."""
    told: str
    """The message of an error that the gateway writes itself; empty where it writes none."""
    row: dict[str, Any]


def expected(case: Case) -> Expected:
    """The yardstick."""
    if case.status != 200:
        lies = case.status == 400 and b"Incorrect API key" in case.body and not _shaped(case.body)  # xAI
        return _refused(case, 401 if lies else case.status, _shaped(case.body), case.body)
    return _stream(case) if case.streams else _whole(case)


def _whole(case: Case) -> Expected:
    answer = _json(case.body)
    if not isinstance(answer, dict) or not (answer.get("choices") or answer.get("usage")):
        error = answer.get("error") if isinstance(answer, dict) else None
        return _refused(case, _named(error), shaped=False, body=case.body, protocol=not error)
    finish = [choice["finish_reason"] for choice in answer["choices"] if choice.get("finish_reason")]
    return Expected(200, case.body, "", _row("ok", 200, "", finish, [answer["usage"]] if answer.get("usage") else []))


def _stream(case: Case) -> Expected:
    events = [raw for raw in _EVENT_ENDS.split(case.body) if raw]
    read = [(event, data, _json(data)) for raw in events for event, data in [_parts(raw)] if data]
    errors = [_error(event, data, told) for event, data, told in read]
    if not read:
        return _refused(case, 502, shaped=False, body=b"", protocol=True)
    if errors[0]:
        return _refused(case, _named(errors[0]), shaped=False, body=read[0][1])
    chunks = [told for _, _, told in read if isinstance(told, dict)]
    choices = [choice for chunk in chunks for choice in _choices(chunk)]
    finish = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    usages = [usage for chunk in chunks if (usage := chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage"))]
    hides = case.gateway_asks and not case.asked
    body = b"".join(raw for raw in events if not (hides and _only_usage(raw)))
    failed = next(filter(None, errors), None)
    if failed:
        return Expected(200, body, "", _row("upstream_error", 200, _kind(_named(failed)), finish, usages, begun=True))
    if not finish and not any(data.startswith(b"[DONE]") for _, data, _ in read):
        whole = body if re.search(rb"(\n\n|\r\n\r\n|\r\r)\Z", body) else body.removesuffix(events[-1])
        row = _row("upstream_broken", 200, "upstream_broken", finish, usages, begun=True)
        return Expected(200, whole, "ended its answer", row)
    return Expected(200, body, "", _row("ok", 200, "", finish, usages, begun=True))


def _refused(case: Case, status: int, shaped: bool, body: bytes, *, protocol: bool = False) -> Expected:
    """An error answer: the provider's own bytes where they are of OpenAI's shape, else its words in that shape."""
    row = _row("upstream_error", status, "upstream_protocol" if protocol else _kind(status), [], [])
    return Expected(status, body if shaped else b"", "" if shaped else "The provider" if protocol else _words(body), row)


def _row(
    outcome: str, status: int, error: str, finish: list[str], usages: list[dict[str, Any]], *, begun: bool = False
) -> dict[str, Any]:
    usable = [usage for usage in usages if "prompt_tokens" in usage]
    row = {"outcome": outcome, "status": status, "error": error, "finish": finish[-1] if finish else ""}
    if not usable:
        return {**row, "basis": "estimated" if begun else "none", "raw_usage": None}
    usage = usable[-1]
    prompt, inside = usage["prompt_tokens"], usage.get("prompt_tokens_details") or {}
    outside = usage.get("completion_tokens_details") or {}
    output = usage.get("total_tokens", prompt + usage["completion_tokens"]) - prompt
    cached = inside.get("cached_tokens", usage.get("prompt_cache_hit_tokens", usage.get("cached_tokens"))) or 0
    return {
        **row,
        "basis": "reported",
        "raw_usage": usage,
        "input_tokens": prompt,
        "cache_read_tokens": min(prompt, cached),  # Azure's Grok read more from its cache than it was sent
        "cache_write_5m_tokens": inside.get("cache_write_tokens") or 0,
        "output_tokens": output,
        "reasoning_tokens": outside.get("reasoning_tokens") or output - usage["completion_tokens"],
    }


def _parts(raw: bytes) -> tuple[bytes, bytes]:
    """The name and the data of an event."""
    lines = re.split(rb"\r\n|\r|\n", raw.removeprefix(b"\xef\xbb\xbf"))
    fields = [line.split(b":", 1) for line in lines if b":" in line]
    name = next((value.strip() for field, value in fields if field == b"event"), b"")
    return name, b"\n".join(value.removeprefix(b" ") for field, value in fields if field == b"data")


def _choices(chunk: dict[str, Any]) -> Iterator[dict[str, Any]]:
    choices = chunk.get("choices")
    yield from choices if isinstance(choices, list) else ()


def _only_usage(raw: bytes) -> bool:
    told = _json(_parts(raw)[1])
    return isinstance(told, dict) and told.get("choices") == [] and told.get("usage") is not None and not told.get("error")


def _error(event: bytes, data: bytes, told: object) -> object:
    """What an event says went wrong; None where it says nothing of the kind."""
    error = told.get("error") if isinstance(told, dict) else None
    return error or (data.decode() if event == b"error" else None)


def _named(error: object) -> int:
    """The status an error inside a 200 is answered with: the 4xx it names, else 502."""
    named = [error.get("status_code"), error.get("code")] if isinstance(error, dict) else []
    return next((code for code in named if isinstance(code, int) and 400 <= code < 500), 502)


def _kind(status: int) -> str:
    return "upstream_failed" if status in {408, 409, 429} or status >= 500 else "upstream_refused"


def _shaped(body: bytes) -> bool:
    told = _json(body)
    error = told.get("error") if isinstance(told, dict) else None
    return isinstance(error, dict) and isinstance(error.get("message"), str)


def _words(body: bytes) -> str:
    """The longest sentence in an error, else its longest word: what a person would take for its message."""
    found: list[str] = []

    def gather(value: object) -> None:
        if isinstance(value, str):
            found.append(value)
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            gather(inner)

    told = _json(body)
    gather(body.decode() if told is None else told)
    return max(found, key=lambda text: (" " in text, len(text)))


def _json(data: bytes) -> Any:
    """The value, or None where it is no JSON."""
    try:
        return json.loads(data)
    except ValueError:
        return None
