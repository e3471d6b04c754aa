"""A request's parameters, written for providers of OpenAI's form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.asked import asked
from conformance.recordings import Recording, parameters
from dialects.openai_chat.telling import ask
from dialects.openai_chat.test_read_chat import ALL
from trunkline.canon.chat import Chat, Message, Other, OutputFormat, Reasoning, Sampling, Text, Tool, ToolCall, ToolChoice
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.openai_chat.read_chat import read_chat
from trunkline.dialects.openai_chat.write_chat import write_chat

SCHEMA = {"type": "object", "properties": {}}
TOOLS = (Tool("f"), Tool("g"))
HELLO = (Message("user", (Text("hi"),)),)


def sent(chat: Chat, facts: Facts, *, strict: bool = False, ask_usage: bool = False) -> tuple[Outgoing, list[str]]:
    """The request, and the names of what was lost."""
    loss = Loss(strict=strict)
    return write_chat(chat, "m", facts, loss, ask_usage=ask_usage), list(loss.names)


def written(facts: Facts | None = None, *, dialect: str = "anthropic", **asked: Any) -> tuple[dict[str, Any], list[str]]:
    """What is written of these fields of a request, and the names of what was lost."""
    outgoing, lost = sent(Chat(dialect, "asked", HELLO, **asked), facts or Facts())
    assert (outgoing.path, outgoing.head) == ("/chat/completions", b"")
    body: dict[str, Any] = json.loads(outgoing.body)
    assert (body.pop("model"), body.pop("messages")) == ("m", [{"role": "user", "content": "hi"}])
    return body, lost


FULL = Sampling(0.5, 0.9, 4, 0.1, 5, 1, -1, {"5": 1}, logprobs=True, top_logprobs=2)


def test_every_parameter_under_its_own_name() -> None:
    """And nothing that was not asked for."""
    assert written() == ({}, [])
    told, lost = written(
        Facts(takes=frozenset({"top_k", "min_p"})),
        max_tokens=10,
        stop=("a", "b"),
        choices=2,
        sampling=FULL,
        user="u",
        stream=True,
    )
    assert lost == []
    assert told == {
        "stream": True,
        "max_tokens": 10,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 4,
        "min_p": 0.1,
        "seed": 5,
        "frequency_penalty": 1,
        "presence_penalty": -1,
        "logit_bias": {"5": 1},
        "logprobs": True,
        "top_logprobs": 2,
        "n": 2,
        "stop": ["a", "b"],
        "user": "u",
    }


def test_what_the_model_does_not_take_is_dropped_by_name() -> None:
    """Under `strict` it is the error that the provider would give, in the caller's own words."""
    everything = frozenset(
        {
            "temperature",
            "top_p",
            "seed",
            "frequency_penalty",
            "presence_penalty",
            "logit_bias",
            "logprobs",
            "top_logprobs",
            "n",
            "stop",
        }
    )
    told, lost = written(Facts(refuses=everything), stop=("a",), choices=2, sampling=FULL)
    assert told == {}
    assert set(lost) == everything | {"top_k", "min_p"}
    with pytest.raises(GatewayError) as caught:
        sent(Chat("anthropic", "m", HELLO, sampling=Sampling(top_k=3)), Facts(), strict=True)
    assert caught.value.param == "top_k"
    assert written(dialect="openai_chat", sampling=Sampling(top_k=3)) == ({"top_k": 3}, [])


def test_of_parameters_that_exclude_each_other_the_first_stays() -> None:
    """Claude's rule for temperature and top_p."""
    facts = Facts(exclusive=(frozenset({"top_p", "temperature"}),))
    assert written(facts, sampling=Sampling(0.5, 0.9)) == ({"temperature": 0.5}, ["top_p"])
    assert written(facts, sampling=Sampling(top_p=0.9)) == ({"top_p": 0.9}, [])


