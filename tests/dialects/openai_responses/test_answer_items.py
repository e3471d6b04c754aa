"""The items of an answer, and what is told of them while they grow."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.openai_responses.asking import AGENTS, EXEC, LOOK, chat
from trunkline.canon.chat import Citation, Media, Other, Part, Refusal, Seal, Text, Thinking, ToolCall
from trunkline.canon.stream import Cite, Close, Delta, Open
from trunkline.dialects.openai_responses.answer_items import Items, write_annotation
from trunkline.dialects.openai_responses.offered import Offered
from trunkline.dialects.state import unwrap, wrap

PATCH = {"type": "custom", "name": "patch"}
OFFERED = Offered(chat({"role": "user", "content": "hi"}, tools=[LOOK, AGENTS, EXEC, PATCH]).tools)
CLAUDE, GEMINI, OWN = Seal("anthropic", "sig"), Seal("gemini", "c2ln"), Seal("openai_responses", "enc")
Told = list[tuple[str, dict[str, Any]]]


def grown(*events: Open | Delta | Cite | Close) -> tuple[list[dict[str, Any]], Told]:
    """The items in the end, and what was told."""
    told: Told = []
    items = Items("r", OFFERED, lambda kind, fields: told.append((kind, fields)))
    for event in events:
        items.take(event)
    items.finish()
    return items.output, told


def part(index: int, opened: Part, *pieces: str, seal: Seal | None = None) -> list[Open | Delta | Cite | Close]:
    """A part from its beginning to its end."""
    return [Open(index, opened), *(Delta(index, piece) for piece in pieces), Close(index, seal)]


def output(*parts: list[Open | Delta | Cite | Close]) -> list[dict[str, Any]]:
    """The items of an answer with these, their ids left out."""
    found, _ = grown(*(event for events in parts for event in events))
    return [{name: value for name, value in item.items() if name != "id"} for item in found]


def text(said: str) -> dict[str, Any]:
    """A text in a message."""
    return {"type": "output_text", "text": said, "annotations": [], "logprobs": []}


def message(*content: dict[str, Any], **beside: Any) -> dict[str, Any]:
    """A message that is whole."""
    return {"type": "message", "status": "completed", "role": "assistant", "content": list(content), **beside}


def reasoning(slot: str, *summary: str) -> dict[str, Any]:
    """A reasoning item that is whole."""
    told = [{"type": "summary_text", "text": said} for said in summary]
    return {"type": "reasoning", "summary": told, "encrypted_content": slot}


def test_texts_that_stand_together_are_one_message() -> None:
    """Anthropic tells an answer with sources in dozens of pieces; a refusal stands among them, a call between them."""
    found = output(
        part(0, Text(""), "a", "b"),
        part(1, Refusal(""), "No."),
        part(2, Text("")),
        part(3, ToolCall("c", "look", "")),
        part(4, Text("", vendor={"phase": "final_answer"}), "c"),
    )
    call = {"type": "function_call", "status": "completed", "call_id": "c", "name": "look", "arguments": "{}"}
    refusal = {"type": "refusal", "refusal": "No."}
    assert found == [message(text("ab"), refusal), call, message(text("c"), phase="final_answer")]


def test_ids_are_made_of_the_requests() -> None:
    """Each item has one of its own, with the beginning that OpenAI's have."""
    found, _ = grown(*part(0, Thinking("")), *part(1, Text(""), "a"), *part(2, ToolCall("c", "patch", "")))
    assert [item["id"] for item in found] == ["rs_r_0", "msg_r_1", "ctc_r_2"]


@pytest.mark.parametrize(
    ("part_", "pieces", "seal", "item"),
    [
        (Thinking(""), ("a", "b"), CLAUDE, reasoning(wrap(CLAUDE), "ab")),
        (Thinking("", CLAUDE, redacted=True), (), None, reasoning(wrap(CLAUDE))),
        (Thinking(""), ("a",), OWN, reasoning("enc", "a")),
        (Thinking(""), ("a",), None, reasoning(wrap(Seal("", "")), "a")),
    ],
)
def test_reasoning_bears_its_state(part_: Thinking, pieces: tuple[str, ...], seal: Seal | None, item: dict[str, Any]) -> None:
    """OpenAI's own as it is; another family's wrapped; thinking without any says so, else OpenAI would look it up by its id."""
    assert output(part(0, part_, *pieces, seal=seal)) == [item]


