"""A client's request into canon."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.ollama.samples import ask
from trunkline.canon.chat import Chat, Message, OutputFormat, Reasoning, Sampling, Text, Tool
from trunkline.canon.errors import GatewayError
from trunkline.canon.loss import Loss
from trunkline.dialects.dialect import Ask
from trunkline.dialects.foreign import own_fields
from trunkline.dialects.ollama.read_chat import read_chat

HI = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def read(form: str = "", **fields: Any) -> Chat:
    """The chat of a request of these fields."""
    return read_chat(ask(fields, form))


def test_a_request_is_read() -> None:
    """Everything Ollama has a field for."""
    chat = read(
        messages=HI,
        stream=False,
        tools=[
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
                "items": 1,
            }
        ],
        format=SCHEMA,
        options={
            "temperature": 1,
            "top_p": 0.5,
            "top_k": 40,
            "min_p": 0.1,
            "seed": 7,
            "frequency_penalty": 0.2,
            "presence_penalty": 0.3,
            "num_predict": 99,
            "stop": ["a", "b"],
            "repeat_penalty": 1.1,
            "num_ctx": 8192,
        },
        think="high",
        keep_alive="5m",
        logprobs=True,
        top_logprobs=3,
        truncate=False,
        later=[1],
    )
    vendor = {"keep_alive": "5m", "truncate": False, "later": [1], "options.repeat_penalty": 1.1, "options.num_ctx": 8192}
    assert chat == Chat(
        dialect="ollama",
        model="alias",
        messages=(Message("user", (Text("hi"),)),),
        tools=(Tool("f", "d", SCHEMA, vendor={"items": 1, "function.strict": True}),),
        max_tokens=99,
        stop=("a", "b"),
        sampling=Sampling(
            temperature=1,
            top_p=0.5,
            top_k=40,
            min_p=0.1,
            seed=7,
            frequency_penalty=0.2,
            presence_penalty=0.3,
            logprobs=True,
            top_logprobs=3,
        ),
        output=OutputFormat("schema", schema=SCHEMA),
        reasoning=Reasoning("on", effort="high", show=True),
        vendor=vendor,
        hints=frozenset({"keep_alive", "truncate", "options.num_ctx"}),
    )


def test_only_what_shapes_the_answer_is_a_loss_elsewhere() -> None:
    """A strict model must refuse Mirostat and take a `keep_alive`."""
    chat = read("generate", prompt="a", keep_alive=0, options={"num_gpu": 1, "mirostat": 2})
    with pytest.raises(GatewayError):
        own_fields(chat, "anthropic", Loss(strict=True))
    loss = Loss(strict=False)
    own_fields(chat, "anthropic", loss)
    assert list(loss.names) == ["keep_alive", "options.num_gpu", "options.mirostat"]
    assert chat.vendor.keys() - chat.hints == {"options.mirostat"}


@pytest.mark.parametrize(("name", "value"), [("suffix", "b"), ("context", [1]), ("raw", True), ("template", "{{ .Prompt }}")])
def test_what_makes_it_another_question_is_refused_elsewhere(name: str, value: object) -> None:
    """A completion in the middle without its end, or the next turn without the first, would be answered wrongly."""
    chat = read("generate", prompt="a", **{name: value})
    assert chat.needed == {name}
    with pytest.raises(GatewayError) as raised:
        own_fields(chat, "anthropic", Loss(strict=False))
    assert raised.value.param == name


def test_what_the_python_client_sends_empty_says_nothing() -> None:
    """Its releases of 2024 send every field; a strict model must not refuse them all."""
    chat = read(
        "generate",
        prompt="a",
        system="",
        template="",
        context=[],
        raw=False,
        suffix="",
        images=[],
        format="",
        options={},
        keep_alive=None,
    )
    assert chat == msgspec.structs.replace(read("generate", prompt="a"))
    assert (dict(chat.vendor), chat.output) == ({}, None)


@pytest.mark.parametrize(
    ("think", "reasoning"),
    [
        (None, None),
        (True, Reasoning("on", show=True)),
        (False, Reasoning("off")),
        ("low", Reasoning("on", effort="low", show=True)),
        ("max", Reasoning("on", effort="max", show=True)),
    ],
)
def test_think(think: Any, reasoning: Reasoning | None) -> None:
    """A switch or a level."""
    assert read(messages=HI, think=think).reasoning == reasoning


@pytest.mark.parametrize(
    ("told", "output"),
    [
        (None, None),
        ("", None),
        ("json", OutputFormat("json")),
        (SCHEMA, OutputFormat("schema", schema=SCHEMA)),
        ({}, OutputFormat("schema", schema={})),
    ],
)
def test_format(told: Any, output: OutputFormat | None) -> None:
    """Nothing, any JSON, or a schema."""
    assert read(messages=HI, format=told).output == output


@pytest.mark.parametrize(
    ("limit", "tokens", "rest"),
    [(5, 5, {}), (5.0, 5, {}), (-1, None, {"options.num_predict": -1}), (0, None, {"options.num_predict": 0})],
)
def test_a_limit_of_no_tokens_is_none(limit: Any, tokens: int | None, rest: dict[str, Any]) -> None:
    """-1 means as many as there are; sent on as a number it would be a 400."""
    chat = read(messages=HI, options={"num_predict": limit})
    assert (chat.max_tokens, dict(chat.vendor), chat.hints) == (tokens, rest, frozenset(rest))


@pytest.mark.parametrize(("stop", "told"), [("a", ("a",)), (["a", "b"], ("a", "b")), (None, ()), ([], ())])
def test_stop(stop: Any, told: tuple[str, ...]) -> None:
    """One or several."""
    assert read(messages=HI, options={"stop": stop}).stop == told


def test_no_messages_load_the_model() -> None:
    """In both forms."""
    assert read(messages=[]).messages == read("generate", prompt="").messages == ()


@pytest.mark.parametrize("stream", [True, False])
def test_a_stream_is_asked_for(stream: bool) -> None:
    """As the client said."""
    assert read(messages=HI, stream=stream).stream is stream


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"format": "yaml"}, "format"),
        ({"format": 1}, "format"),
        ({"think": "much"}, "think"),
        ({"think": {}}, "think"),
        ({"think": 1}, "think"),
        ({"options": []}, "options"),
        ({"options": {"temperature": "hot"}}, "options.temperature"),
        ({"options": {"top_k": 1.5}}, "options.top_k"),
        ({"options": {"stop": 5}}, "options.stop"),
        ({"options": {"stop": ["a", 5]}}, "options.stop[1]"),
        ({"tools": {}}, "tools"),
        ({"tools": [1]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"function": {"description": "d"}}]}, "tools[0].function.name"),
        ({"tools": [{"function": {"name": "f", "parameters": []}}]}, "tools[0].function.parameters"),
        ({"logprobs": 1}, "logprobs"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], path: str) -> None:
    """The caller must know which field to mend."""
    with pytest.raises(GatewayError) as raised:
        read(messages=HI, **fields)
    assert (raised.value.status, raised.value.param) == (400, path)


def test_values_that_only_break_when_decoded_are_refused() -> None:
    """Half a surrogate pair passes one level deep."""
    fields = {"model": msgspec.Raw(b'"m"'), "messages": msgspec.Raw(rb'[{"role":"user","content":"\ud800"}]')}
    with pytest.raises(GatewayError) as raised:
        read_chat(Ask(fields=fields, model="m", stream=True, include_usage=True))
    assert raised.value.param == "messages"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["user", "tool", "assistant", "json"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["role", "content", "tool_calls", "function", "name", "arguments", "images", "stop"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(["messages", "prompt", "tools", "options", "format", "think", "images", "system", "other"])


@given(st.dictionaries(FIELDS, VALUES), st.sampled_from(["", "generate"]))
def test_any_json_is_read_or_refused(fields: dict[str, Any], form: str) -> None:
    """Nothing a client sends may be an error of ours."""
    with suppress(GatewayError):
        assert read(form, **fields).dialect == "ollama"
