"""A request written whole; round trips through canon."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.recordings import Recording, parameters, recordings
from dialects.gemini.samples import ask
from trunkline.canon.chat import Chat, Message, Text, Tool
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.gemini.read_chat import read_chat
from trunkline.dialects.gemini.schema import json_schema
from trunkline.dialects.gemini.write_chat import write_chat
from trunkline.dialects.gemini.write_parts import fitting
from trunkline.dialects.google_shape.fields import camel

HI = (Message("user", (Text("Hi"),)),)


def test_a_request_is_written() -> None:
    """Path, body and the names that the answer is to be read with."""
    chat = Chat("openai_chat", "alias", HI, stream=True, tools=(Tool("a b"),), max_tokens=5)
    sent = write_chat(chat, "gemini-y", NO_FACTS, Loss(strict=True), ask_usage=True)
    assert sent.path == "/models/gemini-y:streamGenerateContent?alt=sse"
    assert json.loads(sent.body) == {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "tools": [{"functionDeclarations": [{"name": fitting("a b")}]}],
        "generationConfig": {"maxOutputTokens": 5},
    }
    assert sent.names == {fitting("a b"): "a b"}
    whole = write_chat(Chat("openai_chat", "alias", HI), "gemini-y", NO_FACTS, Loss(strict=True), ask_usage=False)
    assert (whole.path, whole.names) == ("/models/gemini-y:generateContent", {})


def test_what_others_say_beside_it_is_told() -> None:
    """Hints are noted; what shapes the answer is a loss, and an error where losses are."""
    chat = Chat(
        "openai_chat",
        "m",
        HI,
        user="u",
        cache="5m",
        vendor={"store": True, "modalities": ["audio"]},
        hints=frozenset({"store"}),
    )
    loss = Loss(strict=False)
    sent = write_chat(chat, "m", NO_FACTS, loss, ask_usage=False)
    assert json.loads(sent.body) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    assert list(loss.names) == ["store", "modalities", "user", "cache_control"]
    with pytest.raises(GatewayError, match="modalities"):
        write_chat(chat, "m", NO_FACTS, Loss(strict=True), ask_usage=False)


def test_geminis_own_fields_go_back_to_their_places() -> None:
    """Beside the request, or within the configuration that they were taken from."""
    vendor = {
        "cachedContent": "cachedContents/1",
        "generationConfig.mediaResolution": "LOW",
        "toolConfig.functionCallingConfig.streamFunctionCallArguments": True,
        "odd.name": 1,
    }
    sent = write_chat(Chat("gemini", "m", HI, max_tokens=5, vendor=vendor), "m", NO_FACTS, Loss(strict=True), ask_usage=False)
    assert json.loads(sent.body) == {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"maxOutputTokens": 5, "mediaResolution": "LOW"},
        "cachedContent": "cachedContents/1",
        "toolConfig": {"functionCallingConfig": {"streamFunctionCallArguments": True}},
        "odd.name": 1,
    }


def canonical(value: Any, *, names: bool = True) -> Any:
    """A request as it means: one spelling, no defaults, one kind of schema."""
    if isinstance(value, list):
        return [canonical(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {camel(name) if names else name: one for name, one in value.items()}
    for old, new in (("parameters", "parametersJsonSchema"), ("responseSchema", "responseJsonSchema")):
        if old in found:
            found[new] = found.pop(old)
    kept = {}
    for name, one in found.items():
        if name.endswith("JsonSchema"):
            kept[name] = json_schema(one)
        elif name == "mode":
            kept[name] = one.upper()
        elif name == "systemInstruction":
            kept[name] = {"parts": canonical(one["parts"])}
        elif one not in ({}, "") or name in {"args", "text", "googleSearch", "codeExecution"}:
            kept[name] = one if name in {"args", "response"} else canonical(one, names=name != "modelArmorConfig")
    if kept.get("responseModalities") == ["TEXT"]:
        del kept["responseModalities"]
    return {name: one for name, one in kept.items() if one != {} or name in {"args", "googleSearch", "codeExecution"}}


REQUESTS = [
    one for group in ("gemini.generate_content", "gemini.stream_generate_content") for one in recordings(group) if one.request
]


@pytest.mark.parametrize("recording", parameters(REQUESTS))
def test_recorded_requests_mean_the_same_after_canon(recording: Recording) -> None:
    """Reading and writing the same dialect returns what came in, signatures and order and all."""
    loss = Loss(strict=True)
    sent = write_chat(read_chat(ask(recording.request)), "m", NO_FACTS, loss, ask_usage=False)
    assert canonical(json.loads(sent.body)) == canonical(recording.request)
    assert not loss.names


NAMES = st.sampled_from(["look", "see_it", "f.g:h-1"])
SIGNATURE = st.fixed_dictionaries({}, optional={"thoughtSignature": st.sampled_from(["c2ln", "c2lnMg=="])})
DATA = st.fixed_dictionaries(
    {"mimeType": st.sampled_from(["image/png", "application/pdf", "audio/wav", "text/plain"]), "data": st.just("YWJj")}
)
TEXT = st.builds(lambda text, more: {"text": text, **more}, st.text(max_size=5), SIGNATURE)
THOUGHT = st.builds(lambda text, more: {"text": text, "thought": True, **more}, st.text(max_size=5), SIGNATURE)
MEDIA = st.builds(lambda data: {"inlineData": data}, DATA) | st.just(
    {"fileData": {"fileUri": "files/x", "mimeType": "video/mp4"}}
)
JSON = st.recursive(
    st.integers(-9, 9) | st.text(max_size=3) | st.none(), lambda inner: st.lists(inner, max_size=2), max_leaves=3
)
OBJECT = st.dictionaries(st.text(max_size=3), JSON, max_size=2)
RESPONSE = (
    OBJECT | st.fixed_dictionaries({"output": st.text(max_size=3)}) | st.fixed_dictionaries({"error": st.text(max_size=3)})
)
CODE = st.sampled_from([{"executableCode": {"code": "1"}}, {"toolCall": {"id": "s"}, "thoughtSignature": "c2ln"}])


@st.composite
def turns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A turn: the user's words, perhaps calls with their results, and the model's answer."""
    found: list[dict[str, Any]] = [{"role": "user", "parts": draw(st.lists(TEXT | MEDIA, min_size=1, max_size=2))}]
    names = draw(st.lists(NAMES, max_size=3))
    if names:
        told = [{"id": f"i{draw(st.integers(0, 999))}_{at}"} if draw(st.booleans()) else {} for at in range(len(names))]
        calls = [
            {"functionCall": {"name": name, "args": draw(OBJECT), **more}, **draw(SIGNATURE)}
            for name, more in zip(names, told, strict=True)
        ]
        results: list[dict[str, Any]] = [
            {"functionResponse": {"name": name, "response": draw(RESPONSE), **more}}
            for name, more in zip(names, told, strict=True)
        ]
        if draw(st.booleans()):
            results[0]["functionResponse"]["parts"] = [{"inlineData": draw(DATA)}]
        found.append({"role": "model", "parts": [*draw(st.lists(TEXT | THOUGHT, max_size=2)), *calls]})
        found.append({"role": "user", "parts": [*results, *draw(st.lists(MEDIA, max_size=1))]})
    found.append({"role": "model", "parts": draw(st.lists(TEXT | THOUGHT | CODE, min_size=1, max_size=3))})
    return found


