"""Hand-written pieces of Gemini's answers. The shapes are those of recorded traffic, the words are not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from trunkline.canon.chat import Seal
from trunkline.canon.stream import Event
from trunkline.dialects.dialect import Ask, Frame, Named
from trunkline.dialects.gemini.reader import GeminiReader
from trunkline.dialects.gemini.request import read_request
from trunkline.dialects.state import wrap

Json = dict[str, Any]
FOREIGN = wrap(Seal("anthropic", "EqQBCkYIBxgC"))
"""A signature of another family's, as a client of Gemini's carries it."""
COUNTS = {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 17, "thoughtsTokenCount": 5}


NAMES = """
candidates content parts text thought thoughtSignature functionCall name args willContinue partialArgs index finishReason
inlineData groundingMetadata groundingChunks groundingSupports segment promptFeedback blockReason usageMetadata
promptTokenCount logprobsResult chosenCandidates error functionResponse createTime
"""
SCRAP = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=4),
    max_leaves=12,
)
"""Any JSON, with Gemini's names in it."""


def candidate(*parts: Json, index: int = 0, **more: Any) -> Json:
    """A candidate with these parts; none is no content."""
    content = {"content": {"parts": list(parts), "role": "model"}} if parts else {}
    return {**content, "index": index, **more}


def chunk(*parts: Json, finish: str = "", usage: Json | None = None, index: int = 0, **more: Any) -> Json:
    """A piece of an answer with one candidate; `more` stands in the candidate."""
    ended = {"finishReason": finish} if finish else {}
    told = {"candidates": [candidate(*parts, index=index, **ended, **more)], "modelVersion": "gemini-x", "responseId": "r1"}
    return {**told, **({"usageMetadata": usage} if usage else {})}


def sse(*chunks: Json, end: str = "\r\n\r\n") -> bytes:
    """Events, framed as Google frames them."""
    return "".join(f"data: {json.dumps(one)}{end}" for one in chunks).encode()


def array(*chunks: Json) -> bytes:
    """A JSON array, written as Google writes it."""
    return ("[" + "\n,\r\n".join(json.dumps(one, indent=2) for one in chunks) + "\n]").encode()


TEXTS = (
    chunk({"text": "I think", "thought": True}),
    chunk({"text": "Hel"}, usage={"promptTokenCount": 8}),
    chunk({"text": "lo"}),
    chunk({"text": "", "thoughtSignature": "c2ln"}, finish="STOP", usage=COUNTS),
)
CALLS = (
    chunk({"functionCall": {"name": "look", "args": {"at": "a"}}, "thoughtSignature": "c2ln"}),
    chunk({"functionCall": {"name": "look", "args": {"at": "b"}, "id": "x1"}}, finish="STOP", usage=COUNTS),
)
BLOCKED = ({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}, "modelVersion": "gemini-x"},)
ERROR = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}


def slices(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    """`body` cut at these places (taken modulo its length)."""
    at = sorted({cut % (len(body) + 1) for cut in cuts})
    return [body[start:end] for start, end in zip([0, *at], [*at, len(body)], strict=True)]


def events(pieces: Iterable[bytes]) -> list[Event]:
    """What a reader makes of them."""
    reader = GeminiReader("seed")
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


def ask(body: Json | None = None, form: str = "", model: str = "gemini-x") -> Ask:
    """A client's request."""
    told = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]} if body is None else body
    return read_request(json.dumps(told).encode(), Named(form, model))


def frame(form: str = "") -> Frame:
    """What a writer needs."""
    return Frame(ask(form=form), "req-1", 1_700_000_000)
