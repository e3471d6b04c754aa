"""A request as Cohere takes it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.odd import each
from trunkline.canon.chat import Chat, Message, Other, OutputFormat, Reasoning, Sampling, Text, Tool, ToolChoice
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.cohere.write_chat import write_chat
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.table import DIALECTS

HI = (Message("user", (Text("Hi"),)),)
F, G = Tool("f", "does", {"type": "object", "required": ["a"]}), Tool("g")
THINKS = Facts(thinks="budget")


def sent(facts: Facts = NO_FACTS, *, strict: bool = False, **fields: Any) -> tuple[dict[str, Any], list[str], Outgoing]:
    """What is said beside model and messages, what was dropped, and the request."""
    loss = Loss(strict=strict)
    out = write_chat(Chat("openai_chat", "m", **{"messages": HI, **fields}), "command", facts, loss, ask_usage=True)
    assert out.path == "/chat"
    body = json.loads(out.body)
    assert (body.pop("model"), body.pop("messages")[-1]["content"]) == ("command", "Hi")
    assert body.pop("stream") is fields.get("stream", False)
    return body, list(loss.names), out


@pytest.mark.parametrize(
    ("fields", "body", "dropped"),
    [
        ({}, {}, []),
        ({"stream": True}, {}, []),
        ({"max_tokens": 9, "stop": ("x",)}, {"max_tokens": 9, "stop_sequences": ["x"]}, []),
        ({"stop": tuple("abcdef")}, {"stop_sequences": list("abcde")}, ["stop"]),
        ({"sampling": Sampling(0.5, 0.9, 40)}, {"temperature": 0.5, "p": 0.9, "k": 40}, []),
        ({"sampling": Sampling(top_p=1.0)}, {"p": 0.99}, ["top_p"]),
        ({"sampling": Sampling(top_p=0.0, top_k=900)}, {"p": 0.01, "k": 500}, ["top_p", "top_k"]),
        (
            {"sampling": Sampling(seed=7, frequency_penalty=0.2, presence_penalty=0.3)},
            {"seed": 7, "frequency_penalty": 0.2, "presence_penalty": 0.3},
            [],
        ),
        (
            {"sampling": Sampling(frequency_penalty=-1, presence_penalty=2)},
            {"frequency_penalty": 0.0, "presence_penalty": 1.0},
            ["frequency_penalty", "presence_penalty"],
        ),
        ({"sampling": Sampling(logprobs=True, top_logprobs=0)}, {"logprobs": True}, []),
        (
            {"sampling": Sampling(logprobs=True, top_logprobs=3, min_p=0.1, logit_bias={"5": 1})},
            {"logprobs": True},
            ["min_p", "logit_bias", "top_logprobs"],
        ),
        ({"choices": 1, "parallel_tools": True}, {}, []),
        ({"choices": 2, "parallel_tools": False}, {}, ["n", "parallel_tool_calls"]),
        ({"user": "u", "cache": "5m"}, {}, ["user", "cache_control"]),
        ({"vendor": {"store": True, "x": 1}, "hints": frozenset({"store"})}, {}, ["store", "x"]),
    ],
)
def test_parameters(fields: dict[str, Any], body: dict[str, Any], dropped: list[str]) -> None:
    """Under Cohere's names, within its bounds; what has no place is named."""
    assert sent(**fields)[:2] == (body, dropped)


def test_facts_of_the_model_hold() -> None:
    """What it refuses is not sent, and no more tokens are asked for than it gives."""
    body, dropped, _ = sent(Facts(refuses=frozenset({"seed"}), max_output=5), sampling=Sampling(seed=1), max_tokens=9)
    assert (body, dropped) == ({"max_tokens": 5}, ["max_tokens", "seed"])


def written(tool: Tool) -> dict[str, Any]:
    """A tool as it is sent."""
    told = {"description": tool.description} if tool.description else {}
    parameters = tool.parameters or {"type": "object", "properties": {}}
    return {"type": "function", "function": {"name": tool.name, **told, "parameters": parameters}}