@pytest.mark.parametrize(
    ("facts", "asked_for", "told", "lost"),
    [
        (Facts(), 10, {"max_tokens": 10}, []),
        (Facts(max_tokens_field="max_completion_tokens"), 10, {"max_completion_tokens": 10}, []),
        (Facts(max_output=5), 10, {"max_tokens": 5}, ["max_tokens"]),
        (Facts(max_output=5), 5, {"max_tokens": 5}, []),
        (Facts(max_output=5), None, {}, []),
    ],
)
def test_the_bound_of_an_answer(facts: Facts, asked_for: int | None, told: dict[str, Any], lost: list[str]) -> None:
    """Reasoning models refuse the old name; one above the model's is an error everywhere."""
    assert written(facts, max_tokens=asked_for) == (told, lost)


def test_tools() -> None:
    """With a schema always; other dialects' server tools are dropped by name; renamed ones are told."""
    tools = (
        Tool("f", "d", SCHEMA, strict=True, cache="5m"),
        Tool("a.b", vendor={"input_examples": []}),
        Other("anthropic", {"type": "web_search"}),
    )
    chat = Chat("anthropic", "m", HELLO, tools=tools, parallel_tools=False)
    outgoing, lost = sent(chat, Facts(cache_field="cache_control"))
    body = json.loads(outgoing.body)
    (renamed,) = outgoing.names
    assert outgoing.names == {renamed: "a.b"}
    assert body["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
            "cache_control": {"type": "ephemeral"},
        },
        {"type": "function", "function": {"name": renamed, "parameters": SCHEMA}},
    ]
    assert body["parallel_tool_calls"] is False
    assert lost == ["tools[1].input_examples", "tools[2]"]


def test_a_model_without_tools() -> None:
    """Neither they nor what is said of them."""
    facts = Facts(tools=False)
    assert written(facts, tools=TOOLS, tool_choice=ToolChoice("auto"), parallel_tools=True) == ({}, ["tools"])
    assert written(facts, tool_choice=ToolChoice("auto")) == ({}, [])


def named(name: str) -> dict[str, Any]:
    """The choice of one tool."""
    return {"type": "function", "function": {"name": name}}


@pytest.mark.parametrize(
    ("choice", "facts", "told", "kept", "lost"),
    [
        (None, Facts(), None, 2, []),
        (ToolChoice("auto"), Facts(), "auto", 2, []),
        (ToolChoice("none"), Facts(), "none", 2, []),
        (ToolChoice("required"), Facts(), "required", 2, []),
        (ToolChoice("required", ("f",)), Facts(), named("f"), 2, []),
        (ToolChoice("auto", ("f",)), Facts(), "auto", 1, []),
        (ToolChoice("required", ("f", "x")), Facts(), "required", 1, []),
        (ToolChoice("required"), Facts(forced_tools="never"), None, 2, ["tool_choice"]),
        (ToolChoice("auto"), Facts(forced_tools="never"), "auto", 2, []),
        (ToolChoice("required"), Facts(forced_tools="not_thinking"), "required", 2, []),
        (ToolChoice("auto", vendor={"x": 1}), Facts(), "auto", 2, ["tool_choice.x"]),
    ],
)
def test_which_tool(choice: ToolChoice | None, facts: Facts, told: Any, kept: int, lost: list[str]) -> None:
    """OpenAI alone has words for a choice of some; to others only those are sent."""
    body, names = written(facts, tools=TOOLS, tool_choice=choice)
    assert (body.get("tool_choice"), len(body["tools"]), names) == (told, kept, lost)


@pytest.mark.parametrize(
    ("facts", "reasoning", "kept"),
    [
        ({"thinks": "effort"}, Reasoning(effort="high"), False),
        ({"thinks": "effort"}, Reasoning("off"), True),
        ({"thinks": "effort"}, None, True),
        ({"thinks": "switch"}, Reasoning(), False),
        ({"thinks": "switch", "efforts": ("high",)}, Reasoning(effort="high"), False),
        ({"thinks": "switch"}, Reasoning("off"), True),
        ({"thinks": "effort", "reasoning_field": "reasoning_details"}, Reasoning(), False),
        ({"thinks": "effort", "reasoning_field": "reasoning_details"}, Reasoning(effort="high"), False),
        ({"thinks": "effort", "reasoning_field": "reasoning_details"}, Reasoning("off"), True),
        # what is asked for is not what is sent
        ({}, Reasoning(effort="high"), True),
        ({"thinks": "effort", "effort_with_tools": False}, Reasoning(effort="high"), True),
        ({"thinks": "effort", "thinking_off": False, "efforts": ("low", "high")}, Reasoning("off"), False),
    ],
)
def test_a_model_that_cannot_be_forced_while_it_thinks(facts: dict[str, Any], reasoning: Reasoning | None, kept: bool) -> None:
    """Named, for an agent that counts on the call; and one that does not think in the end must make it."""
    body, lost = written(
        Facts(forced_tools="not_thinking", **facts), tools=TOOLS, tool_choice=ToolChoice("required"), reasoning=reasoning
    )
    assert (body.get("tool_choice"), "tool_choice" in lost) == (("required", False) if kept else (None, True))


