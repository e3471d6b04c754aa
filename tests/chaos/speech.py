"""How random clients speak the four dialects: a request, and what an answer told and how it ended. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Ending = Literal["clean", "broken", "cut"]
"""Clean: as its dialect ends a whole answer. Broken: as it ends one that went wrong. Cut: neither."""

NONCE = re.compile(rb"chaos:([^;]+);")
"""How a request's body carries its nonce, whatever dialect it is turned into."""


@dataclass(frozen=True)
class Told:
    """What was understood of an answer."""

    text: str
    ending: Ending


def question(dialect: str, model: str, nonce: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    """The path and the body."""
    text = f"chaos:{nonce};"
    if dialect == "gemini":
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/{model}:{method}", {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    if dialect == "openai_responses":
        return "/v1/responses", {"model": model, "input": text, "stream": stream, "store": False}
    messages = [{"role": "user", "content": text}]
    if dialect == "anthropic":
        return "/v1/messages", {"model": model, "max_tokens": 1000, "messages": messages, "stream": stream}
    return "/v1/chat/completions", {"model": model, "messages": messages, "stream": stream}


def whole(dialect: str, body: bytes) -> Told:
    """A whole answer. Raises where it is none."""
    found = json.loads(body)
    if dialect == "gemini":
        return Told("".join(part.get("text", "") for part in found["candidates"][0]["content"]["parts"]), "clean")
    if dialect == "openai_responses":
        items = [item for item in found["output"] if item["type"] == "message"]
        return Told("".join(part["text"] for item in items for part in item["content"]), "clean")
    if dialect == "anthropic":
        return Told("".join(block.get("text", "") for block in found["content"]), "clean")
    return Told(found["choices"][0]["message"]["content"], "clean")


def refusal(dialect: str, body: bytes) -> str:
    """What an error answer says; empty where it has not the shape that its SDK reads. Raises where it is far from it."""
    found = json.loads(body)
    error = found["error"]
    if dialect == "anthropic":
        good = found["type"] == "error" and error["type"]
    else:
        good = error["code"] and error["status"] if dialect == "gemini" else error["type"]
    return str(error["message"] or "") if good else ""


def stream(dialect: str, body: bytes) -> Told:
    """A stream, as far as it came; events that are no JSON are passed over."""
    texts, marks = [], []
    read = _EVENTS[dialect]
    for data in _events(body):
        if data == b"[DONE]":
            marks.append("clean")
            continue
        try:
            found = json.loads(data)
        except ValueError:
            continue
        text, mark = read(found)
        texts.append(text)
        if mark:
            marks.append(mark)
    if dialect != "gemini" and {"clean", "broken"} <= set(marks):  # which has no end mark: pieces may follow a finish reason
        raise ValueError("a stream ends both well and with an error")
    ending: Ending = "broken" if "broken" in marks else "clean" if marks else "cut"
    return Told("".join(texts), ending)


def _events(body: bytes) -> list[bytes]:
    found = []
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
        if data:
            found.append(b"\n".join(data))
    return found


def _chat(event: dict[str, Any]) -> tuple[str, str]:
    if event.get("error"):
        return "", "broken"
    return "".join((choice.get("delta") or {}).get("content") or "" for choice in event.get("choices") or []), ""


def _messages(event: dict[str, Any]) -> tuple[str, str]:
    mark = {"error": "broken", "message_stop": "clean"}.get(event.get("type", ""), "")
    return (event.get("delta") or {}).get("text", "") if event.get("type") == "content_block_delta" else "", mark


def _gemini(event: dict[str, Any]) -> tuple[str, str]:
    if "error" in event:
        return "", "broken"
    candidate = (event.get("candidates") or [{}])[0]
    parts = (candidate.get("content") or {}).get("parts") or []
    return "".join(part.get("text", "") for part in parts), "clean" if candidate.get("finishReason") else ""


def _responses(event: dict[str, Any]) -> tuple[str, str]:
    kind = event.get("type", "")
    mark = {"error": "broken", "response.failed": "broken", "response.completed": "clean"}.get(kind, "")
    return event.get("delta", "") if kind == "response.output_text.delta" else "", mark


_EVENTS: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    "openai_chat": _chat,
    "anthropic": _messages,
    "gemini": _gemini,
    "openai_responses": _responses,
}
DIALECTS = tuple(_EVENTS)
