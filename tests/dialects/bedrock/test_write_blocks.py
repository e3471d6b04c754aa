"""Parts of a request in Bedrock's blocks."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from dialects.bedrock.samples import assistant, chat, user, written
from trunkline.canon.chat import Citation, Media, Message, Other, Refusal, Seal, Text, Thinking, ToolCall, ToolResult
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.bedrock.write_chat import write_chat

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n....").decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0....").decode()
PDF = base64.b64encode(b"%PDF-1.4 ...").decode()
PLAIN = base64.b64encode(b"plain").decode()
CACHES = Facts(caches=frozenset({"tools", "system", "messages"}))
HOURS = Facts(caches=frozenset({"tools", "system", "messages", "1h"}))
CALL = ToolCall("c1", "look", '{"a":1}')


def content(*messages: Message, facts: Facts = NO_FACTS, lost: tuple[str, ...] = (), at: int = -1) -> list[dict[str, Any]]:
    """The blocks of one message of the request."""
    found: list[dict[str, Any]] = written(chat(*messages), facts, lost)["messages"][at]["content"]
    return found


def refused(*messages: Message, facts: Facts = NO_FACTS) -> str:
    """The field that cannot be sent, and why."""
    with pytest.raises(GatewayError) as caught:
        write_chat(chat(*messages), "m", facts, Loss(strict=False), ask_usage=True)
    assert caught.value.status == 400
    return f"{caught.value.param}: {caught.value.message}"


@pytest.mark.parametrize(
    ("media", "block"),
    [
        (Media("image", "image/png", PNG), {"image": {"format": "png", "source": {"bytes": PNG}}}),
        (Media("image", "image/png", JPEG), {"image": {"format": "jpeg", "source": {"bytes": JPEG}}}),
        (Media("image", "image/jpg", PLAIN), {"image": {"format": "jpeg", "source": {"bytes": PLAIN}}}),
        (Media("video", "video/quicktime", PLAIN), {"video": {"format": "mov", "source": {"bytes": PLAIN}}}),
        (Media("audio", "audio/x-wav", PLAIN), {"audio": {"format": "wav", "source": {"bytes": PLAIN}}}),
        (
            Media("document", "", PDF, name="A report, v2.pdf"),
            {"document": {"format": "pdf", "name": "A report- v2", "source": {"bytes": PDF}}},
        ),
        (
            Media("document", "Text/Markdown; charset=utf-8", PLAIN),
            {"document": {"format": "md", "name": "document", "source": {"bytes": PLAIN}}},
        ),
        (
            Media("document", "text/x-python", PLAIN, name="___"),
            {"document": {"format": "txt", "name": "document", "source": {"bytes": PLAIN}}},
        ),
    ],
)
def test_media(media: Media, block: dict[str, Any]) -> None:
    """Bedrock looks at the format it is told: a picture under a wrong name is an error there."""
    assert content(user("See", media)) == [{"text": "See"}, block]


def test_documents_have_names_of_their_own_and_a_text_beside_them() -> None:
    """Bedrock refuses two documents of one name, and one without words; names must not change when the history grows."""
    pdf = Media("document", "", PDF, name="a  b.pdf")
    first = user(pdf, pdf)
    one = written(chat(first))["messages"]
    names = [block["document"]["name"] for block in one[0]["content"][:2]]
    assert names == ["a b", "a b (2)"]
    assert one[0]["content"][2] == {"text": "a b, a b (2)"}
    assert written(chat(first, assistant("ok"), user("More", pdf)))["messages"][:1] == one
    numbered = Media("document", "", PDF, name="a b (2).pdf")
    for told in ((pdf, numbered, pdf), (numbered, pdf, pdf)):
        assert len({block["document"]["name"] for block in content(user("See", *told))[1:]}) == 3


@pytest.mark.parametrize(
    ("media", "facts", "why"),
    [
        (Media("image", url="https://a.b/c.png"), NO_FACTS, "kept elsewhere"),
        (Media("image", file_id="file-1"), NO_FACTS, "kept elsewhere"),
        (Media("image", "image/tiff", PLAIN), NO_FACTS, "no image of the type 'image/tiff'"),
        (Media("document", "application/zip", PLAIN), NO_FACTS, "no document of the type 'application/zip'"),
        (Media("video", "video/mp4", PLAIN), Facts(media=frozenset({"image"})), "this model takes no video"),
    ],
)
def test_media_that_cannot_go(media: Media, facts: Facts, why: str) -> None:
    """The model would answer about something that it never saw."""
    told = refused(user("See", media), facts=facts)
    assert told.startswith("messages[0].content[1]:")
    assert why in told


def test_a_document_of_words_is_read_to_a_model_that_takes_none() -> None:
    """Nova Micro and gpt-oss read text: a note must not be refused for its envelope."""
    facts = Facts(media=frozenset())
    note = Media("document", "text/markdown", PLAIN, name="note.md")
    assert content(user("See", note), facts=facts) == [{"text": "See"}, {"text": "note.md\nplain"}]
    assert "this model takes no document" in refused(user(Media("document", "", PDF)), facts=facts)


def test_media_of_an_assistant_is_refused() -> None:
    """Converse takes pictures from users only."""
    told = refused(user("Draw"), assistant(Media("image", "image/png", PNG)), user("More"))
    assert "assistant's message" in told


def test_hints_are_named() -> None:
    """How closely to look, where a sentence is from, fields of another API: the answer does not hang on them."""
    cited = Text("Yes", citations=(Citation("https://a"),), vendor={"x": 1})
    lost = ("messages[0].content[0].detail", "messages[1].content[0].citations", "messages[1].content[0].x")
    content(
        user(Media("image", "image/png", PNG, detail="high")),
        assistant(cited, Refusal("No")),
        user("And?"),
        facts=NO_FACTS,
        lost=lost,
    )


def test_empty_texts_are_left_out() -> None:
    """Bedrock refuses a block without words."""
    assert content(user("", " \n", "Hi")) == [{"text": "Hi"}]
    assert content(user(Text(" ", cache="5m"), "Hi"), lost=("cache_control",)) == [{"text": "Hi"}]


def test_thinking_goes_back_to_bedrock_alone() -> None:
    """A signature of Anthropic's own API is worth nothing here, and the other way round."""
    mine = Thinking("Hm.", Seal("bedrock", "c2ln"))
    hidden = Thinking("", Seal("bedrock", "cmVk"), redacted=True)
    turns = (user("Hi"), assistant(mine, hidden, "Yes"), user("And?"))
    signed = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}}
    assert content(*turns, at=1) == [signed, {"reasoningContent": {"redactedContent": "cmVk"}}, {"text": "Yes"}]
    others = (Thinking("a", Seal("anthropic", "x")), Thinking("b"), Thinking("c", Seal("bedrock", "")))
    assert content(user("Hi"), assistant(*others, "Yes"), user("And?"), lost=("reasoning",), at=1) == [{"text": "Yes"}]