@pytest.mark.parametrize(
    ("output", "facts", "told"),
    [
        (OutputFormat("json"), Facts(), {"type": "json_object"}),
        (OutputFormat("json"), Facts(schema=False), {"type": "json_object"}),
        (OutputFormat("schema", SCHEMA), Facts(), {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}),
        (
            OutputFormat("schema", SCHEMA, "n", "d", strict=False),
            Facts(),
            {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "description": "d", "strict": False}},
        ),
        (OutputFormat("schema", SCHEMA), Facts(schema=False), None),
        (OutputFormat("json"), Facts(refuses=frozenset({"response_format"})), None),
    ],
)
def test_the_form_of_the_answer(output: OutputFormat, facts: Facts, told: dict[str, Any] | None) -> None:
    """Whole or, by name, not at all: a looser form in silence would break the client's parser."""
    assert written(facts, output=output) == (({"response_format": told}, []) if told else ({}, ["response_format"]))


EFFORT = Facts(thinks="effort", efforts=("low", "medium", "high"))
FIXED = Facts(thinks="effort", efforts=("low", "high"), thinking_off=False)
SWITCH = Facts(thinks="switch")
DEEPSEEK = Facts(thinks="switch", efforts=("low", "high", "max"))
ROUTER = Facts(thinks="budget", reasoning_field="reasoning_details")
CHANGED = ["reasoning_effort"]
ON, OFF = {"type": "enabled"}, {"type": "disabled"}


@pytest.mark.parametrize(
    ("asked_for", "facts", "told", "lost"),
    [
        (Reasoning(effort="high"), Facts(), {}, ["reasoning_effort"]),
        (Reasoning("off"), Facts(), {}, []),
        (Reasoning(effort="high"), EFFORT, {"reasoning_effort": "high"}, []),
        (Reasoning(effort="max"), EFFORT, {"reasoning_effort": "high"}, CHANGED),
        (Reasoning(effort="minimal"), EFFORT, {"reasoning_effort": "low"}, CHANGED),
        (Reasoning(budget=1024), EFFORT, {"reasoning_effort": "low"}, CHANGED),
        (Reasoning(budget=8192), EFFORT, {"reasoning_effort": "medium"}, CHANGED),
        (Reasoning(budget=31999), EFFORT, {"reasoning_effort": "high"}, CHANGED),
        (Reasoning(), EFFORT, {"reasoning_effort": "medium"}, []),
        (Reasoning("adaptive"), EFFORT, {"reasoning_effort": "medium"}, []),
        (Reasoning("adaptive"), FIXED, {"reasoning_effort": "low"}, []),
        (Reasoning(), Facts(thinks="effort"), {"reasoning_effort": "medium"}, []),
        (Reasoning(), Facts(thinks="effort", efforts=("default",)), {"reasoning_effort": "default"}, []),
        (Reasoning("off"), EFFORT, {"reasoning_effort": "none"}, []),
        (Reasoning("off"), FIXED, {"reasoning_effort": "low"}, ["reasoning_effort"]),
        (Reasoning("off"), Facts(thinks="effort", thinking_off=False), {}, ["reasoning_effort"]),
        (Reasoning(effort="high"), SWITCH, {"thinking": ON}, CHANGED),
        (Reasoning(budget=2000), SWITCH, {"thinking": ON}, CHANGED),
        (Reasoning(), SWITCH, {"thinking": ON}, []),
        (Reasoning("off"), SWITCH, {"thinking": OFF}, []),
        (Reasoning("off"), Facts(thinks="switch", thinking_off=False), {}, ["reasoning_effort"]),
        (Reasoning(effort="high"), DEEPSEEK, {"thinking": ON, "reasoning_effort": "high"}, []),
        (Reasoning(effort="medium"), DEEPSEEK, {"thinking": ON, "reasoning_effort": "low"}, CHANGED),
        (Reasoning(), DEEPSEEK, {"thinking": ON}, []),
        (Reasoning("off", effort="high"), DEEPSEEK, {"thinking": OFF}, []),
        (Reasoning(effort="high"), ROUTER, {"reasoning": {"effort": "high"}}, []),
        (
            Reasoning(effort="max"),
            Facts(thinks="effort", reasoning_field="reasoning_details", efforts=("low", "high")),
            {"reasoning": {"effort": "high"}},
            CHANGED,
        ),
        (Reasoning(budget=2000, show=False), ROUTER, {"reasoning": {"max_tokens": 2000, "exclude": True}}, []),
        (Reasoning(show=True), ROUTER, {"reasoning": {"enabled": True, "exclude": False}}, []),
        (Reasoning("off"), ROUTER, {"reasoning": {"enabled": False}}, []),
        (
            Reasoning("off"),
            Facts(thinks="level", reasoning_field="reasoning_details", thinking_off=False),
            {"reasoning": {"enabled": True}},
            ["reasoning_effort"],
        ),
        (Reasoning(effort="high", vendor={"display": 1}), EFFORT, {"reasoning_effort": "high"}, ["reasoning.display"]),
    ],
)
def test_how_much_to_think(asked_for: Reasoning, facts: Facts, told: dict[str, Any], lost: list[str]) -> None:
    """Budgets become efforts by the declared table, efforts the nearest the model takes, and neither in silence; who asks to
    think and not how much gets the usual measure, as the default of newer models is none. Each form in its own field.
    """
    assert written(facts, reasoning=asked_for) == (told, lost)


