"""A request for a provider."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.recordings import Recording, parameters
from dialects.ollama import samples
from dialects.ollama.samples import PNG, ask, calls
from trunkline.canon.chat import (
    Chat,
    Media,
    Message,
    Other,
    OutputFormat,
    Reasoning,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.ollama.read_chat import read_chat
from trunkline.dialects.ollama.write_chat import write_chat

HI = (Message("user", (Text("hi"),)),)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
TOOL = Tool("f", "d", SCHEMA)
SWITCH = Facts(thinks="switch")


def write(facts: Facts = NO_FACTS, dialect: str = "openai_chat", **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """The body, and what is lost."""
    loss = Loss(strict=False)
    out = write_chat(Chat(dialect, "alias", HI, **fields), "m", facts, loss, ask_usage=True)
    assert (out.path, out.head, dict(out.names)) == ("/api/chat", b"", {})
    return json.loads(out.body), list(loss.names)


def beside(facts: Facts = NO_FACTS, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """The same without what every body has."""
    body, lost = write(facts, **fields)
    assert body.pop("model") == "m"
    assert body.pop("messages") == [{"role": "user", "content": "hi"}]
    assert body.pop("stream") is fields.get("stream", False)
    assert body.pop("truncate") is False
    return body, lost


def test_a_plain_request() -> None:
    """`stream` is always said, as its absence means a stream; a prompt too long for its context is an error, not cut."""
    assert write() == ({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": False, "truncate": False}, [])
    assert write(stream=True)[0]["stream"] is True


def test_parameters_are_options() -> None:
    """A parameter beside `options` is ignored by Ollama without a word."""
    sampling = Sampling(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        min_p=0.1,
        seed=7,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        logprobs=True,
        top_logprobs=2,
    )
    body, lost = beside(sampling=sampling, max_tokens=99, stop=("a", "b"))
    assert body == {
        "options": {
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 40,
            "min_p": 0.1,
            "seed": 7,
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
            "stop": ["a", "b"],
            "num_predict": 99,
        },
        "logprobs": True,
        "top_logprobs": 2,
    }
    assert lost == []


def test_what_the_model_refuses_is_dropped() -> None:
    """By its facts, and named."""
    facts = Facts(
        refuses=frozenset({"seed", "stop", "max_tokens", "logprobs", "top_k"}), exclusive=(frozenset({"temperature", "top_p"}),)
    )
    body, lost = beside(facts, sampling=Sampling(temperature=1, top_p=0.5, seed=1, logprobs=True), stop=("a",), max_tokens=5)
    assert (body, lost) == ({"options": {"temperature": 1}}, ["seed", "logprobs", "stop", "max_tokens", "top_p"])


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({"choices": 2}, ["n"]),
        ({"choices": 1}, []),
        ({"sampling": Sampling(logit_bias={"5": 1})}, ["logit_bias"]),
        ({"sampling": Sampling(logit_bias={})}, []),
        ({"parallel_tools": False}, ["parallel_tool_calls"]),
        ({"parallel_tools": True}, []),
        ({"user": "u"}, ["user"]),
        ({"cache": "5m"}, ["cache_control"]),
        ({"vendor": {"store": True, "prediction": {}}, "hints": frozenset({"store"})}, ["store", "prediction"]),
        ({"tool_choice": ToolChoice("auto", vendor={"x": 1})}, ["tool_choice.x"]),
    ],
)
def test_what_has_no_field_is_told(fields: dict[str, Any], lost: list[str]) -> None:
    """Every loss has a name."""
    assert beside(**fields) == ({}, lost)


def test_a_strict_model_refuses_what_would_be_dropped() -> None:
    """And takes what would only be noted."""
    write_chat(Chat("openai_chat", "a", HI, user="u"), "m", NO_FACTS, Loss(strict=True), ask_usage=True)
    with pytest.raises(GatewayError) as raised:
        write_chat(Chat("openai_chat", "a", HI, choices=2), "m", NO_FACTS, Loss(strict=True), ask_usage=True)
    assert raised.value.param == "n"


WRITTEN = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}
BARE = {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize(
    ("fields", "facts", "tools", "lost"),
    [
        ({"tools": (TOOL, Tool("g"))}, NO_FACTS, [WRITTEN, BARE], []),
        ({"tools": (TOOL,), "tool_choice": ToolChoice("auto")}, NO_FACTS, [WRITTEN], []),
        ({"tools": (TOOL,), "tool_choice": ToolChoice("none")}, NO_FACTS, None, []),
        ({"tools": (TOOL,), "tool_choice": ToolChoice("required")}, NO_FACTS, [WRITTEN], ["tool_choice"]),
        ({"tools": (TOOL,), "tool_choice": ToolChoice("auto", ("f",))}, NO_FACTS, [WRITTEN], ["tool_choice"]),
        ({"tools": (TOOL,)}, Facts(tools=False), None, ["tools"]),
        ({"tools": (Other("anthropic", {"type": "web_search"}), TOOL)}, NO_FACTS, [WRITTEN], ["tools[0]"]),
        (
            {"tools": (Tool("f", "d", SCHEMA, strict=True, cache="5m", vendor={"x": 1}),)},
            NO_FACTS,
            [WRITTEN],
            ["tools[0].x", "cache_control", "tools[0].strict"],
        ),
    ],
)
def test_tools(fields: dict[str, Any], facts: Facts, tools: list[Any] | None, lost: list[str]) -> None:
    """`none` is said by sending no tools; a forced tool cannot be said at all."""
    assert beside(facts, **fields) == ({"tools": tools} if tools else {}, lost)


@pytest.mark.parametrize(
    ("output", "facts", "told", "lost"),
    [
        (OutputFormat("json"), NO_FACTS, "json", []),
        (OutputFormat("schema", schema=SCHEMA, name="n", strict=True), NO_FACTS, SCHEMA, []),
        (OutputFormat("schema", schema={}), NO_FACTS, "json", []),
        (OutputFormat("schema", schema=SCHEMA), Facts(schema=False), "json", ["response_format"]),
    ],
)
def test_format(output: OutputFormat, facts: Facts, told: Any, lost: list[str]) -> None:
    """A schema stands bare, without name and wrapping."""
    assert beside(facts, output=output) == ({"format": told}, lost)


EFFORT = ["reasoning_effort"]


@pytest.mark.parametrize(
    ("reasoning", "facts", "think", "lost"),
    [
        (None, SWITCH, None, []),
        (Reasoning("off"), SWITCH, False, []),
        (Reasoning("on"), SWITCH, True, []),
        (Reasoning("adaptive"), SWITCH, True, []),
        (Reasoning("on", effort="low"), SWITCH, "low", []),
        (Reasoning("on", effort="max"), SWITCH, "max", []),
        (Reasoning("on", effort="minimal"), SWITCH, "low", EFFORT),
        (Reasoning("on", effort="xhigh"), SWITCH, "high", EFFORT),
        (Reasoning("on", effort="max"), Facts(thinks="switch", efforts=("low", "medium", "high")), "high", EFFORT),
        (Reasoning("on", effort="high"), Facts(thinks="switch", efforts=("none",)), "high", []),
        (Reasoning("on", budget=1024), SWITCH, True, EFFORT),
        (Reasoning("on", budget=8000), Facts(thinks="switch", efforts=("low", "medium", "high")), "medium", EFFORT),
        (Reasoning("off"), Facts(thinks="switch", thinking_off=False), None, EFFORT),
        (Reasoning("off"), NO_FACTS, None, []),
        (Reasoning("on", effort="high"), NO_FACTS, None, EFFORT),
        (Reasoning("on", vendor={"summary": "auto"}), SWITCH, True, ["reasoning.summary"]),
    ],
)
def test_think(reasoning: Reasoning | None, facts: Facts, think: Any, lost: list[str]) -> None:
    """A model that does not think answers 400 to `think: true`, so it is sent only where the facts know better."""
    assert beside(facts, reasoning=reasoning) == ({} if think is None else {"think": think}, lost)


REQUESTS: list[dict[str, Any]] = [
    {"messages": []},
    {"messages": [{"role": "user", "content": "hi", "images": [PNG]}], "stream": False},
    {
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": "I look.", "thinking": "Hm.", "tool_calls": calls(("f", {"a": 1.5}), ("g", {}))},
            {"role": "tool", "content": "rain", "tool_name": "f", "tool_call_id": "c0"},
            {"role": "tool", "content": "sun", "tool_name": "g", "tool_call_id": "c1"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "later": 1}}],
        "format": SCHEMA,
        "options": {"temperature": 0.1, "num_predict": -1, "repeat_penalty": 1.2, "num_ctx": 4096, "stop": ["x"]},
        "think": True,
        "keep_alive": -1,
        "logprobs": True,
        "later": {"x": 1},
        "stream": True,
    },
]


def again(fields: dict[str, Any], form: str = "") -> tuple[Chat, dict[str, Any]]:
    """What an Ollama client asks, and what goes to an Ollama server through canon."""
    loss = Loss(strict=True)
    chat = read_chat(ask(fields, form))
    body = json.loads(write_chat(chat, "alias", SWITCH, loss, ask_usage=False).body)
    assert list(loss.names) == []
    return chat, body


@pytest.mark.parametrize("fields", REQUESTS)
def test_its_own_request_comes_back(fields: dict[str, Any]) -> None:
    """Read and written in one dialect, nothing is lost, known or not, but for the number of a call, which is its place."""
    told = json.loads(json.dumps({"model": "alias", "stream": True, **fields}))
    for message in told["messages"]:
        for call in message.get("tool_calls", ()):
            del call["function"]["index"]
    chat, body = again(fields)
    assert body == told
    assert read_chat(ask(body)) == chat


def test_the_generate_form_becomes_a_chat() -> None:
    """Its question is asked the same way; what only it can say is a loss."""
    chat, body = again({"prompt": "hi", "system": "be kind", "stream": False}, "generate")
    assert [message["content"] for message in body["messages"]] == ["be kind", "hi"]
    assert read_chat(ask(body)).messages == chat.messages
    _, body = again({"prompt": "hi", "keep_alive": 0}, "generate")
    assert body["keep_alive"] == 0
    raw = read_chat(ask({"prompt": "hi", "raw": True}, "generate"))
    with pytest.raises(GatewayError, match="only /api/generate takes it"):
        write_chat(raw, "m", NO_FACTS, Loss(strict=False), ask_usage=False)


NOTHING_SAID = [
    (),
    (Message("user", ()),),
    (Message("system", (Text("s"),)), Message("user", (Text(" \n"),))),
    (Message("system", (Text(" "),)),),
]


@pytest.mark.parametrize("messages", NOTHING_SAID)
def test_a_conversation_without_a_word_is_refused(messages: tuple[Message, ...]) -> None:
    """To Ollama it is the request to load the model, and its answer would be empty; its own clients mean just that."""
    with pytest.raises(GatewayError, match="The conversation is empty") as raised:
        write_chat(Chat("anthropic", "m", messages), "m", NO_FACTS, Loss(strict=False), ask_usage=False)
    assert (raised.value.status, raised.value.param) == (400, "messages")
    write_chat(Chat("ollama", "m", messages), "m", NO_FACTS, Loss(strict=False), ask_usage=False)


@pytest.mark.parametrize(
    "message",
    [
        Message("system", (Text("s"),)),
        Message("assistant", (ToolCall("i", "f", "{}"),)),
        Message("tool", (ToolResult("i", "f", ()),)),
        Message("user", (Media("image", data=PNG),)),
    ],
)
def test_a_word_of_anybody_is_a_conversation(message: Message) -> None:
    """An empty result or a picture alone is asked about, and so are instructions alone."""
    out = write_chat(Chat("anthropic", "m", (message,)), "m", NO_FACTS, Loss(strict=False), ask_usage=False)
    assert json.loads(out.body)["messages"]


ASKED = [recording for recording in samples.RECORDED if recording.request]


@pytest.mark.parametrize("recording", parameters(ASKED))
def test_recorded_requests_come_back(recording: Recording) -> None:
    """Real requests reach the server with the same meaning."""
    form = "generate" if "prompt" in recording.request else ""
    _, body = again(recording.request, form)
    told = {name: value for name, value in recording.request.items() if value not in (None, "", [], {}) and name != "model"}
    if form:
        told = {"stream": told["stream"], "messages": [{"role": "user", "content": told["prompt"]}]}
    assert {name: value for name, value in body.items() if name != "model"} == told


@given(st.text(), st.integers(0, 5))
def test_the_same_history_is_the_same_bytes(text: str, more: int) -> None:
    """Prompt caches hold only if what was sent before is sent again letter for letter."""
    messages = [
        {"role": "user", "content": text},
        {"role": "assistant", "content": "", "tool_calls": calls(("f", {text: 1}), ids=False)},
    ]
    later = [{"role": "tool", "content": text}, {"role": "user", "content": text}] * more
    _, short = again({"messages": messages})
    _, long = again({"messages": messages + later})
    assert long["messages"][:2] == short["messages"]