def joined(content: dict[str, Any]) -> dict[str, Any]:
    """The pieces of a text of the model's as one, as they are read; an empty one says nothing."""
    parts: list[dict[str, Any]] = []
    for part in content["parts"]:
        last = parts[-1] if parts else {}
        if content["role"] == "model" and part == {"text": ""} and parts:
            continue
        if content["role"] == "model" and "text" in part and last.keys() == part.keys() and "thoughtSignature" not in part:
            parts[-1] = {**part, "text": last["text"] + part["text"]}
        else:
            parts.append(part)
    return {**content, "parts": parts}


CONFIG = st.fixed_dictionaries(
    {},
    optional={
        "maxOutputTokens": st.integers(1, 9),
        "temperature": st.floats(0, 2),
        "topK": st.integers(1, 9),
        "stopSequences": st.lists(st.text(min_size=1, max_size=2), min_size=1, max_size=5),
        "thinkingConfig": st.sampled_from(
            [{"thinkingBudget": 0}, {"thinkingBudget": -1, "includeThoughts": True}, {"thinkingLevel": "HIGH"}]
        ),
        "responseMimeType": st.just("application/json"),
        "mediaResolution": st.just("MEDIA_RESOLUTION_LOW"),
        "candidateCount": st.integers(2, 3),
    },
)


@given(st.lists(turns(), min_size=1, max_size=3), CONFIG, st.booleans())
def test_any_conversation_survives_canon(found: list[list[dict[str, Any]]], config: dict[str, Any], system: bool) -> None:
    """A client of Gemini's whose pictures we fetch must be understood as if we were not there."""
    told: dict[str, Any] = {"contents": [content for turn in found for content in turn]}
    told |= {"generationConfig": config} if config else {}
    told |= {"systemInstruction": {"parts": [{"text": "Be kind."}]}} if system else {}
    loss = Loss(strict=True)
    sent = write_chat(read_chat(ask(told)), "m", NO_FACTS, loss, ask_usage=False)
    assert json.loads(sent.body) == {**told, "contents": list(map(joined, told["contents"]))}
    assert not loss.names
    assert write_chat(read_chat(ask(told)), "m", Facts(), Loss(strict=True), ask_usage=False) == sent
