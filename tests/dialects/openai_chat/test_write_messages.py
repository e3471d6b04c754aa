"""A conversation, written for providers of OpenAI's form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.openai_chat.telling import CLAUDE, GEMINI, OTHER, ask
from trunkline.canon.chat import Chat, Media, Message, Other, Part, Refusal, Role, Seal, Text, Thinking, ToolCall, ToolResult
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.openai_chat.read_chat import read_chat
from trunkline.dialects.openai_chat.write_messages import Messages, mark
from trunkline.dialects.openai_shape.settings import fit_name

CALL = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
IMAGE = Media("image", "image/png", data="QUJD")
IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}


def written(*messages: Message, dialect: str = "anthropic", **facts: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """The messages, and the names of what was lost."""
    loss = Loss(strict=False)
    return Messages(Chat(dialect, "m", messages), Facts(**facts), loss).write(), list(loss.names)


def answered(*parts: Part, **facts: Any) -> dict[str, Any]:
    """What becomes of an answer of these parts in the middle of a history, without its role."""
    told, _ = written(Message("assistant", parts), Message("user", (Text("go"),)), **facts)
    assert told[0].pop("role") == "assistant"
    return told[0]


def result(*parts: Any, **rest: Any) -> Message:
    """A tool's answer."""
    return Message("tool", (ToolResult("x", "f", parts, **rest),))


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_a_lone_text_is_a_string(role: Role) -> None:
    """What every server takes, however small."""
    assert written(Message(role, (Text("a"),), "n"))[0] == [{"role": role, "name": "n", "content": "a"}]


def test_several_texts_stay_several() -> None:
    """But in an answer, whose pieces were one; empty ones are none."""
    parts = (Text("a"), Text(""), Text("b"))
    told, _ = written(Message("system", parts), Message("user", parts), Message("assistant", parts), Message("user", ()))
    listed = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert [one["content"] for one in told] == [listed, listed, "ab", ""]


def test_instructions_in_the_middle() -> None:
    """Kept where the model takes them there and where the client itself put them so; else first, in order."""
    history = (
        Message("user", (Text("a"),)),
        Message("system", (Text("b"),)),
        Message("user", (Text("c"),)),
        Message("system", (Text("d"),)),
    )
    assert "".join(one["content"] for one in written(*history)[0]) == "bdac"
    assert "".join(one["content"] for one in written(*history, system_midway=True)[0]) == "abcd"
    assert "".join(one["content"] for one in written(*history, dialect="openai_chat")[0]) == "abcd"


ANSWER = Message("assistant", (Text("a"),))
CALLING = Message("assistant", (ToolCall("x", "f", "{}"),))
RULE = Message("system", (Text("b"),))
INSTRUCTED: list[tuple[str, tuple[Message, ...], list[str], list[str]]] = [
    ("after an answer", (ANSWER, RULE), ["assistant", "user"], ["messages[1].role"]),
    ("two of them", (ANSWER, RULE, RULE), ["assistant", "user", "user"], ["messages[1].role", "messages[2].role"]),
    ("between a call and its result", (CALLING, RULE, result(Text("r"))), ["system", "assistant", "tool"], []),
    ("after a result", (CALLING, result(Text("r")), RULE), ["system", "assistant", "tool"], []),
    ("before anything", (RULE, ANSWER), ["system", "assistant"], []),
]


@pytest.mark.parametrize(("history", "roles", "lost"), [case[1:] for case in INSTRUCTED], ids=[case[0] for case in INSTRUCTED])
def test_instructions_that_follow_an_answer_stay(history: tuple[Message, ...], roles: list[str], lost: list[str]) -> None:
    """As the user's words, and just so when the history grows: hoisted, they would change its beginning and its caches."""
    told, names = written(*history)
    assert ([one["role"] for one in told], names) == (roles, lost)
    grown, _ = written(*history, Message("user", (Text("c"),)))
    assert grown[:-1] == told


