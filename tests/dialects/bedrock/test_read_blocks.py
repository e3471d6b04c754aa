"""Blocks of an answer in canon's parts."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.canon.chat import NOTHING, Citation, Media, Other, Seal, Text, Thinking, ToolCall
from trunkline.dialects.bedrock.read_blocks import read_blocks, read_citation

CITED = {"title": "Policy", "sourceContent": [{"text": "20 days."}], "location": {"documentChunk": {"start": 0, "end": 1}}}


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"text": "Hi"}, Text("Hi")),
        ({"text": "Hi", "type": "text"}, Text("Hi")),
        (
            {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
            Thinking("Hm.", Seal("bedrock", "c2ln")),
        ),
        ({"reasoningContent": {"reasoningText": {"text": "Hm."}}}, Thinking("Hm.")),
        ({"reasoningContent": {"redactedContent": "cmVk"}}, Thinking("", Seal("bedrock", "cmVk"), redacted=True)),
        ({"toolUse": {"toolUseId": "t1", "name": "look", "input": {"a": 1}}}, ToolCall("t1", "look", '{"a":1}')),
        ({"toolUse": {"toolUseId": "t1", "name": "look", "type": "tool_use"}}, ToolCall("t1", "look", "{}")),
        ({"toolUse": {"name": "look", "input": [1]}}, ToolCall("tlc_seed_0", "look", "[1]")),
        ({"toolUse": {"toolUseId": "t1", "name": "look", "x": 1}}, ToolCall("t1", "look", "{}", vendor={"x": 1})),
        (
            {"citationsContent": {"content": [{"text": "20 "}, {"text": "days"}], "citations": [CITED, 7]}},
            Text("20 days", citations=(Citation("", "Policy", "20 days.", vendor=CITED),)),
        ),
        ({"citationsContent": {"content": [{"text": "a"}]}}, Text("a")),
        ({"image": {"format": "png", "source": {"bytes": "aGk="}}}, Media("image", "image/png", "aGk=")),
        ({"image": {"source": {"bytes": "aGk="}}}, Media("image", "", "aGk=")),
    ],
)
def test_what_canon_has_a_part_for(block: dict[str, Any], part: Any) -> None:
    """Each is the same to every client, whatever Bedrock calls it."""
    assert read_blocks([block], "seed") == (part,)


@pytest.mark.parametrize(
    "block",
    [
        {"toolUse": {"toolUseId": "t1", "name": "nova_code_interpreter", "input": {}, "type": "server_tool_use"}},
        {"toolResult": {"toolUseId": "t1", "content": [{"json": {}}], "status": "success"}},
        {"reasoningContent": {"odd": 1}},
        {"citationsContent": {"citations": [CITED]}},
        {"image": {"format": "png", "error": {"message": "no"}}},
        {"audio": {"format": "mp3"}},
        {"text": 5},
        {},
    ],
)
def test_what_it_has_not_stays_whole(block: dict[str, Any]) -> None:
    """A call that Bedrock answers itself is no call of the client's: it would wait for a result that is there already."""
    assert read_blocks([block], "seed") == (Other("bedrock", block),)


@pytest.mark.parametrize("content", [None, "text", 5, [], [5, None], [{"text": ""}]])
def test_nothing_is_no_parts(content: object) -> None:
    """An empty text would be an error in the next turn."""
    assert read_blocks(content, "seed") == ()


@pytest.mark.parametrize(
    ("told", "url"),
    [
        ({"location": {"web": {"url": "https://a.b/c"}}, "source": "https://x.y"}, "https://a.b/c"),
        ({"source": "https://x.y"}, "https://x.y"),
        ({"source": "a file", "location": {"web": 5}}, ""),
        ({"location": 5}, ""),
    ],
)
def test_a_citations_place(told: dict[str, Any], url: str) -> None:
    """A client shows it as a link: only an address may become one."""
    assert read_citation(told).url == url
    assert read_citation(told).vendor is not NOTHING