def test_effort_beside_tools() -> None:
    """GPT-5.4 and later refuse it in this API."""
    facts = Facts(thinks="effort", effort_with_tools=False)
    body, lost = written(facts, tools=TOOLS, reasoning=Reasoning(effort="high"))
    assert (body["reasoning_effort"], lost) == ("none", ["reasoning_effort"])
    assert written(facts, reasoning=Reasoning(effort="high"))[0] == {"reasoning_effort": "high"}
    fixed = Facts(thinks="effort", effort_with_tools=False, thinking_off=False)
    assert "reasoning_effort" not in written(fixed, tools=TOOLS, reasoning=Reasoning(effort="high"))[0]


def test_own_words_for_thinking_come_back() -> None:
    """Beside those of canon, in the object they stood in."""
    zai = Reasoning(vendor={"thinking": {"clear_thinking": False}})
    assert written(SWITCH, dialect="openai_chat", reasoning=zai)[0] == {
        "thinking": {"type": "enabled", "clear_thinking": False}
    }
    router = Reasoning(effort="low", vendor={"reasoning": {"summary": "auto"}})
    assert written(ROUTER, dialect="openai_chat", reasoning=router)[0] == {"reasoning": {"effort": "low", "summary": "auto"}}


def test_who_asks() -> None:
    """A hint: it is cut with its hash where it is too long (Claude Code's), and noted where it is an error."""
    told, _ = written(user="u" * 200)
    assert len(told["user"]) == 64
    assert told == written(user="u" * 200)[0] != written(user="u" * 201)[0]
    assert written(Facts(refuses=frozenset({"user"})), user="u") == ({}, ["user"])


def test_a_mark_for_the_whole_prompt() -> None:
    """OpenRouter has one; OpenAI's caches go by themselves."""
    assert written(Facts(cache_field="cache_control"), cache="5m") == ({"cache_control": {"type": "ephemeral"}}, [])
    assert written(Facts(cache_field="prompt_cache_breakpoint"), cache="5m") == ({}, ["cache_control"])
    assert written(cache="1h") == ({}, ["cache_control"])