MEDIA: list[tuple[str, Media, dict[str, Any]]] = [
    ("picture", IMAGE, IMAGE_PART),
    ("a closer look", Media("image", url="https://x", detail="high"),
     {"type": "image_url", "image_url": {"url": "https://x", "detail": "high"}}),
    ("sound", Media("audio", "audio/mpeg", data="QUJD"),
     {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}}),
    ("document", Media("document", "application/pdf", data="QUJD"),
     {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,QUJD"}}),
    ("named", Media("document", "application/pdf", data="QUJD", name="a.pdf"),
     {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}}),
    ("plain text", Media("document", "text/plain", data="w6k="), {"type": "text", "text": "é"}),
    ("plain text that is no base64", Media("document", "text/plain", data="abcde"), {"type": "text", "text": "abcde"}),
    ("plain text with a title", Media("document", "text/plain", data="w6k=", name="T"), {"type": "text", "text": "T\né"}),
    ("video", Media("video", url="https://x"), {"type": "video_url", "video_url": {"url": "https://x"}}),
]  # fmt: skip


@pytest.mark.parametrize(("media", "part"), [case[1:] for case in MEDIA], ids=[case[0] for case in MEDIA])
def test_each_medium(media: Media, part: dict[str, Any]) -> None:
    """In the part that OpenAI has for it."""
    takes = frozenset({"image", "audio", "document", "video"})
    told, lost = written(Message("user", (Text("a"), media)), media=takes)
    assert told == [{"role": "user", "content": [{"type": "text", "text": "a"}, part]}]
    assert lost == []


@pytest.mark.parametrize(
    ("media", "facts"),
    [
        (Media("image", file_id="file_1"), {}),
        (Media("document", file_id="file_1"), {}),
        (Media("document", url="https://x"), {}),
        (Media("audio", url="https://x"), {}),
        (Media("video", url="https://x"), {}),
        (Media("image", url="https://x"), {"media_urls": False}),
        (IMAGE, {"media": frozenset({"audio"})}),
    ],
)
def test_what_the_model_would_miss_is_refused(media: Media, facts: dict[str, Any]) -> None:
    """Without it the model would answer another question."""
    with pytest.raises(GatewayError) as caught:
        written(Message("user", (Text("a"), media)), **facts)
    assert (caught.value.kind, caught.value.param) == (Kind.BAD_REQUEST, "messages[0].content[1]")


def test_results_are_text() -> None:
    """In their calls' order, failures told as such; pictures follow in the user's next message."""
    failed = ToolResult("y", "g", (Text("no"),), failed=True)
    told, _ = written(
        Message("tool", (ToolResult("x", "f", (Text("a"), IMAGE, Text("b"))), failed, ToolResult("z", "h", (IMAGE,)))),
        Message("user", (Text("c"),)),
    )
    assert told == [
        {"role": "tool", "tool_call_id": "x", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "tool", "tool_call_id": "y", "content": "Error: no"},
        {"role": "tool", "tool_call_id": "z", "content": ""},
        {"role": "user", "content": [IMAGE_PART, IMAGE_PART, {"type": "text", "text": "c"}]},
    ]


@pytest.mark.parametrize("following", [(), (Message("assistant", (Text("b"),)),), (Message("system", (Text("b"),)),)])
def test_pictures_of_a_result_find_a_message(following: tuple[Message, ...]) -> None:
    """Where the user says nothing behind it, one is made, before anybody else speaks."""
    told, _ = written(Message("user", (Text("a"),)), result(IMAGE), *following, dialect="gemini", system_midway=True)
    assert told[1:3] == [{"role": "tool", "tool_call_id": "x", "content": ""}, {"role": "user", "content": [IMAGE_PART]}]
    assert len(told) == 3 + len(following)


@pytest.mark.parametrize(
    ("parts", "content"),
    [
        ((Text("a"),), "Error: a"),
        ((Text("Error: a"),), "Error: a"),
        ((), "Error: "),
        ((Text("a"), Text("b")), [{"type": "text", "text": text} for text in ("Error: ", "a", "b")]),
        ((Text("Error: a"), Text("b")), [{"type": "text", "text": text} for text in ("Error: a", "b")]),
    ],
)
def test_a_failed_result_says_so(parts: tuple[Text, ...], content: Any) -> None:
    """OpenAI's form has no field for it; a model must not take an error for a result."""
    assert written(result(*parts, failed=True))[0][0]["content"] == content


def test_calls() -> None:
    """Ids as they are, arguments as the model wrote them, names as OpenAI takes them; content null beside them."""
    told = answered(ToolCall("x", "f", "{}"), ToolCall("y" * 50, "a.b:c", '{"a":'))
    assert told["content"] is None
    first, second = told["tool_calls"]
    assert first == CALL
    assert second["function"] == {"name": fit_name("a.b:c"), "arguments": '{"a":'}
    assert len(second["id"]) == 40
    answer, _ = written(Message("tool", (ToolResult("y" * 50, "f", ()),)))
    assert answer[0]["tool_call_id"] == second["id"]
    assert answered(Text("a"), ToolCall("x", "f", "{}"))["content"] == "a"
    assert answered()["content"] == ""


