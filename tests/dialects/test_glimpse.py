"""What can be seen of a request without reading it, in every client's dialect."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects import glimpse
from trunkline.dialects.dialect import NOT_NAMED, Ask, Named
from trunkline.dialects.glimpse import Size, size
from trunkline.dialects.table import DIALECTS

USER = {"role": "user", "content": "Why is the sky blue?"}
SYSTEM = {"role": "system", "content": "You are brief."}


def ask(dialect: str = "openai_chat", /, **fields: Any) -> Ask:
    """A request as its dialect reads it."""
    named = Named(model="m") if dialect == "gemini" else NOT_NAMED
    model = {} if dialect == "gemini" else {"model": "m"}
    return DIALECTS[dialect].read_request(json.dumps(model | fields).encode(), named)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "image_url", "image_url": {"url": "https://a/b.png"}}, True),
        ({"type": "input_image", "image_url": "https://a/b.png"}, True),
        ({"type": "input_file", "file_id": "f"}, True),
        ({"type": "input_audio", "input_audio": {}}, True),
        ({"type": "video_url", "video_url": {"url": "https://a"}}, True),
        ({"type": "image", "source": {}}, True),
        ({"type": "document", "source": {}}, True),
        ({"inlineData": {"mimeType": "image/png"}}, True),
        ({"fileData": {}}, True),
        ({"role": "user", "images": ["iVBOR"]}, True),
        ({"type": "text", "text": 'an "image" and a \\"file\\"'}, False),
        ({"type": "input_text", "text": "x"}, False),
        ({"properties": {"file_path": {"type": "string"}}}, False),
    ],
)
def test_media_are_seen(part: dict[str, Any], expected: bool) -> None:
    """A picture would go to a model that is blind; or each request that talks of one would be read whole."""
    assert glimpse.may_hold_media(json.dumps(part).encode()) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("word " * 40_000, False),
        ("iVBOR" * 5_000, True),
        ("word " * 40_000 + "iVBOR" * 5_000, True),
        ("iVBOR", False),
        ("", False),
    ],
)
def test_what_is_no_text_is_noticed(text: str, expected: bool) -> None:
    """A picture's bytes would pass for a million words; or each long prompt would be searched to its end."""
    assert glimpse.may_hold_encoded(json.dumps({"model": "m", "messages": [USER | {"content": text}]}).encode()) is expected


@pytest.mark.parametrize(
    ("fields", "schema", "tools"),
    [
        ({}, False, False),
        ({"response_format": {"type": "json_schema"}}, True, False),
        ({"text": {"format": {}}}, True, False),
        ({"generationConfig": {}}, True, False),
        ({"format": {}}, True, False),
        ({"tools": [{}]}, False, True),
        ({"tools": []}, False, False),
        ({"tools": None}, False, False),
        ({"functions": [{}]}, False, True),
    ],
)
def test_schemas_and_tools_are_seen(fields: dict[str, Any], schema: bool, tools: bool) -> None:
    """A model without tools would be asked to call some."""
    asked = ask(messages=[USER], **fields)
    assert (glimpse.may_ask_schema(asked), glimpse.holds_tools(asked)) == (schema, tools)


@pytest.mark.parametrize(
    ("fields", "dialect", "expected"),
    [
        ({}, "openai_chat", 0),
        ({"max_tokens": 5}, "openai_chat", 5),
        ({"max_tokens": 5}, "openai_completions", 5),
        ({"max_tokens": 5}, "anthropic", 5),
        ({"max_completion_tokens": 6}, "openai_chat", 6),
        ({"max_output_tokens": 7}, "openai_responses", 7),
        ({"max_tokens": "5"}, "openai_chat", 0),
        ({"max_tokens": -5}, "openai_chat", 0),
        ({"max_tokens": 10**12}, "openai_chat", 0),
        ({"generationConfig": {"maxOutputTokens": 8}}, "gemini", 8),
        ({"generation_config": {"max_output_tokens": 9}}, "gemini", 9),
        ({"options": {"num_predict": 10}}, "ollama", 10),
        ({"options": {"num_predict": -1}}, "ollama", 0),
        ({"options": {"num_predict": "many"}}, "ollama", 0),
        ({"options": {}}, "ollama", 0),
        ({"options": []}, "ollama", 0),
        ({"options": None}, "ollama", 0),
        ({"max_tokens": 1}, "openai_responses", 0),
        ({"max_tokens": 1}, "gemini", 0),
        ({"max_completion_tokens": 1, "max_tokens": 9}, "anthropic", 9),
        ({"max_output_tokens": 1}, "openai_chat", 0),
        ({"options": {"num_predict": 1}}, "openai_chat", 0),
        ({"generationConfig": {"maxOutputTokens": 1}, "options": {"num_predict": 1}}, "anthropic", 0),
    ],
)
def test_how_long_the_answer_may_be(fields: dict[str, Any], dialect: str, expected: int) -> None:
    """A request would go where prompt and answer together have no room."""
    assert size(ask(messages=[USER], **fields), dialect).output == expected