def test_usage_of_a_stream_is_asked_for() -> None:
    """Beside what the client said of its stream, and never of a whole answer."""
    chat = Chat("openai_chat", "m", HELLO, stream=True, vendor={"stream_options": {"include_obfuscation": False}})
    body = json.loads(sent(chat, Facts(), ask_usage=True)[0].body)
    assert body["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert b"include_usage" not in sent(chat, Facts())[0].body
    assert b"stream_options" not in sent(Chat("ollama", "m", HELLO), Facts(), ask_usage=True)[0].body


def test_words_of_its_own_dialect_come_back_and_of_others_are_named() -> None:
    """Hints are noted, the rest dropped; none takes the place of a field that canon wrote."""
    vendor = {"web_search_options": {}, "store": True, "n": 9}
    told, lost = written(dialect="openai_chat", vendor=vendor, choices=2)
    assert (told, lost) == ({"n": 2, "web_search_options": {}, "store": True}, [])
    chat = Chat("gemini", "m", HELLO, vendor={"safetySettings": [], "labels": {}}, hints=frozenset({"labels"}))
    assert sent(chat, Facts())[1] == ["safetySettings", "labels"]
    with pytest.raises(GatewayError):
        sent(chat, Facts(), strict=True)


def test_custom_tools_and_choices_of_its_own_dialect_come_back() -> None:
    """OpenAI's own words, whole."""
    fields = {
        "tools": [
            {"type": "function", "function": {"name": "f", "x": 1}, "y": 2},
            {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}},
        ],
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "required", "tools": [named("f"), {"type": "custom", "custom": {"name": "c"}}]},
        },
    }
    hello = [{"role": "user", "content": "hi"}]
    chat = read_chat(ask(messages=hello, **fields))
    assert json.loads(sent(chat, Facts(), strict=True)[0].body) == {"model": "m", "messages": hello, **fields}
    only = read_chat(ask(messages=hello, tools=fields["tools"], tool_choice={"type": "custom", "custom": {"name": "c"}}))
    assert json.loads(sent(only, Facts())[0].body)["tool_choice"] == {"type": "custom", "custom": {"name": "c"}}


@pytest.mark.parametrize("recording", parameters(ALL))
def test_a_recorded_request_asks_the_same_again(recording: Recording) -> None:
    """Read into canon and written for such a provider: in the yardstick's words nothing is different, and nothing is lost."""
    field = {"openrouter": "reasoning_details", "mistral": "content"}.get(recording.provider, "reasoning_content")
    switch = recording.provider == "compat-zai"
    facts = Facts(thinks="switch" if switch else "effort", reasoning_field=field, cache_field="cache_control")
    outgoing, lost = sent(read_chat(ask(**recording.request)), facts, strict=True)
    told, meant = asked("openai.chat", json.loads(outgoing.body)), asked("openai.chat", recording.request)
    assert told._replace(choice="") == meant._replace(choice="")
    assert told.choice == meant.choice or not meant.tools
    assert lost == []


TEMPERATURES = st.none() | st.floats(0, 2)
CHATS = st.builds(
    Chat,
    st.just("gemini"),
    st.just("asked"),
    st.just((Message("user", (Text("a"),)), Message("assistant", (ToolCall("x", "f", "{}"),)))),
    stream=st.booleans(),
    tools=st.lists(st.builds(Tool, st.sampled_from(["f", "g"]), parameters=st.just(SCHEMA)), max_size=2).map(tuple),
    max_tokens=st.none() | st.integers(1, 10**6),
    stop=st.lists(st.text("abc", min_size=1), max_size=3).map(tuple),
    choices=st.none() | st.integers(2, 5),
    sampling=st.builds(
        Sampling, TEMPERATURES, TEMPERATURES, seed=st.none() | st.integers(0, 99), logprobs=st.none() | st.booleans()
    ),
    output=st.none() | st.just(OutputFormat("json")) | st.just(OutputFormat("schema", SCHEMA, "n", strict=True)),
    reasoning=st.none() | st.builds(Reasoning, effort=st.sampled_from(["low", "high"])) | st.just(Reasoning("off")),
    user=st.text("abc", max_size=5),
)


@given(CHATS)
def test_a_request_survives(chat: Chat) -> None:
    """Any request that this form can say is read back the same."""
    body = json.loads(sent(chat, Facts(thinks="effort"), strict=True)[0].body)
    back = read_chat(ask(**{**body, "model": "asked"}))
    assert back == Chat(**{**{name: getattr(chat, name) for name in chat.__struct_fields__}, "dialect": "openai_chat"})
