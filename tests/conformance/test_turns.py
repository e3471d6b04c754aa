"""Conversations with tools and thinking, for every client API and provider: what the provider made comes back to it intact.

The provider's first answer holds thinking with opaque state and two tool calls at once. The client's SDK hands it back as
its users do. Then the provider must find its own signature, ids and order in its own form; a provider of another family
must find nothing of it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from conformance.asked import asked
from conformance.meaning import turns
from conformance.plays import CALLS, PLAYS, RESULTS, SEAL, TEXT, THOUGHT, Play
from conformance.said import Json
from conformance.stage import PLAY_ENDPOINTS, Part, Stage
from conformance.talkers import FIRST, NEXT, TALKERS, Talker
from harness.gateway import Gateway
from harness.script import Seen

SENTINEL = "skip_thought_signature_validator"
"""What Google lets stand for a signature that there is none of."""
WAYS = ("whole", "stream")
STREAM = pytest.mark.parametrize("stream", [False, True], ids=WAYS)
EVERY_TALKER = pytest.mark.parametrize("talker", TALKERS)
EVERY_PLAY = pytest.mark.parametrize("play", PLAYS.values(), ids=PLAYS)
FOREIGN = {
    "gemini": "gemini", "anthropic": "anthropic", "ollama": "ollama", "openai": "deepseek", "responses": "responses",
    "bedrock": "bedrock",
}  # fmt: skip


def is_taken(talker: str, play: str, way: str) -> bool:
    """Whether the SDK itself can take such an answer: OpenAI's cannot put a streamed list of content together."""
    return not (play == "mistral" and way == "stream" and talker.startswith("openai"))


def is_foreign(play: str, other: str) -> bool:
    """None of the first one's state may reach the second. Claude stays Claude behind OpenRouter."""
    return PLAYS[play].api != PLAYS[other].api and (play, other) != ("openrouter", "anthropic")


def ways(talker: str, play: str, family: str) -> list[str]:
    """One of both, another for each combination."""
    turn = zlib.crc32(f"{talker} {play} {family}".encode()) % len(WAYS)
    return [WAYS[turn] if is_taken(talker, play, WAYS[turn]) else WAYS[0]]


TALKS = [
    pytest.param(talker, PLAYS[play], way == "stream", id=f"{talker}-{play}-{way}")
    for talker, play, way in product(TALKERS, PLAYS, WAYS)
    if is_taken(talker, play, way)
]
SWITCHES = [
    pytest.param(talker, PLAYS[play], PLAYS[other], way == "stream", id=f"{talker}-{play}-{family}-{way}")
    for talker, play, (family, other) in product(TALKERS, PLAYS, FOREIGN.items())
    if is_foreign(play, other)
    for way in ways(talker, play, family)
]