def test_what_only_one_api_knows() -> None:
    """Bedrock's own goes back as it came, an assistant's is left out, a user's is missed, a result's is its JSON."""
    server = {"toolUse": {"toolUseId": "t", "name": "s", "input": {}, "type": "server_tool_use"}}
    turns = (user("Hi"), assistant(Other("bedrock", server), Other("gemini", {"code": 1}), "Yes"), user("And?"))
    lost = ("messages[1].content[1]",)
    body = written(chat(*turns), NO_FACTS, lost)
    assert body["messages"][1]["content"] == [server, {"text": "Yes"}]
    assert "only the API 'gemini'" in refused(user(Other("gemini", {"code": 1})))
    result = Message("tool", (ToolResult("c1", "look", (Other("gemini", {"code": 1}),)),))
    told = content(user("Hi"), assistant(CALL), result)
    assert told == [{"toolResult": {"toolUseId": "c1", "content": [{"json": {"code": 1}}]}}]


STATUS = Facts(result_status=True)


@pytest.mark.parametrize(
    ("result", "facts", "told"),
    [
        (ToolResult("c1", "", (Text("ok"),)), NO_FACTS, {"content": [{"text": "ok"}]}),
        (ToolResult("c1", "", ()), NO_FACTS, {"content": [{"text": "(empty)"}]}),
        (ToolResult("c1", "", (Text(" "),)), NO_FACTS, {"content": [{"text": "(empty)"}]}),
        (ToolResult("c1", "", (), failed=True), STATUS, {"content": [{"text": "Error"}], "status": "error"}),
        (ToolResult("c1", "", (Text("no"),), failed=True), STATUS, {"content": [{"text": "no"}], "status": "error"}),
        (ToolResult("c1", "", (Text("no"),), failed=True), NO_FACTS, {"content": [{"text": "Error: no"}]}),
        (ToolResult("c1", "", (Text("Error: no"),), failed=True), NO_FACTS, {"content": [{"text": "Error: no"}]}),
        (ToolResult("c1", "", (), failed=True), NO_FACTS, {"content": [{"text": "Error"}]}),
        (
            ToolResult("c1", "", (Media("image", "image/png", PNG),), failed=True),
            NO_FACTS,
            {"content": [{"text": "Error"}, {"image": {"format": "png", "source": {"bytes": PNG}}}]},
        ),
    ],
)
def test_results(result: ToolResult, facts: Facts, told: dict[str, Any]) -> None:
    """A failure that is not told as one leads the model astray; a result without words is an error."""
    block = {"toolResult": {"toolUseId": "c1", **told}}
    assert content(user("Hi"), assistant(CALL), Message("tool", (result,)), facts=facts) == [block]


