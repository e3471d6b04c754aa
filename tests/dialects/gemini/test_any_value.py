"""Requests and answers like real ones, with any JSON value in any place: nothing but a `GatewayError` ever comes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.gemini.samples import COUNTS, FOREIGN, chunk
from trunkline.canon.chat import Chat, Message, Reply, Text, Tool
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.canon.stream import Fail
from trunkline.dialects.dialect import Frame, Named
from trunkline.dialects.gemini.dialect import Gemini
from trunkline.dialects.gemini.reader import GeminiReader
from trunkline.dialects.table import DIALECTS
from trunkline.dialects.translate import Translation

GEMINI = Gemini()
SCHEMA = {
    "type": "OBJECT",
    "properties": {"at": {"type": "STRING", "nullable": True, "enum": ["a"], "anyOf": [{"type": "STRING"}]}},
    "propertyOrdering": ["at"],
    "minProperties": "1",
    "$ref": "#/defs/a",
}
REQUEST: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "Hi"},
                {
                    "inlineData": {"mimeType": "image/png", "data": "YQ==", "displayName": "a"},
                    "mediaResolution": {"level": "x"},
                },
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "t", "thought": True, "thoughtSignature": FOREIGN},
                {"text": "a", "thoughtSignature": "c2ln"},
                {"functionCall": {"id": "1", "name": "look", "args": {"at": [1, "b"]}}, "thoughtSignature": "c2ln"},
                {"executableCode": {"language": "PYTHON", "code": "1"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "1",
                        "name": "look",
                        "response": {"output": "b"},
                        "parts": [{"inlineData": {"mimeType": "image/png", "data": "YQ=="}}],
                    }
                }
            ],
        },
    ],
    "tools": [{"functionDeclarations": [{"name": "look", "description": "d", "parameters": SCHEMA}]}, {"googleSearch": {}}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}},
    "generationConfig": {
        "responseMimeType": "application/json",
        "responseSchema": SCHEMA,
        "responseFormat": [{"text": {"mimeType": "application/json", "schema": {}}}],
        "responseModalities": ["TEXT"],
        "thinkingConfig": {"thinkingBudget": 5, "includeThoughts": True},
        "maxOutputTokens": "5",
        "stopSequences": ["x"],
        "candidateCount": 1,
        "temperature": 0.5,
        "topK": 1,
        "responseLogprobs": True,
        "logprobs": 1,
    },
    "safetySettings": [{"category": "x"}],
}
VIDEO = {"fileData": {"mimeType": "video/mp4", "fileUri": "https://a.test/b"}, "videoMetadata": {"fps": 1}}
REQUESTS = [
    REQUEST,
    {
        "cachedContent": "cachedContents/x",
        "contents": [{"parts": [VIDEO, {"executableCode": {"language": "PYTHON", "code": "1"}}]}],
        "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}},
    },
]
GROUNDED = {
    "groundingMetadata": {
        "groundingChunks": [{"web": {"uri": "https://a.test", "title": "A"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 0, "endIndex": 2, "partIndex": 0, "text": "He"}, "groundingChunkIndices": [0]}
        ],
    },
    "citationMetadata": {"citations": [{"uri": "https://a.test", "startIndex": 0, "endIndex": 1}]},
    "logprobsResult": {
        "chosenCandidates": [{"token": "He", "logProbability": -0.1}],
        "topCandidates": [{"candidates": [{"token": "He", "logProbability": -0.1}]}],
    },
}
PIECE = {"functionCall": {"name": "look", "partialArgs": [{"jsonPath": "$.a[0].b", "stringValue": "x"}], "willContinue": True}}
DETAILS = {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}], "cachedContentTokenCount": 1}
ANSWERS: list[dict[str, Any]] = [
    chunk({"text": "t", "thought": True}, createTime="2026-01-01T00:00:00Z"),
    chunk({"text": "Hello", "thoughtSignature": "c2ln"}, usage=COUNTS, **GROUNDED),
    chunk(PIECE, {"functionCall": {"partialArgs": [{"jsonPath": "$.a[0].b", "stringValue": "y"}]}}),
    chunk({"functionCall": {"name": "look", "args": {"at": "a"}}, "thoughtSignature": "c2ln"}),
    chunk({"inlineData": {"mimeType": "image/png", "data": "YQ=="}}, {"codeExecutionResult": {"outcome": "OK"}}),
    chunk({"text": "", "thoughtSignature": "c2ln"}, finish="STOP", usage={**COUNTS, **DETAILS}, finishMessage="x"),
    {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": COUNTS},
    {"error": {"code": 400, "message": "No.", "status": "X", "details": [{"@type": "a/RetryInfo", "retryDelay": "1s"}]}},
]
VALUES = ["", "a", 5, -1, 0, 1.5, 10**30, 1e999, True, False, None, [], {}, [[]], [None], [{}], {"a": {}}, "\ud800", "1" * 30]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from places(one, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at `path`, where there still is such a place."""
    if not path:
        return new
    key, *rest = path
    if isinstance(value, dict) and key in value:
        return {**value, key: changed(value[key], tuple(rest), new)}
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return [changed(one, tuple(rest), new) if at == key else one for at, one in enumerate(value)]
    return value


def encoded(told: Any) -> bytes:
    """As JSON, with half a surrogate pair and a number beyond all numbers as they may be written in it."""
    return json.dumps(told).replace("Infinity", "1e999").encode()


FACTS = (
    Facts(thinks="budget", forced_tools="not_thinking", media=frozenset({"image"}), max_output=3),
    Facts(thinks="level", signatures=True, efforts=("low", "high"), schema=False, refuses=frozenset({"top_k"})),
    Facts(thinks="effort", tools=False, system_midway=True),
)