def test_mistrals_ids() -> None:
    """Nine letters or digits: others are made so, the same for a call and its result and in every turn."""
    told, _ = written(
        Message("assistant", (ToolCall("abcDEF123", "f", "{}"), ToolCall("toolu_1", "g", "{}"))),
        Message("tool", (ToolResult("abcDEF123", "f", ()), ToolResult("toolu_1", "g", ()))),
        call_ids="alnum9",
    )
    calls = [call["id"] for call in told[0]["tool_calls"]]
    assert calls == [one["tool_call_id"] for one in told[1:]]
    assert calls[0] == "abcDEF123"
    assert (len(calls[1]), calls[1].isalnum()) == (9, True)


THOUGHTS = (Thinking("a"), Thinking("b", CLAUDE), Thinking("", OTHER, redacted=True), Text("c"))


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({}, {"content": "c"}),
        ({"reasoning_field": "reasoning_content"}, {"content": "c", "reasoning_content": "a"}),
        ({"reasoning_field": "reasoning"}, {"content": "c", "reasoning": "a"}),
        (
            {"reasoning_field": "content"},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}, {"type": "text", "text": "c"}]},
        ),
        (
            {"reasoning_field": "reasoning_details"},
            {
                "content": "c",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "a", "index": 0},
                    {"type": "reasoning.text", "text": "b", "signature": "sig", "format": "anthropic-claude-v1", "index": 1},
                    {"type": "reasoning.encrypted", "data": "enc", "format": "openai-responses-v1", "index": 2},
                ],
            },
        ),
    ],
)
def test_thinking_goes_back_where_the_provider_wants_it(facts: dict[str, Any], told: dict[str, Any]) -> None:
    """Its own words under its own name; another family's state is an error there, and stays here."""
    assert answered(*THOUGHTS, **facts) == told


def test_thinking_that_stays_is_noted() -> None:
    """Silence would be a loss nobody can find."""
    history = (Message("assistant", THOUGHTS), Message("user", (Text("d"),)))
    for field in ("", "reasoning_content", "content"):
        assert written(*history, reasoning_field=field)[1] == ["reasoning"]
    assert written(*history, reasoning_field="reasoning_details")[1] == []
    assert written(Message("assistant", (Thinking("a"), Text("b"))), reasoning_field="reasoning")[1] == []


def test_a_model_that_thinks_in_its_field_wants_it_back_even_empty() -> None:
    """DeepSeek: 400 "The reasoning_content in the thinking mode must be passed back"."""
    deepseek = {"reasoning_field": "reasoning_content", "thinks": "switch"}
    assert answered(Text("a"), **deepseek) == {"content": "a", "reasoning_content": ""}
    assert answered(Thinking("a"), ToolCall("x", "f", "{}"), **deepseek)["reasoning_content"] == "a"
    assert answered(Thinking("a", CLAUDE), Text("b"), **deepseek)["reasoning_content"] == ""
    assert answered(Text("a"), reasoning_field="reasoning", thinks="effort") == {"content": "a"}
    assert answered(Text("a"), reasoning_field="reasoning_details", thinks="effort") == {"content": "a"}


def test_mistrals_own_signature_goes_back() -> None:
    """With its thinking, before words that are several."""
    told = answered(
        Thinking("a", Seal("openai_chat", "s")), Text("b", cache="5m"), reasoning_field="content", cache_field="cache_control"
    )
    assert told["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "a"}], "signature": "s"},
        {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}},
    ]


SKIP = {"google": {"thought_signature": "skip_thought_signature_validator"}}
OWN = {"google": {"thought_signature": "c2ln"}}


@pytest.mark.parametrize(
    ("seals", "extras"),
    [
        ((GEMINI, None), [OWN, None]),
        ((None, GEMINI), [None, OWN]),
        ((None, None), [SKIP, None]),
        ((CLAUDE, None), [SKIP, None]),
    ],
)
def test_gemini_behind_this_form_gets_its_signatures(seals: tuple[Seal | None, ...], extras: list[Any]) -> None:
    """A call without one is a 400 there; Google names the word for one that is not known."""
    calls = [ToolCall(str(at), "f", "{}", seal) for at, seal in enumerate(seals)]
    told = answered(*calls, signatures=True)
    assert [call.get("extra_content") for call in told["tool_calls"]] == extras
    assert all("extra_content" not in call for call in answered(*calls)["tool_calls"])