@pytest.mark.parametrize(
    ("choice", "tools", "word"),
    [
        (None, [F, G], None),
        (ToolChoice("auto"), [F, G], None),
        (ToolChoice("none"), [F, G], "NONE"),
        (ToolChoice("required"), [F, G], "REQUIRED"),
        (ToolChoice("required", ("g",)), [G], "REQUIRED"),
        (ToolChoice("auto", ("f",)), [F], None),
    ],
)
def test_tools_and_the_choice_of_them(choice: ToolChoice | None, tools: list[Tool], word: str | None) -> None:
    """A choice of some is told by sending only these."""
    body, dropped, _ = sent(tools=(F, G), tool_choice=choice)
    expected: dict[str, Any] = {"tools": [written(tool) for tool in tools]}
    assert (body, dropped) == (expected | ({"tool_choice": word} if word else {}), [])


@pytest.mark.parametrize(
    ("mode", "tools", "dropped"), [("required", True, ["tool_choice"]), ("none", False, []), ("auto", True, [])]
)
def test_a_model_that_takes_no_choice(mode: Any, tools: bool, dropped: list[str]) -> None:
    """It is not told to call none: it has none to call."""
    body, named, _ = sent(Facts(refuses=frozenset({"tool_choice"})), tools=(F,), tool_choice=ToolChoice(mode))
    assert ("tools" in body, "tool_choice" in body, named) == (tools, False, dropped)


def test_a_model_that_cannot_be_forced() -> None:
    """It is told."""
    assert sent(Facts(forced_tools="never"), tools=(F,), tool_choice=ToolChoice("required"))[1] == ["tool_choice"]


def test_tools_that_cannot_be_sent() -> None:
    """Those of another provider's, marks on them, and all of them for a model without."""
    tools = (Tool("f", cache="5m", vendor={"x": 1}), Other("anthropic", {}))
    body, dropped, _ = sent(tools=tools)
    assert (len(body["tools"]), dropped) == (1, ["tools[0].x", "cache_control", "tools[1]"])
    assert sent(Facts(tools=False), tools=(F,))[:2] == ({}, ["tools"])


def test_names_are_made_to_fit_and_told() -> None:
    """The client sees its own names again."""
    body, _, out = sent(tools=(Tool("mcp-look.up"), F))
    name = body["tools"][0]["function"]["name"]
    assert out.names == {name: "mcp-look.up"}


@pytest.mark.parametrize(
    ("tools", "strict", "dropped"),
    [
        ((F,), None, []),
        ((Tool("f", "", F.parameters, True),), True, []),
        ((Tool("f", "", F.parameters, True), G), None, ["tools.strict"]),
        ((Tool("f", "", {"type": "object"}, True),), None, ["tools.strict"]),
        ((Tool("f", strict=True),), None, ["tools.strict"]),
        ((Tool("f", strict=False),), None, []),
    ],
)
def test_strict_tools(tools: tuple[Tool, ...], strict: bool | None, dropped: list[str]) -> None:
    """It is of all of them or of none, and an error for one that requires nothing."""
    body, named, _ = sent(tools=tools)
    assert (body.get("strict_tools"), named) == (strict, dropped)


SCHEMA = {"type": "object"}


@pytest.mark.parametrize(
    ("output", "facts", "tools", "told", "dropped"),
    [
        (OutputFormat("json"), Facts(), (), {"type": "json_object"}, []),
        (OutputFormat("schema", SCHEMA), Facts(), (), {"type": "json_object", "json_schema": SCHEMA}, []),
        (OutputFormat("schema"), Facts(), (), {"type": "json_object"}, []),
        (OutputFormat("schema", SCHEMA), Facts(schema=False), (), {"type": "json_object"}, ["response_format"]),
        (OutputFormat("json"), Facts(refuses=frozenset({"response_format"})), (), None, ["response_format"]),
        (OutputFormat("json"), Facts(), (F,), None, ["response_format"]),
    ],
)
def test_the_form_of_the_answer(
    output: OutputFormat, facts: Facts, tools: tuple[Tool, ...], told: Any, dropped: list[str]
) -> None:
    """JSON, by a schema where the model takes one; never beside tools."""
    body, named, _ = sent(facts, output=output, tools=tools)
    assert (body.get("response_format"), named) == (told, dropped)