def is_refused(status: int, do: Callable[..., Any], *args: Any, **named: Any) -> bool:
    """Whether this is an error, which then has this status."""
    try:
        do(*args, **named)
    except GatewayError as error:
        found = error.status
    else:
        return False
    assert found == status
    return True


def ask(body: bytes, form: str = "") -> None:
    """Read a request, and write it for a provider of each dialect."""
    chats: list[Chat] = []
    is_refused(400, lambda: chats.append(GEMINI.read_chat(GEMINI.read_request(body, Named(form, "m")))))
    for chat in chats:
        for dialect in DIALECTS.values():
            for facts in FACTS:
                is_refused(400, dialect.write_chat, chat, "m", facts, Loss(strict=False), ask_usage=True)


ASK = GEMINI.read_request(b'{"contents": []}', Named("sse", "m"))
FRAME = Frame(ASK, "r", 1)


def answer(*pieces: bytes) -> None:
    """Read an answer in every way, and write it for a client of each dialect."""
    replies: list[Reply] = []
    for one in pieces:
        for read in (GEMINI.read_reply, lambda one: replies.append(GEMINI.read_answer(one, "s"))):
            with suppress(GatewayError):
                read(one)
        assert GEMINI.read_error(400, "application/json", one).status >= 400
    body = b"".join(b"data: %b\r\n\r\n" % one for one in pieces)
    for dialect in DIALECTS.values():
        for reply in replies:
            is_refused(502, dialect.write_answer, reply, FRAME)
        through = Translation("gemini", GeminiReader("s"), dialect.writer(FRAME), {})
        through.feed(body)
        through.close()
        assert through.usage.input >= 0
    tap = GEMINI.tap(ASK, hide_usage=False)
    assert tap.feed(body) + tap.close() == body
    assert tap.usage.input >= 0


ASKED, TOLD = list(places(REQUESTS)), list(places(ANSWERS))


def test_the_request_itself_is_taken_by_every_dialect() -> None:
    """Else nothing would be tried here."""
    chat = GEMINI.read_chat(GEMINI.read_request(encoded(REQUEST), Named("", "m")))
    for name, dialect in DIALECTS.items():
        if name == "openai_completions":  # takes no conversation at all
            continue
        assert dialect.write_chat(chat, "m", FACTS[0], Loss(strict=False), ask_usage=True).body


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_request_with_any_value_in_one_place_is_read_or_refused(value: Any) -> None:
    """A client's mistake is its own, told with 400, and never an error of the gateway's."""
    for path in ASKED:
        ask(encoded(changed(REQUESTS, path, value)[path[0]]))
    ask(encoded({"generateContentRequest": changed(REQUEST, ("tools",), value)}), "count")


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_an_answer_with_any_value_in_one_place_is_read_or_an_error(value: Any) -> None:
    """What a provider sends is its own: it must not break a stream from inside."""
    for path in TOLD:
        answer(encoded(changed(ANSWERS, path, value)[path[0]]))


@given(st.lists(st.tuples(st.sampled_from(ASKED), st.sampled_from(VALUES)), min_size=2, max_size=6))
def test_a_request_with_any_values_is_read_or_refused(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    """Mistakes come together."""
    told: Any = REQUESTS
    for path, value in changes:
        told = changed(told, path, value)
    for one in told:
        ask(encoded(one))


@given(st.lists(st.tuples(st.sampled_from(TOLD), st.sampled_from(VALUES)), min_size=2, max_size=6))
def test_an_answer_with_any_values_is_read_or_an_error(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    """The same of a whole stream."""
    told: Any = ANSWERS[:6]
    for path, value in changes:
        told = changed(told, path, value)
    answer(*map(encoded, told))


@pytest.mark.parametrize("depth", [100, 300, 480, 900, 1500, 5000])
def test_what_is_nested_deeply_is_read_or_refused(depth: int) -> None:
    """A stack that overflows is an error of the gateway's."""
    deep = b'{"items":' * depth + b"{}" + b"}" * depth
    inside = b'{"role":"model","parts":[{"functionCall":{"name":"f","args":%b}}]}'
    bodies = [
        b'{"contents":[],"tools":[{"functionDeclarations":[{"name":"f","parameters":%b}]}]}',
        b'{"contents":[%b]}' % inside,
        b'{"contents":[{"parts":[{"functionResponse":{"name":"f","response":%b}}]}]}',
        b'{"contents":["a"],"labels":%b}',
    ]
    for body in bodies:
        ask(body % deep)
    answer(b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":%b}}]},"index":0}]}' % deep)
    answer(b'{"candidates":[],"usageMetadata":{"promptTokenCount":1,"x":%b}}' % deep)


def test_arguments_told_by_a_path_without_end_are_a_failure() -> None:
    """A short text can name a place that no JSON could be written for."""
    piece = {"jsonPath": "$" + ".a" * 5000, "stringValue": "x"}
    call = {"name": "f", "partialArgs": [piece], "willContinue": True}
    told = [chunk({"functionCall": call}), chunk({"text": "a"}, finish="STOP")]
    found = GEMINI.reader("s").feed(b"".join(b"data: %b\r\n\r\n" % encoded(one) for one in told))
    assert isinstance(found[-1], Fail)
    answer(*map(encoded, told))


def test_a_request_that_is_nested_too_deeply_is_refused() -> None:
    """Whoever read it."""
    parameters: dict[str, Any] = {}
    for _ in range(5000):
        parameters = {"properties": parameters}
    chat = Chat("anthropic", "m", (Message("user", (Text("a"),)),), tools=(Tool("f", "", parameters),))
    assert is_refused(400, GEMINI.write_chat, chat, "m", FACTS[0], Loss(strict=False), ask_usage=True)