def test_a_text_bears_its_signature_to_gemini_only() -> None:
    """Elsewhere the field is unknown."""
    assert answered(Text("a", GEMINI), signatures=True) == {"content": "a", "extra_content": OWN}
    assert answered(Text("a", CLAUDE), signatures=True) == {"content": "a"}
    assert answered(Text("a", GEMINI)) == {"content": "a"}


def test_openrouter_keeps_geminis_signatures_by_the_call() -> None:
    """In its details, under the call's id."""
    told = answered(ToolCall("x", "f", "{}", GEMINI), reasoning_field="reasoning_details")
    assert told["reasoning_details"] == [
        {"type": "reasoning.encrypted", "data": "c2ln", "format": "google-gemini-v1", "id": "x", "index": 0}
    ]


@pytest.mark.parametrize(
    ("field", "cache", "told"),
    [
        ("cache_control", "5m", {"cache_control": {"type": "ephemeral"}}),
        ("cache_control", "1h", {"cache_control": {"type": "ephemeral", "ttl": "1h"}}),
        ("prompt_cache_breakpoint", "5m", {"prompt_cache_breakpoint": {"mode": "explicit"}}),
        ("prompt_cache_breakpoint", "1h", {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}),
        ("", "5m", {}),
        ("cache_control", "", {}),
    ],
)
def test_cache_marks(field: Any, cache: Any, told: dict[str, Any]) -> None:
    """In the provider's spelling; where it has none, caching goes by itself and the mark is noted."""
    loss = Loss(strict=True)
    assert mark(cache, Facts(cache_field=field), loss) == told
    assert list(loss.names) == (["cache_control"] if cache and not field else [])


def test_marks_stand_on_their_parts() -> None:
    """A text with a mark is no bare string; a result's mark stands on its message."""
    told, _ = written(Message("user", (Text("a", cache="5m"),)), result(Text("b"), cache="5m"), cache_field="cache_control")
    assert told[0]["content"] == [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]
    assert told[1]["cache_control"] == {"type": "ephemeral"}


def test_what_has_no_place_is_noted() -> None:
    """Server tools of another provider, fields of another dialect, a picture that a model made."""
    server = Other("anthropic", {"type": "x"})
    told, lost = written(
        Message("user", (Text("a", vendor={"citations": []}), Refusal("no"))),
        Message("assistant", (IMAGE, server, Text("b"), ToolCall("x", "f", "{}", vendor={"caller": 1})), vendor={"v": 1}),
        Message("tool", (ToolResult("x", "f", (Text("c"),), vendor={"w": 1}), Text("stray"))),
    )
    assert told == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "x", "content": "c"},
    ]
    assert lost == [
        "messages[0].content[0].citations",
        "messages[1].content[0]",
        "messages[1].content[1]",
        "messages[1].tool_calls[0].caller",
        "messages[1].v",
        "messages[2].content[0].w",
    ]


@pytest.mark.parametrize("role", ["user", "system"])
def test_what_is_asked_must_not_be_left_out(role: Role) -> None:
    """A model that does not get the search results its user sends would answer another question."""
    with pytest.raises(GatewayError, match="has no place for it") as caught:
        written(Message(role, (Text("a"), Other("anthropic", {"type": "search_result"}))))
    assert (caught.value.kind, caught.value.param) == (Kind.BAD_REQUEST, "messages[0].content[1]")


def test_what_a_tool_answers_goes_in_any_form() -> None:
    """As its JSON: a model reads that, and without it the call would look as if nothing came of it."""
    found = Other("anthropic", {"type": "search_result", "title": "t"})
    assert written(result(found), result(found, failed=True)) == (
        [
            {"role": "tool", "tool_call_id": "x", "content": '{"type":"search_result","title":"t"}'},
            {"role": "tool", "tool_call_id": "x", "content": 'Error: {"type":"search_result","title":"t"}'},
        ],
        [],
    )