def test_state_of_calls_and_texts_has_items_of_its_own() -> None:
    """Gemini signs calls and texts, which have no slot here: what is beside them carries it."""
    found = output(
        part(0, ToolCall("c", "look", "", GEMINI), seal=GEMINI),
        part(1, ToolCall("d", "look", ""), seal=OWN),
        part(2, Text("", CLAUDE), "a"),
        part(3, Text(""), seal=GEMINI),
    )
    carried = [unwrap(item["encrypted_content"]) for item in found if item["type"] == "reasoning"]
    assert carried == [(GEMINI, "next"), (OWN, "last"), (CLAUDE, "last"), (GEMINI, "empty")]
    kinds = [item["type"] for item in found]
    assert kinds == ["reasoning", "function_call", "function_call", "reasoning", "message", "reasoning", "reasoning"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("agents__spawn", {"name": "spawn", "namespace": "agents"}),
        ("spawn", {"name": "spawn", "namespace": "agents"}),
        ("look", {"name": "look"}),
        ("nobody", {"name": "nobody"}),
    ],
)
def test_a_call_has_the_name_that_the_client_knows(name: str, told: dict[str, str]) -> None:
    """Folded into a namespace again, also where the model left it out."""
    (found,) = output(part(0, ToolCall("c", name, ""), '{"a"', ":1}"))
    assert found == {"type": "function_call", "status": "completed", "call_id": "c", **told, "arguments": '{"a":1}'}


def test_a_custom_tool_is_given_its_text() -> None:
    """Whatever way its arguments came in pieces; what is no text of ours goes as the model wrote it."""
    found, told = grown(
        *part(0, ToolCall("c", "functions__exec", ""), '{"inp', 'ut":"text(1)"}'),
        *part(1, ToolCall("d", "mine", "", vendor={"type": "custom_tool_call"}), "{}"),
    )
    assert [(item["type"], item["name"], item["input"]) for item in found] == [
        ("custom_tool_call", "exec", "text(1)"),
        ("custom_tool_call", "mine", "{}"),
    ]
    assert found[0]["namespace"] == "functions"
    place = {"item_id": "ctc_r_0", "output_index": 0}
    assert told[1:3] == [
        ("custom_tool_call_input.delta", {**place, "delta": "text(1)"}),
        ("custom_tool_call_input.done", {**place, "input": "text(1)"}),
    ]


def test_one_item_after_another() -> None:
    """Calls that a provider streams at the same time are told one by one: clients take the last item for the open one."""
    found, told = grown(
        Open(0, ToolCall("a", "look", "")),
        Open(1, ToolCall("b", "look", "")),
        Open(2, Text("")),
        Delta(1, "{1}"),
        Delta(0, "{0}"),
        Close(1),
        Delta(2, "x"),
        Close(0),
        Delta(2, "y"),
        Close(2),
    )
    assert [item["call_id"] for item in found[:2]] == ["a", "b"]
    assert found[2]["content"] == [text("xy")]
    places = [fields["output_index"] for _, fields in told]
    assert places == sorted(places)


def test_only_the_first_choice_has_a_place() -> None:
    """Who asks here cannot ask for more."""
    assert output([Open(0, Text(""), 1), Delta(0, "a"), Close(0)], part(1, Text(""), "b")) == [message(text("b"))]


def test_what_a_model_drew() -> None:
    """The tool that draws is this API's place for a picture; others have none."""
    picture, film = Media("image", "image/png", data="QUJD"), Media("video", url="https://x")
    found = output([Open(0, picture), Close(0)], [Open(1, film), Close(1)])
    assert found == [{"type": "image_generation_call", "status": "completed", "result": "QUJD"}]


def test_items_that_only_this_api_knows() -> None:
    """Its own come whole; another's stay behind."""
    own, foreign = Other("openai_responses", {"type": "web_search_call", "id": "ws"}), Other("gemini", {"a": 1})
    found, told = grown(*part(0, Text(""), "a"), Open(1, own), Close(1), Open(2, foreign), Close(2))
    assert found[1:] == [own.value]
    assert [kind for kind, _ in told[-3:]] == ["output_item.done", "output_item.added", "output_item.done"]


def test_sources_are_told_with_their_text() -> None:
    """One without a place belongs to the text so far."""
    found, told = grown(
        Open(0, Text("")), Delta(0, "abc"), Cite(0, Citation("u", "t")), Cite(0, Citation("v", start=0, end=1)), Close(0)
    )
    (content,) = found[0]["content"]
    first = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 3}
    assert content["annotations"] == [first, {**first, "url": "v", "title": "", "end_index": 1}]
    place = {"item_id": "msg_r_0", "output_index": 0, "content_index": 0}
    added = ("output_text.annotation.added", {**place, "annotation_index": 0, "annotation": first})
    assert told[3] == added
    file = {"type": "file_citation", "file_id": "f"}
    assert write_annotation(Citation(vendor=file), 0) == file
    assert write_annotation(Citation("u", vendor={"type": "web", "url": "u"}), 5)["type"] == "url_citation"


def test_probabilities_are_told_with_their_text() -> None:
    """With the piece, and with the whole."""
    token = {"token": "a", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    found, told = grown(Open(0, Text("")), Delta(0, "a", (token,)), Close(0))
    assert found[0]["content"][0]["logprobs"] == [token]
    assert [list(fields["logprobs"]) for kind, fields in told if kind.startswith("output_text")] == [[token], [token]]