def part_of(play: Play) -> Part:
    """The play as a provider; it streams where it is asked to."""

    def answer(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        streamed = (
            b":streamGenerateContent" in seen.head
            or b"/converse-stream" in seen.head
            or bool(json.loads(seen.body).get("stream"))
        )
        return 200, *play.answer(streamed)

    return Part(f"p-{play.name}", play.kind, PLAY_ENDPOINTS[play.api], play.model, answer)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One gateway with a provider for every play."""
    folder = tmp_path_factory.mktemp("turns")
    with Stage(lambda config: Gateway(config, folder), [part_of(play) for play in PLAYS.values()]) as running:
        yield running


def talk_of(stage: Stage, talker: str, play: Play) -> Talker:
    """A conversation with the play's provider."""
    client, bare = TALKERS[talker]
    return Talker(stage.clients[client], f"p-{play.name}/{play.model}", bare=bare)


def ask(stage: Stage, talk: Talker, stream: bool) -> Json:
    """One more request of the conversation; what of it reached the provider."""
    before = len(stage.upstream.requests)
    talk.say(stream)
    assert len(stage.upstream.requests) == before + 1
    return dict(json.loads(stage.upstream.requests[-1].body))


def second(stage: Stage, talk: Talker, play: Play, stream: bool) -> tuple[Json, Json]:
    """The first two requests of the conversation as they reached the provider."""
    stage.cut = "random"
    opening = ask(stage, talk, stream)
    if play.tools:
        assert [name for _, name in talk.calls] == [name for name, _ in CALLS], "the client must see both calls"
        talk.results()
    else:
        talk.user(NEXT)
    return opening, ask(stage, talk, stream)


# what each provider must find ----------------------------------------------------------------------------------------------


def check_openai(play: Play, body: Json) -> None:
    """The message as it was, in the fields that this provider knows, and a result for each call."""
    messages = body["messages"]
    at = next(number for number, one in enumerate(messages) if one["role"] == "assistant")
    got = messages[at]
    for name in set(play.message) - {"reasoning"}:
        assert _decoded(got[name]) == _decoded(play.message[name]), name
    if "reasoning_details" in play.message:
        assert got.get("reasoning", THOUGHT) == THOUGHT
    results = [(one["role"], one["tool_call_id"], one["content"]) for one in messages[at + 1 :]]
    assert results == [("tool", call["id"], text) for call, text in zip(play.message["tool_calls"], RESULTS, strict=True)]


def _decoded(value: Any) -> Any:
    """Arguments as what they say: how their JSON is spaced is nobody's business."""
    if isinstance(value, list):
        return [_decoded(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    return {name: json.loads(inner) if name == "arguments" else _decoded(inner) for name, inner in value.items()}


def check_anthropic(play: Play, body: Json) -> None:
    """The blocks as they were, in order, and one message of results."""
    user, got, *rest = body["messages"]
    assert user["role"] == "user"
    assert got["role"] == "assistant"
    assert [_only(block, _BLOCKS[block["type"]]) for block in got["content"]] == play.message
    assert [one["role"] for one in rest] == ["user"]
    if play.tools:
        ids = [block["id"] for block in play.message if block["type"] == "tool_use"]
        assert [block["tool_use_id"] for block in rest[0]["content"]] == ids
        assert [_text(block["content"]) for block in rest[0]["content"]] == list(RESULTS)


_BLOCKS = {
    "thinking": ("type", "thinking", "signature"), "redacted_thinking": ("type", "data"), "text": ("type", "text"),
    "tool_use": ("type", "id", "name", "input"),
}  # fmt: skip


def check_gemini(play: Play, body: Json) -> None:
    """Calls and texts as they were, each with its signature and id; thoughts need not come back; one turn of results."""
    user, got, *rest = body["contents"]
    assert user["role"] == "user"
    assert got["role"] == "model"
    thoughts = [part["text"] for part in got["parts"] if part.get("thought")]
    assert "".join(thoughts) in {"", THOUGHT}
    assert _joined(got["parts"]) == _joined(play.message)
    assert [one.get("role") for one in rest] == ["user"]
    if play.tools:
        answers = [part["functionResponse"] for part in rest[0]["parts"]]
        assert [one["name"] for one in answers] == [name for name, _ in CALLS]
        ids = [part["functionCall"].get("id") for part in play.message if "functionCall" in part]
        assert [one.get("id") for one in answers] == ids
        assert [next(iter(one["response"].values())) for one in answers] == list(RESULTS)


def _joined(parts: list[Json]) -> list[Json]:
    """Parts but for thoughts; pieces of one text are one; a signature stands at its end, in either alphabet."""
    found: list[Json] = []
    for part in parts:
        if "thoughtSignature" in part:
            part = {**part, "thoughtSignature": part["thoughtSignature"].replace("-", "+").replace("_", "/")}  # noqa: PLW2901
        if part.get("thought") or (not part.get("text", "x") and not part.get("thoughtSignature")):
            continue
        if found and "text" in part and "text" in found[-1] and "thoughtSignature" not in found[-1]:
            found[-1] = {**found[-1], **part, "text": found[-1]["text"] + part["text"]}
        else:
            found.append(part)
    return found


def check_ollama(play: Play, body: Json) -> None:
    """The message with its thinking and its calls, and a result by name for each."""
    messages = body["messages"]
    at = next(number for number, one in enumerate(messages) if one["role"] == "assistant")
    got, want = messages[at], play.message
    assert got["content"] == want["content"]
    assert got["thinking"] == want["thinking"]
    assert [(call["function"]["name"], call["function"]["arguments"]) for call in got["tool_calls"]] == list(CALLS)
    ids = [call.get("id") for call in want["tool_calls"]]
    assert [call.get("id") for call in got["tool_calls"]] in (ids, [None, None])
    results = messages[at + 1 :]
    assert [(one["role"], one["tool_name"], one["content"]) for one in results] == [
        ("tool", name, text) for (name, _), text in zip(CALLS, RESULTS, strict=True)
    ]
    assert [one.get("tool_call_id") for one in results] in (ids, [None, None])


def _only(block: Json, names: tuple[str, ...]) -> Json:
    return {name: block[name] for name in names if name in block}


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def check_responses(play: Play, body: Json) -> None:
    """The items as they were, in order, and a result for each call; nothing is kept there."""
    assert body["store"] is False
    items = [item for item in body["input"] if item["type"] != "message" or item["role"] == "assistant"]
    assert [item.get("encrypted_content") for item in items if item["type"] == "reasoning"] == [SEAL]
    want = [_item(item) for item in play.message]
    assert [_item(item) for item in items[: len(want)]] == want
    if play.tools:
        ids = [item["call_id"] for item in play.message if item["type"] == "function_call"]
        assert [(item["type"], item["call_id"], item["output"]) for item in items[len(want) :]] == [
            ("function_call_output", ident, text) for ident, text in zip(ids, RESULTS, strict=True)
        ]


def _item(item: Json) -> Any:
    match item["type"]:
        case "reasoning":
            return "thought", "".join(part["text"] for name in ("summary", "content") for part in item.get(name) or ())
        case "function_call":
            return item["call_id"], item["name"], json.loads(item["arguments"])
        case _:
            return "".join(part["text"] for part in item["content"])


def check_bedrock(play: Play, body: Json) -> None:
    """The blocks as they were, in order, and one message of results."""
    user, got, *rest = body["messages"]
    assert (user["role"], got["role"]) == ("user", "assistant")
    assert got["content"] == play.message
    assert [one["role"] for one in rest] == ["user"]
    if play.tools:
        results = [block["toolResult"] for block in rest[0]["content"]]
        assert [one["toolUseId"] for one in results] == [
            block["toolUse"]["toolUseId"] for block in play.message if "toolUse" in block
        ]
        assert [one["content"] for one in results] == [[{"text": text}] for text in RESULTS]


CHECKS = {
    "openai": check_openai, "anthropic": check_anthropic, "gemini": check_gemini, "ollama": check_ollama,
    "responses": check_responses, "bedrock": check_bedrock,
}  # fmt: skip


def conversation(play: Play, question: str) -> list[tuple[Any, ...]]:
    """What was said, without what was thought."""
    told = [("user", "text", "".join(question.split())), ("assistant", "text", "".join(TEXT.split()))]
    if not play.tools:
        return [*told, ("user", "text", "".join(NEXT.split()))]
    return [
        *told,
        *(("assistant", "call", name, arguments, number) for number, (name, arguments) in enumerate(CALLS)),
        *(("user", "result", number, "".join(text.split())) for number, text in enumerate(RESULTS)),
    ]


@pytest.mark.parametrize(("talker", "play", "stream"), TALKS)
def test_state_ids_and_order_come_back_to_their_provider(talker: str, play: Play, stream: bool, stage: Stage) -> None:
    """Without its own state in its own place a provider refuses the turn, or thinks all over again."""
    talk = talk_of(stage, talker, play)
    _, got = second(stage, talk, play, stream)
    if TALKERS[talker][0] != play.api:
        CHECKS[play.api](play, got)
        return
    assert turns(asked(PLAY_ENDPOINTS[play.api], got)) == conversation(
        play, talk.question
    )  # bytes pass: what a user leaves out is left out
    if talker in {"openai", "responses", "anthropic"}:
        assert all(seal in json.dumps(got) for seal in play.seals)


@EVERY_PLAY
@EVERY_TALKER
def test_the_prompt_grows_only_at_its_end(talker: str, play: Play, stage: Stage) -> None:
    """Prompt caches and bound thinking need every turn to begin with the same bytes as the turn before."""
    talk = talk_of(stage, talker, play)
    opening, got = second(stage, talk, play, stream=False)
    talk.user(NEXT) if play.tools else talk.user(FIRST)
    third = ask(stage, talk, stream=play.name != "mistral")
    name = {"gemini": "contents", "responses": "input"}.get(play.api, "messages")
    assert got[name][: len(opening[name])] == opening[name]
    assert third[name][: len(got[name])] == got[name]
    for field in ("system", "systemInstruction", "instructions", "tools", "toolConfig"):
        assert opening.get(field) == got.get(field) == third.get(field)


@pytest.mark.parametrize(("talker", "play", "other", "stream"), SWITCHES)
def test_no_state_reaches_another_family(talker: str, play: Play, other: Play, stream: bool, stage: Stage) -> None:
    """A provider that is shown another's state refuses the request; the conversation itself must arrive whole."""
    talk = talk_of(stage, talker, play)
    stage.cut = "whole"
    ask(stage, talk, stream)
    talk.results() if play.tools else talk.user(NEXT)
    talk.model = f"p-{other.name}/{other.model}"
    got = ask(stage, talk, stream)
    raw = json.dumps(got)
    for seal in (SEAL, *play.seals, "dGwx"):
        assert seal not in raw, "foreign state"
    assert '"redacted_thinking"' not in raw
    assert '"reasoningContent"' not in raw
    assert '"type": "reasoning"' not in raw
    if other.api == "anthropic":
        assert '"thinking"' not in json.dumps(got["messages"]), "thinking that nobody signed"
    if other.api == "gemini":
        seals = [part.get("thoughtSignature", SENTINEL) for one in got["contents"] for part in one["parts"]]
        assert set(seals) == {SENTINEL}
    assert turns(asked(PLAY_ENDPOINTS[other.api], got)) == conversation(play, talk.question)


@STREAM
@EVERY_PLAY
@EVERY_TALKER
def test_thinking_is_shown_to_every_client(talker: str, play: Play, stream: bool, stage: Stage) -> None:
    """Each API has a place for what a model thinks aloud; a user who asked for it must see it."""
    client, _ = TALKERS[talker]
    scene = stage.ask(
        part_of(play),
        client,
        lambda sdk, model: sdk.send(model, talk_of(stage, talker, play).arguments, stream=stream, helper=False),
    )
    assert not scene.heard.raised, scene.heard.said.error
    assert scene.heard.said.thinking == THOUGHT
    assert scene.heard.said.text == TEXT
    assert [(call.name, call.arguments) for call in scene.heard.said.calls] == (list(CALLS) if play.tools else [])
