"""Content blocks in canon's parts."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from trunkline.canon.chat import Citation, Media, Other, Part, Seal, Text, Thinking, ToolCall, ToolResult
from trunkline.canon.errors import GatewayError
from trunkline.dialects import state
from trunkline.dialects.anthropic.read_blocks import (
    read_answer_blocks,
    read_arguments,
    read_cache,
    read_citation,
    read_content,
)

HOUR = {"type": "ephemeral", "ttl": "1h"}
FOREIGN = Seal("gemini", "c2ln")


def encoded(text: str) -> str:
    """A document's text as canon holds it."""
    return base64.b64encode(text.encode()).decode()


CITATIONS = {"citations": {"enabled": True}, "context": "c"}
CALLER = {"caller": {"type": "direct"}}
SEARCH = {
    "type": "search_result",
    "source": "http://x",
    "title": "T",
    "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}],
    "citations": {"enabled": True},
}
MIXED = {
    "type": "document",
    "source": {"type": "content", "content": [{"type": "image", "source": {}}, {"type": "text", "text": "a"}]},
}
TEXTS = {"type": "content", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}


@pytest.mark.parametrize("odd", [5, "a", {}, [7], [None]])
def test_citations_that_are_none(odd: object) -> None:
    """A client is told where; a provider's text, which is paid for, is read without them."""
    block = {"type": "text", "text": "Hi", "citations": odd}
    with pytest.raises(GatewayError) as raised:
        read_content([block], "messages[0].content")
    path = "messages[0].content[0].citations" + ("[0]" if isinstance(odd, list) else "")
    assert (raised.value.status, raised.value.param) == (400, path)
    assert read_answer_blocks([block], "content") == [Text("Hi")]


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "text", "text": "Hi"}, Text("Hi")),
        ({"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}, Text("Hi", cache="5m")),
        ({"type": "text", "text": "Hi", "cache_control": HOUR, "citations": None}, Text("Hi", cache="1h")),
        ({"type": "text", "text": "Hi", "new": 1, "old": None}, Text("Hi", vendor={"new": 1})),
        (
            {"type": "text", "text": "Hi", "citations": [{"type": "x", "cited_text": "q"}]},
            Text("Hi", citations=(Citation(quote="q", vendor={"type": "x", "cited_text": "q"}),)),
        ),
        (
            {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "1d"}, "new": 1},
            Text("Hi", vendor={"new": 1, "cache_control": {"type": "ephemeral", "ttl": "1d"}}),
        ),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}, "transformations": {}},
            Media("image", "image/png", "AA", vendor={"transformations": {}}),
        ),
        ({"type": "image", "source": {"type": "url", "url": "http://x"}}, Media("image", url="http://x")),
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, Media("image", file_id="f")),
        (
            {"type": "image", "source": {"type": "new", "x": 1}},
            Other("anthropic", {"type": "image", "source": {"type": "new", "x": 1}}),
        ),
        (
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"},
                "title": "T",
                **CITATIONS,
            },
            Media("document", "application/pdf", "AA", name="T", vendor=CITATIONS),
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Höhe"}, "cache_control": HOUR},
            Media("document", "text/plain", encoded("Höhe"), cache="1h"),
        ),
        ({"type": "document", "source": {"type": "url", "url": "http://x"}, "title": None}, Media("document", url="http://x")),
        ({"type": "document", "source": {"type": "file", "file_id": "f"}}, Media("document", file_id="f")),
        (
            {"type": "document", "source": {"type": "content", "content": "words"}},
            Media("document", "text/plain", encoded("words"), vendor={"source": {"type": "content", "content": "words"}}),
        ),
        ({"type": "document", "source": TEXTS}, Media("document", "text/plain", encoded("a\nb"), vendor={"source": TEXTS})),
        (MIXED, Other("anthropic", MIXED)),
        (SEARCH, Text("T\nhttp://x\none\ntwo", vendor={"search_result": SEARCH})),
        ({"type": "tool_use", "id": "a", "name": "f", "input": {"x": [1, "é"]}}, ToolCall("a", "f", '{"x":[1,"é"]}')),
        ({"type": "tool_use", "id": "a", "name": "f", "input": None, **CALLER}, ToolCall("a", "f", "{}", vendor=CALLER)),
        ({"type": "tool_use", "id": "a", "name": "f", "input": {"_raw": '{"x":'}}, ToolCall("a", "f", '{"x":')),
        ({"type": "tool_result", "tool_use_id": "a"}, ToolResult("a", "", ())),
        (
            {"type": "tool_result", "tool_use_id": "a", "content": "done", "is_error": False},
            ToolResult("a", "", (Text("done"),)),
        ),
        (
            {"type": "tool_result", "tool_use_id": "a", "content": [SEARCH], "is_error": True, "cache_control": HOUR, "x": 1},
            ToolResult("a", "", (Text("T\nhttp://x\none\ntwo", vendor={"search_result": SEARCH}),), True, "1h", {"x": 1}),
        ),
        (
            {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "tool_reference", "tool_name": "f"}]},
            ToolResult("a", "", (Other("anthropic", {"type": "tool_reference", "tool_name": "f"}),)),
        ),
        ({"type": "redacted_thinking", "data": "b3du"}, Thinking("", Seal("anthropic", "b3du"), redacted=True)),
        ({"type": "redacted_thinking", "data": state.wrap(FOREIGN)}, Thinking("", FOREIGN, redacted=True)),
        ({"type": "container_upload", "file_id": "f"}, Other("anthropic", {"type": "container_upload", "file_id": "f"})),
    ],
)
def test_each_block_is_read(block: dict[str, Any], part: Part) -> None:
    """Nothing that a client says may be lost between it and another provider."""
    assert read_content([block], "content") == (part,)