@pytest.mark.parametrize("history", [(), (Message("assistant", (Text("a"),)),)])
def test_an_empty_conversation_is_no_question(history: tuple[Message, ...]) -> None:
    """Providers refuse it in many ways, each naming fields the client does not know."""
    with pytest.raises(GatewayError, match="conversation is empty") as caught:
        written(*history, refuses=frozenset({"prefill"}))
    assert (caught.value.kind, caught.value.param) == (Kind.BAD_REQUEST, "messages")


def test_an_entry_of_details_is_no_content() -> None:
    """OpenRouter's record of its own tools goes back to it, and to nobody else; Mistral's references are content."""
    entry, reference = {"type": "reasoning.server_tool_call", "tool_name": "x"}, {"type": "reference", "reference_ids": [1]}
    history = Message("assistant", (Other("openai_chat", entry), Other("openai_chat", reference), Text("a")))
    told, lost = written(history, dialect="openai_chat")
    assert told == [{"role": "assistant", "content": [reference, {"type": "text", "text": "a"}]}]
    assert lost == ["messages[0].content[0]"]
    told, lost = written(history, dialect="openai_chat", reasoning_field="reasoning_details")
    assert (told[0]["reasoning_details"], lost) == ([entry], [])


def test_a_begun_answer() -> None:
    """Left out and named where the model would refuse it; only the last message is one."""
    history = (Message("assistant", (Text("a"),)), Message("user", (Text("b"),)), Message("assistant", (Text("c"),)))
    assert len(written(*history)[0]) == 3
    told, lost = written(*history, refuses=frozenset({"prefill"}))
    assert (len(told), lost) == (2, ["messages[2]"])


ROUND: list[dict[str, Any]] = [
    {"role": "system", "content": "a"},
    {"role": "developer", "content": [{"type": "text", "text": "a", "x": 1}]},
    {"role": "user", "name": "n", "content": [{"type": "text", "text": "a"}, {**IMAGE_PART}]},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x", "detail": "low", "x": 1}}]},
    {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}]},
    {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1", "filename": "a.pdf"}}]},
    {"role": "user", "content": [{"type": "file", "file": {"file_data": "data:text/plain;base64,QUJD"}}]},
    {"role": "assistant", "content": "a", "prefix": True},
    {"role": "assistant", "content": None, "refusal": "no"},
    {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "y" * 60}]},
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "x", "type": "custom", "custom": {"name": "c", "input": "a"}},
    ]},
    {"role": "assistant", "content": "a", "reasoning_details": [
        {"type": "reasoning.text", "text": "t", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.summary", "summary": "s", "id": "rs", "index": 1},
        {"type": "reasoning.other", "x": 1},
    ]},
    {"role": "tool", "tool_call_id": "x", "content": "a", "name": "f", "x": 1},
    {"role": "tool", "tool_call_id": "y", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
]  # fmt: skip


@pytest.mark.parametrize("message", ROUND, ids=[f"{at}: {one['role']}" for at, one in enumerate(ROUND)])
def test_a_message_of_this_dialect_comes_back_as_it_was(message: dict[str, Any]) -> None:
    """Through canon for a picture's sake: what the client wrote is what the provider reads."""
    chat = read_chat(ask(messages=[message]))
    loss = Loss(strict=True)
    assert Messages(chat, Facts(reasoning_field="reasoning_details"), loss).write() == [message]
    assert not loss.names


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
TURNS = st.one_of(
    st.builds(
        Message, st.sampled_from(["system", "user"]), st.lists(st.builds(Text, WORDS), min_size=1, max_size=3).map(tuple)
    ),
    st.builds(
        lambda thinking, text, calls: Message("assistant", (*thinking, *text, *calls)),
        st.lists(st.builds(Thinking, WORDS, st.just(CLAUDE)), max_size=2),
        st.lists(st.builds(Text, WORDS), max_size=1),
        st.lists(st.builds(ToolCall, WORDS, st.text("abc_-9", min_size=1), st.just("{}")), min_size=1, max_size=2),
    ),
)


@given(st.lists(TURNS, min_size=1, max_size=5))
def test_a_conversation_survives(messages: list[Message]) -> None:
    """Any history of another dialect, written here and read back, says the same; written twice, it is the same."""
    facts = {"reasoning_field": "reasoning_details", "system_midway": True}
    told, lost = written(*messages, **facts)
    assert lost == []
    assert list(read_chat(ask(messages=told)).messages) == messages
    assert written(*messages, **facts)[0] == told