@pytest.mark.parametrize(
    ("headers", "fields", "expected"),
    [
        ({}, {}, b""),
        ({b"x-trunkline-session": b"ours", b"session_id": b"codex"}, {}, b"ours"),
        ({b"x-claude-code-session-id": b"claude"}, {}, b"claude"),
        ({b"session-id": b"codex"}, {"prompt_cache_key": "thread"}, b"codex"),
        ({b"session_id": b"codex-before"}, {}, b"codex-before"),
        ({b"x-session-affinity": b"opencode"}, {}, b"opencode"),
        ({b"x-session-id": b"opencode"}, {}, b"opencode"),
        ({}, {"prompt_cache_key": "thread"}, b'"thread"'),
        ({}, {"prompt_cache_key": None}, b""),
        ({}, {"prompt_cache_key": ""}, b""),
        ({b"session-id": b"x" * 300}, {}, b"x" * 256),
    ],
)
def test_a_session_by_each_clients_name(headers: dict[bytes, bytes], fields: dict[str, Any], expected: bytes) -> None:
    """A client's conversation would lose its prompt cache at every turn."""
    assert glimpse.session(ask(messages=[USER], **fields), headers) == expected


ANSWER = {"role": "assistant", "content": "Rayleigh."}
TALKS: list[tuple[str, dict[str, Any], str]] = [
    ("openai_chat", {"messages": [SYSTEM, USER]}, "messages"),
    ("openai_chat", {"messages": [{"role": "developer", "content": "x"}, SYSTEM, USER], "tools": [{"type": "x"}]}, "messages"),
    ("openai_chat", {"messages": [{**USER, "content": 'brackets ]} and "quotes" ' * 200}]}, "messages"),
    ("openai_chat", {"messages": [SYSTEM | {"content": "long " * 1000}, USER]}, "messages"),
    ("anthropic", {"system": "You are brief.", "messages": [USER], "max_tokens": 9}, "messages"),
    ("openai_responses", {"instructions": "x", "input": [{"type": "message", **USER}]}, "input"),
    ("gemini", {"systemInstruction": {"parts": []}, "contents": [{"role": "user", "parts": [{"text": "Why?"}]}]}, "contents"),
    ("ollama", {"messages": [USER]}, "messages"),
]


@pytest.mark.parametrize(("dialect", "fields", "growing"), TALKS)
def test_a_beginning_stays_while_a_conversation_grows(dialect: str, fields: dict[str, Any], growing: str) -> None:
    """The second turn would go elsewhere, and pay for its whole prompt again."""
    first = glimpse.beginning(ask(dialect, **fields))
    assert len(first) < 12_000
    for turns in (2, 10):
        longer = fields | {growing: [*fields[growing], *[ANSWER, USER] * turns]}
        assert glimpse.beginning(ask(dialect, **longer)) == first


def test_what_begins_differently_is_told_apart() -> None:
    """All conversations would crowd at one target."""
    base: dict[str, Any] = {"messages": [SYSTEM, USER], "tools": [{"type": "a"}]}
    others: list[dict[str, Any]] = [
        base,
        {"messages": [SYSTEM | {"content": "Be long."}, USER], "tools": [{"type": "a"}]},
        {"messages": [SYSTEM, USER | {"content": "Why is grass green?"}], "tools": [{"type": "a"}]},
        {"messages": [SYSTEM, USER], "tools": [{"type": "b"}]},
        {"messages": [SYSTEM, USER], "tools": [{"type": "a" * 5000}]},
        {"messages": [SYSTEM, USER], "tools": [{"type": "a" * 5001}]},
        {"messages": [SYSTEM, USER]},
        {"messages": [SYSTEM]},
        {"messages": []},
    ]
    assert len({glimpse.beginning(ask(**other)) for other in others}) == len(others)


