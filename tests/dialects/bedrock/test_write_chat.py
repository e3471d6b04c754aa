"""Whole requests for a provider's model."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from botocore.model import ServiceModel
from botocore.session import Session
from botocore.validate import validate_parameters
from hypothesis import given
from hypothesis import strategies as st

from dialects.bedrock.samples import HELLO, assistant, chat, user, written
from trunkline.canon.chat import (
    Chat,
    Message,
    OutputFormat,
    Reasoning,
    Sampling,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.bedrock.write_chat import write_chat
from trunkline.providers.models import facts as facts_of

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
CLOSED = {
    "properties": {"a": {"type": "integer", "description": "{minimum: 1}"}},
    "type": "object",
    "additionalProperties": False,
}


def test_the_least_that_is_sent() -> None:
    """Nothing is made up: no bound, no sampling, no empty list."""
    loss = Loss(strict=True)
    out = write_chat(chat(), "amazon.nova-pro-v1:0", NO_FACTS, loss, ask_usage=True)
    assert (out.path, out.head, out.names) == ("/model/amazon.nova-pro-v1%3A0/converse", b"", {})
    assert json.loads(out.body) == {"messages": HELLO}
    assert write_chat(chat(stream=True), "m", NO_FACTS, loss, ask_usage=True).path == "/model/m/converse-stream"


def test_settings() -> None:
    """Each where Converse has it."""
    asked = chat(
        max_tokens=100,
        stop=("a", " ", "b"),
        sampling=Sampling(temperature=1.5, top_p=0.5, top_k=5, seed=1, min_p=0.1),
        user="u",
    )
    lost = ("seed", "top_k", "temperature", "stop", "user")
    body = written(asked, lost=("min_p", *lost))
    assert body["inferenceConfig"] == {"maxTokens": 100, "temperature": 1.0, "topP": 0.5, "stopSequences": ["a", "b"]}
    body = written(chat(sampling=Sampling(top_k=5)), Facts(takes=frozenset({"top_k"})))
    assert body["additionalModelRequestFields"] == {"top_k": 5}


def test_what_asks_for_nothing_is_no_loss() -> None:
    """Clients send defaults all the time."""
    nothing = Sampling(min_p=0, frequency_penalty=0, presence_penalty=0, logit_bias={}, logprobs=False, top_logprobs=0)
    assert written(chat(sampling=nothing, choices=1)) == {"messages": HELLO}


def test_losses() -> None:
    """Each by OpenAI's name."""
    asked = chat(
        choices=2,
        sampling=Sampling(frequency_penalty=1, logprobs=True),
        vendor={"store": True, "a": 1},
        hints=frozenset({"store"}),
    )
    assert written(asked, lost=("frequency_penalty", "logprobs", "n", "store", "a")) == {"messages": HELLO}
    facts = Facts(refuses=frozenset({"stop", "temperature"}), exclusive=(frozenset({"temperature", "top_p"}),), max_output=50)
    asked = chat(stop=("a",), sampling=Sampling(temperature=0.1), max_tokens=100)
    assert written(asked, facts, ("max_tokens", "temperature", "stop"))["inferenceConfig"] == {"maxTokens": 50}


def test_what_is_needed_is_refused() -> None:
    """A prompt that another provider keeps is another question."""
    asked = chat(vendor={"cachedContent": "x"}, needed=frozenset({"cachedContent"}), dialect="gemini")
    with pytest.raises(GatewayError) as caught:
        written(asked)
    assert caught.value.param == "cachedContent"


@pytest.mark.parametrize(
    ("output", "facts", "config", "said", "lost"),
    [
        (
            OutputFormat("schema", SCHEMA, "answer", "An answer."),
            NO_FACTS,
            {"schema": json.dumps(CLOSED, separators=(",", ":")), "name": "answer", "description": "An answer."},
            "",
            (),
        ),
        (OutputFormat("schema", SCHEMA), Facts(schema=False), None, "must fit this JSON Schema", ("response_format",)),
        (OutputFormat("schema"), NO_FACTS, None, "JSON object only", ("response_format",)),
        (OutputFormat("json"), NO_FACTS, None, "JSON object only", ("response_format",)),
    ],
)
def test_the_answers_form(output: OutputFormat, facts: Facts, config: Any, said: str, lost: tuple[str, ...]) -> None:
    """Promised where the model can, asked for in words where not."""
    body = written(chat(output=output), facts, lost)
    if config is None:
        assert "outputConfig" not in body
        assert said in body["system"][0]["text"]
    else:
        told = body["outputConfig"]["textFormat"]
        assert told["type"] == "json_schema"
        schema = told["structure"]["jsonSchema"]
        assert json.loads(schema.pop("schema")) == json.loads(config.pop("schema"))
        assert schema == config