@pytest.mark.parametrize(
    ("reasoning", "facts", "max_tokens", "told", "dropped"),
    [
        (None, THINKS, None, None, []),
        (Reasoning(), THINKS, None, {"type": "enabled"}, []),
        (Reasoning("adaptive"), THINKS, None, {"type": "enabled"}, []),
        (Reasoning(budget=500), THINKS, None, {"type": "enabled", "token_budget": 500}, []),
        (Reasoning(effort="low"), THINKS, None, {"type": "enabled", "token_budget": 2048}, ["reasoning_effort"]),
        (Reasoning(budget=5000), THINKS, 3000, {"type": "enabled", "token_budget": 1976}, []),
        (Reasoning(budget=5000), THINKS, 16, {"type": "enabled", "token_budget": 1}, []),
        (Reasoning("off"), THINKS, None, {"type": "disabled"}, []),
        (Reasoning("off"), Facts(thinks="budget", thinking_off=False), None, None, ["reasoning_effort"]),
        (Reasoning("off"), Facts(), None, None, []),
        (Reasoning(effort="high"), Facts(), None, None, ["reasoning_effort"]),
        (Reasoning(vendor={"pace": "slow"}), THINKS, None, {"type": "enabled"}, ["reasoning.pace"]),
    ],
)
def test_thinking(reasoning: Reasoning | None, facts: Facts, max_tokens: int | None, told: Any, dropped: list[str]) -> None:
    """In tokens, of which some are left for the answer."""
    body, named, _ = sent(facts, reasoning=reasoning, max_tokens=max_tokens)
    assert (body.get("thinking"), named) == (told, dropped)


def test_strictness_refuses_what_would_be_dropped() -> None:
    """The operator wants an error rather than another answer; hints are still left out."""
    with pytest.raises(GatewayError, match="'n'"):
        sent(strict=True, choices=2)
    assert sent(strict=True, user="u", sampling=Sampling(top_p=1.0))[1] == ["top_p", "user"]


def test_nothing_to_say_is_refused() -> None:
    """Cohere would say so less clearly."""
    with pytest.raises(GatewayError, match="empty"):
        write_chat(Chat("openai_chat", "m", ()), "command", Facts(), Loss(strict=False), ask_usage=False)


@given(st.text(max_size=20), st.integers(1, 9))
def test_the_same_history_gives_the_same_bytes(text: str, times: int) -> None:
    """A prompt cache lives on that."""
    chat = Chat("openai_chat", "m", HI * times + (Message("user", (Text(text),)),), tools=(F, G))
    first, second = (write_chat(chat, "c", THINKS, Loss(strict=False), ask_usage=False).body for _ in range(2))
    assert first == second


PICTURE = "data:image/png;base64,QQ=="
CALL = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": PICTURE}}]},
        {"role": "assistant", "reasoning_content": "r", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "x", "content": [{"type": "text", "text": "r"}]},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"required": ["a"]}, "strict": True}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    "reasoning_effort": "low", "max_tokens": 9, "stop": ["x"], "top_p": 0.5, "top_k": 5, "frequency_penalty": 1,
    "logprobs": True,
}  # fmt: skip


def test_anything_from_a_client_is_at_worst_its_own_mistake() -> None:
    """A body of a client's never ends in a 500."""
    client = DIALECTS["openai_chat"]
    for body in each(ASKED):
        try:
            chat = client.read_chat(client.read_request(body))
        except GatewayError:
            continue
        for facts in (NO_FACTS, THINKS, Facts(tools=False, schema=False, media=frozenset(), max_output=5)):
            try:
                write_chat(chat, "command", facts, Loss(strict=False), ask_usage=False)
            except GatewayError as error:
                if error.status != 400:
                    raise AssertionError(body) from error
            except Exception as error:
                raise AssertionError(body) from error


def test_a_choice_of_many_tools_takes_no_longer_than_their_number() -> None:
    """One client's request must not hold up all others: each tool was looked for among all that may be called."""
    tools = tuple(Tool(f"f{at}") for at in range(20_000))
    choice = ToolChoice("auto", tuple(tool.name for tool in reversed(tools)))
    began = time.process_time()
    body, _, _ = sent(tools=tools, tool_choice=choice)
    assert time.process_time() - began < 1.5
    assert len(body["tools"]) == len(tools)