def test_calls_have_names_and_ids_that_fit() -> None:
    """Ids of other providers can be longer than Bedrock takes; the result must point to the same."""
    long = "call|" + "x" * 100
    call = ToolCall(long, "my.tool", "not json", vendor={"caller": 1})
    body = written(
        chat(user("Hi"), assistant(call), Message("tool", (ToolResult(long, "", (Text("ok"),)),))),
        lost=("messages[1].content[0].caller",),
    )
    told, result = body["messages"][1]["content"][0]["toolUse"], body["messages"][2]["content"][0]["toolResult"]
    assert told["toolUseId"] == result["toolUseId"]
    assert len(told["toolUseId"]) == 64
    assert told["name"].startswith("my_tool_")
    assert told["input"] == {"_raw": "not json"}


POINT = {"cachePoint": {"type": "default"}}
HOUR = {"cachePoint": {"type": "default", "ttl": "1h"}}


@pytest.mark.parametrize(
    ("facts", "cache", "points", "lost"),
    [
        (CACHES, "5m", [POINT], ()),
        (HOURS, "5m", [POINT], ()),
        (HOURS, "1h", [HOUR], ()),
        (CACHES, "1h", [POINT], ("cache_control",)),
        (NO_FACTS, "5m", [], ("cache_control",)),
        (Facts(caches=frozenset({"system"})), "5m", [], ("cache_control",)),
    ],
)
def test_cache_marks_follow_what_they_mark(facts: Facts, cache: Any, points: list[Any], lost: tuple[str, ...]) -> None:
    """A mark where the model takes none is an error; one that is missing costs ten times the price."""
    assert content(user(Text("Long", cache=cache), "Hi"), facts=facts, lost=lost) == [{"text": "Long"}, *points, {"text": "Hi"}]


def test_marks_inside_a_result_are_the_results() -> None:
    """A mark stands between blocks, never inside of one."""
    parts = (Text("a", cache="5m"), Text("b", cache="1h"), Text("c"))
    result = Message("tool", (ToolResult("c1", "", parts),))
    told = content(user("Hi"), assistant(CALL), result, facts=HOURS)
    assert told == [{"toolResult": {"toolUseId": "c1", "content": [{"text": "a"}, {"text": "b"}, {"text": "c"}]}}, HOUR]


def test_instructions_are_text_only() -> None:
    """A picture in an instruction would be lost without a word."""
    told = refused(user(Media("image", "image/png", PNG), role="system"), user("Hi"))
    assert told.startswith("messages[0].content[0]:")
    body = written(chat(user(Text("Be kind", cache="5m"), Refusal("no"), " ", role="system"), user("Hi")), CACHES)
    assert body["system"] == [{"text": "Be kind"}, POINT, {"text": "no"}]