@pytest.mark.parametrize("fields", [{"prompt": "Once upon"}, {"prompt": ["a", "b"]}, {"input": "text"}, {}])
def test_what_is_no_conversation_has_a_beginning_too(fields: dict[str, Any]) -> None:
    """Completions and embeddings would fail where affinity is on."""
    encoded = {name: json.dumps(value).encode() for name, value in fields.items()}
    told = glimpse.beginning(ask(messages=[USER], **fields))
    assert all(value in told for value in encoded.values())


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_any_messages_are_looked_at(messages: Any) -> None:
    """A client's odd request would be a fault of ours before its provider says what is odd."""
    fields = {"messages": [messages], "input": messages, "tools": messages, "options": messages, "prompt_cache_key": messages}
    found = Ask({name: _raw(value) for name, value in fields.items()}, "m", stream=False, include_usage=False)
    assert isinstance(glimpse.beginning(found), bytes)
    assert size(found, "openai_chat") == Size(0, 0, 1)
    assert isinstance(glimpse.session(found, {}), bytes)
    glimpse.holds_tools(found)


def _raw(value: Any) -> Any:
    return msgspec.Raw(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("fields", "dialect", "expected"),
    [
        ({}, "openai_chat", Size(0, 0, 1)),
        ({"max_tokens": 7}, "openai_chat", Size(7, 0, 1)),
        ({"max_tokens": None, "max_completion_tokens": 9}, "openai_chat", Size(9, 0, 1)),
        ({"max_tokens": 7, "max_completion_tokens": 9.0}, "openai_chat", Size(9, 0, 1)),
        ({"max_tokens": "many"}, "openai_chat", Size(0, 0, 1)),
        ({"max_tokens": -3, "n": 0}, "openai_chat", Size(0, 0, 1)),
        ({"max_tokens": 10**9}, "openai_chat", Size(10**9, 0, 1)),
        ({"max_tokens": 10**12}, "openai_chat", Size(0, 0, 1)),
        ({"n": 3, "best_of": 5}, "openai_chat", Size(0, 0, 5)),
        (
            {"generationConfig": {"maxOutputTokens": 5, "candidateCount": 2, "thinkingConfig": {"thinkingBudget": 8}}},
            "gemini",
            Size(5, 8, 2),
        ),
        (
            {"generation_config": {"max_output_tokens": 5, "candidate_count": 2, "thinking_config": {"thinking_budget": 8}}},
            "gemini",
            Size(5, 8, 2),
        ),
        ({"generationConfig": {"maxOutputTokens": "5", "candidateCount": "3"}}, "gemini", Size(5, 0, 3)),
        ({"generationConfig": {"maxOutputTokens": []}}, "gemini", Size(0, 0, 1)),
        ({"generationConfig": {"maxOutputTokens": 1}, "generation_config": {"candidateCount": 4}}, "gemini", Size(0, 0, 4)),
        ({"generationConfig": {"maxOutputTokens": 1}, "generation_config": {"maxOutputTokens": 2}}, "gemini", Size(2, 0, 1)),
        ({"n": "5"}, "openai_chat", Size(0, 0, 5)),
        ({"options": {"num_predict": -1}}, "ollama", Size(0, 0, 1)),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "openai_chat", Size(0, 2000, 1)),
        ({"thinking": {"type": "disabled"}, "reasoning": {"max_tokens": 50}}, "openai_chat", Size(0, 50, 1)),
        ({"thinking": True}, "openai_chat", Size(0, 0, 1)),
        ({"prompt": "one"}, "openai_chat", Size(0, 0, 1)),
        ({"prompt": ["one", "two"], "n": 2}, "openai_chat", Size(0, 0, 4)),
        ({"prompt": [[1, 2], [3]]}, "openai_chat", Size(0, 0, 2)),
        ({"prompt": [1, 2, 3]}, "openai_chat", Size(0, 0, 1)),
        ({"prompt": []}, "openai_chat", Size(0, 0, 1)),
    ],
)
def test_how_much_is_asked_for(fields: dict[str, Any], dialect: str, expected: Size) -> None:
    """Money is reserved by it: the largest bound that a client names in its dialect, and how many answers there are to be."""
    raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    assert size(Ask(raw, "m", stream=False, include_usage=False), dialect) == expected


def test_a_list_of_prompts_that_is_none() -> None:
    """Whoever is asked tells what is wrong with it."""
    assert size(Ask({"prompt": msgspec.Raw(b"[1,")}, "m", stream=False, include_usage=False), "openai_completions").answers == 1