def test_an_empty_conversation_is_refused() -> None:
    """Bedrock would say so in its own words, after the way there."""
    with pytest.raises(GatewayError, match="conversation is empty"):
        write_chat(chat(user(" ")), "m", NO_FACTS, Loss(strict=False), ask_usage=True)


def test_marks_are_limited_over_the_whole_prompt() -> None:
    """Tools, instructions and messages share four."""
    facts = Facts(caches=frozenset({"tools", "system", "messages"}))
    marked = [user(Text(str(at), cache="5m")) for at in range(3)]
    asked = chat(user(Text("s", cache="5m"), role="system"), *marked, tools=(Tool("a", cache="5m"),))
    body = written(asked, facts, ("cache_control",))
    assert len(body["toolConfig"]["tools"]) == 1
    assert json.dumps(body).count("cachePoint") == 4


MODELS = (
    "us.anthropic.claude-opus-5-5", "anthropic.claude-3-haiku-20240307-v1:0", "us.amazon.nova-2-lite-v1:0",
    "openai.gpt-oss-120b-1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "x",
)  # fmt: skip
TEXTS = st.sampled_from(["Hi", "", " ", "\n", "漢字"])
PARTS: Any = st.one_of(
    st.builds(Text, TEXTS, cache=st.sampled_from(["", "5m", "1h"])),
    st.builds(
        ToolCall, st.sampled_from(["a", "b|c", "x" * 99]), st.sampled_from(["look", "a.b"]), st.sampled_from(["{}", "no"])
    ),
    st.builds(Thinking, TEXTS, st.sampled_from([None, Seal("bedrock", "c2ln"), Seal("anthropic", "x")])),
)
RESULTS = st.builds(
    ToolResult, st.sampled_from(["a", "b|c"]), st.just(""), st.lists(st.builds(Text, TEXTS)).map(tuple), st.booleans()
)
MESSAGES = st.one_of(
    st.builds(Message, st.sampled_from(["user", "assistant"]), st.lists(PARTS, max_size=3).map(tuple)),
    st.builds(Message, st.sampled_from(["system", "developer"]), st.lists(st.builds(Text, TEXTS), max_size=2).map(tuple)),
    st.builds(Message, st.just("tool"), st.lists(RESULTS, min_size=1, max_size=2).map(tuple)),
)
CHATS = st.builds(
    Chat,
    st.just("openai_chat"),
    st.just("m"),
    st.lists(MESSAGES, max_size=5).map(tuple),
    tools=st.sampled_from([(), (Tool("look", "Looks."), Tool("a.b", strict=True, cache="1h"))]),
    tool_choice=st.sampled_from([None, ToolChoice("none"), ToolChoice("required"), ToolChoice("required", ("a.b",))]),
    max_tokens=st.sampled_from([None, 5, 9000]),
    stop=st.sampled_from([(), ("a", "")]),
    sampling=st.builds(Sampling, st.sampled_from([None, 0.0, 1.9]), st.sampled_from([None, 0.5])),
    output=st.sampled_from([None, OutputFormat("json"), OutputFormat("schema", SCHEMA)]),
    reasoning=st.sampled_from([None, Reasoning("off"), Reasoning("on", "high"), Reasoning("on", budget=2000)]),
    cache=st.sampled_from(["", "1h"]),
)
MODEL = ServiceModel(
    Session().get_component("data_loader").load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime"
)
SHAPE = MODEL.operation_model("Converse").input_shape


@given(CHATS, st.sampled_from(MODELS))
def test_whatever_is_asked_is_valid_to_aws(asked: Chat, model: str) -> None:
    """By the service's own description: names, lengths, required fields; and the same chat gives the same bytes."""
    facts = facts_of("bedrock", model)
    try:
        out = write_chat(asked, model, facts, Loss(strict=False), ask_usage=True)
    except GatewayError as error:
        refused = error.status
    else:
        refused = 0
    if refused:
        assert refused == 400
        return
    body = json.loads(out.body)
    validate_parameters({"modelId": model, **body}, SHAPE)
    assert out == write_chat(asked, model, facts, Loss(strict=False), ask_usage=True)
    roles = [message["role"] for message in body["messages"]]
    assert all(one != two for one, two in itertools.pairwise(roles))
    blocks = [block for message in body["messages"] for block in message["content"]]
    assert all(len(block) == 1 for block in blocks)
    assert all(block["text"].strip() for block in blocks if "text" in block)
    assert json.dumps(body).count("cachePoint") <= 4


def test_a_history_that_grows_keeps_its_beginning() -> None:
    """Caches and signatures hold only for the very same bytes."""
    turns = [user("A"), assistant("B"), user("again", role="system"), user("C"), assistant("D"), user("E")]
    facts = facts_of("bedrock", "us.anthropic.claude-opus-5-5")
    whole = written(chat(*turns), facts)["messages"]
    for cut in (1, 4):
        assert whole[: len(written(chat(*turns[:cut]), facts)["messages"])] == written(chat(*turns[:cut]), facts)["messages"]