def thinking(text: str, signature: str | None) -> dict[str, Any]:
    """A block of thinking."""
    return {"type": "thinking", "thinking": text, "signature": signature}


TEXT = {"type": "text", "text": "Hi"}
USE = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
SERVER = {"type": "server_tool_use", "id": "s"}


@pytest.mark.parametrize(
    ("blocks", "parts"),
    [
        ([thinking("Hm", "b3du")], [Thinking("Hm", Seal("anthropic", "b3du"))]),
        ([thinking("Hm", "")], [Thinking("Hm")]),
        ([thinking("Hm", None)], [Thinking("Hm")]),
        ([thinking("Hm", state.wrap(FOREIGN))], [Thinking("Hm", FOREIGN)]),
        ([thinking("Hm", state.wrap(Seal("", "")))], [Thinking("Hm")]),
        ([thinking("Hm", state.SEALED + "broken")], [Thinking("Hm")]),
        ([thinking("Hm", state.wrap(FOREIGN, "next")), USE], [Thinking("Hm"), ToolCall("a", "f", "{}", FOREIGN)]),
        ([thinking("", state.wrap(FOREIGN, "next")), TEXT, USE], [Text("Hi", FOREIGN), ToolCall("a", "f", "{}")]),
        ([thinking("", state.wrap(FOREIGN, "next")), SERVER, USE], [Other("anthropic", SERVER), ToolCall("a", "f", "{}")]),
        ([TEXT, thinking("", state.wrap(FOREIGN, "last"))], [Text("Hi", FOREIGN)]),
        ([SERVER, thinking("", state.wrap(FOREIGN, "last"))], [Other("anthropic", SERVER)]),
        ([thinking("", state.wrap(FOREIGN, "last"))], []),
        ([thinking("", state.wrap(FOREIGN, "empty")), USE], [Text("", FOREIGN), ToolCall("a", "f", "{}")]),
    ],
)
def test_state_goes_back_to_the_part_it_is_of(blocks: list[Any], parts: list[Part]) -> None:
    """Carried by a block of thinking, because a text and a call have no slot here."""
    assert read_content(blocks, "content") == tuple(parts)


def test_a_string_is_one_text_and_an_empty_one_is_none() -> None:
    """Both spellings of a content mean the same."""
    assert read_content("Hi", "x") == (Text("Hi"),)
    assert read_content("", "x") == read_content([], "x") == ()


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (None, "x"),
        ({"type": "text"}, "x"),
        (["Hi"], "x[0]"),
        ([{"text": "Hi"}], "x[0].type"),
        ([TEXT, {"type": "text"}], "x[1].text"),
        ([{"type": "image"}], "x[0].source"),
        ([{"type": "image", "source": {"type": "url"}}], "x[0].source.url"),
        ([{"type": "document", "source": {"type": "content", "content": 7}}], "x[0].source.content"),
        ([{"type": "search_result", "content": "a"}], "x[0].content"),
        ([{"type": "tool_use", "name": "f"}], "x[0].id"),
        ([{"type": "tool_use", "id": "a", "name": "f", "input": "{}"}], "x[0].input"),
        ([{"type": "tool_result"}], "x[0].tool_use_id"),
        ([{"type": "tool_result", "tool_use_id": "a", "content": [USE]}], "x[0].content[0].type"),
        ([{"type": "redacted_thinking"}], "x[0].data"),
        ([{"type": "thinking", "signature": 7}], "x[0].signature"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_path(content: object, path: str) -> None:
    """A caller must find it in a request of 80 KB."""
    with pytest.raises(GatewayError) as caught:
        read_content(content, "x")
    assert (caught.value.status, caught.value.param) == (400, path)


def test_a_providers_state_is_its_own() -> None:
    """What another gateway has wrapped is opaque here and goes back as it came."""
    wrapped = state.wrap(FOREIGN)
    blocks = [thinking("Hm", wrapped), thinking("Hm", ""), {"type": "redacted_thinking", "data": wrapped}]
    seal = Seal("anthropic", wrapped)
    assert read_answer_blocks(blocks, "content") == [Thinking("Hm", seal), Thinking("Hm"), Thinking("", seal, redacted=True)]


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        (None, ("", {})),
        ({"type": "ephemeral"}, ("5m", {})),
        ({"type": "ephemeral", "ttl": "5m"}, ("5m", {})),
        (HOUR, ("1h", {})),
        ({"type": "ephemeral", "scope": "x"}, ("5m", {"cache_control": {"type": "ephemeral", "scope": "x"}})),
        ({"type": "new"}, ("", {"cache_control": {"type": "new"}})),
        (7, ("", {"cache_control": 7})),
    ],
)
def test_cache_marks_are_read(mark: object, told: tuple[str, Any]) -> None:
    """A mark that is not understood goes back as it is."""
    assert read_cache({"cache_control": mark}) == told


def test_a_citation_is_kept_whole_and_read_where_canon_has_words() -> None:
    """Nonsense in it costs nothing."""
    found = {"source": "http://x", "title": 7, "document_title": "D", "cited_text": None}
    assert read_citation(found) == Citation("http://x", "", "", vendor=found)
    assert read_citation({"url": "u", "document_title": "D", "cited_text": "q"}).title == "D"


def test_arguments_are_json_text() -> None:
    """Whatever stands there; what a provider sent as an object is one, and what was wrapped is unwrapped."""
    assert read_arguments({}) == read_arguments(None) == "{}"
    assert read_arguments({"_raw": "oops"}) == "oops"
    assert read_arguments([1]) == "[1]"
