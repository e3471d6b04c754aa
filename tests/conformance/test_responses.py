"""Every recorded exchange of the Responses API through both ways: bytes that pass, and words that are read into canon.

What an answer says is read here a second time by OpenAI's own SDK.
"""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseReasoningItem

from conformance.recordings import Recording, parameters, recordings
from trunkline.canon.chat import Choice, Message, Refusal, Reply, Text, Thinking, ToolCall, ToolResult
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.canon.stream import Begin, Count, End, Event, Fold
from trunkline.dialects.dialect import Ask
from trunkline.dialects.openai_chat.dialect import OpenAIChat
from trunkline.dialects.openai_responses.dialect import OpenAIResponses
from trunkline.dialects.openai_responses.reader import ResponsesReader
from trunkline.dialects.openai_responses.tap import ResponsesTap

DIALECT = OpenAIResponses()
ALL = [
    one for one in recordings("openai.responses") if one.status != 200 or b'"output"' in one.body
]  # one recorded answer is a chat completion
STREAMS = [one for one in ALL if one.streamed]
WHOLE = [one for one in ALL if one.status == 200 and not one.streamed]
#: A request that goes on with what the provider keeps can only pass.
ASKED = [one for one in ALL if one.request.get("input") and not one.request.get("previous_response_id")]
_ASK = Ask(fields={}, model="m", stream=True, include_usage=True)
_AROUND = range(-3, 4)


def parsed(recording: Recording) -> Response:
    """The answer, as the SDK holds it."""
    if not recording.streamed:
        return Response.construct(**json.loads(recording.body))
    lines = [line[5:].strip() for line in recording.body.decode().splitlines() if line.startswith("data:")]
    events = [json.loads(line) for line in lines if line != "[DONE]"]
    (told,) = [one["response"] for one in events if one["type"] in {"response.completed", "response.incomplete"}]
    done = [one for one in events if one["type"] == "response.output_item.done"]  # state is told there, and anew at the end
    return Response.construct(**told | {"output": [one["item"] for one in sorted(done, key=lambda one: one["output_index"])]})


def events(body: bytes, cuts: list[int]) -> list[Event]:
    """The events of a stream that comes in pieces."""
    reader = ResponsesReader("seed")
    pieces = [body[start:end] for start, end in pairwise([0, *cuts, len(body)])]
    return [one for piece in pieces for one in reader.feed(piece)] + reader.close()


def passed(body: bytes, cuts: list[int]) -> tuple[Any, ...]:
    """What goes out, and what a tap has seen."""
    tap = ResponsesTap(_ASK, hide_usage=True)
    pieces = [body[start:end] for start, end in pairwise([0, *cuts, len(body)])]
    out = b"".join(map(tap.feed, pieces)) + tap.close()
    return out, tap.usage, tap.raw_usage, tap.finish, tap.complete, tap.ended, tap.error, tap.unread, tap.estimate()


def slicings(body: bytes) -> list[list[int]]:
    """Byte by byte, a single cut at every place around the end of an event, and random cuts."""
    dice = random.Random(body)
    ends = [at for at in range(1, len(body)) if body[at - 2 : at] == b"\n\n"]
    around = sorted({end + off for end in ends for off in _AROUND if 0 < end + off < len(body)})
    few = [sorted(dice.sample(range(1, len(body)), dice.randint(1, 12))) for _ in range(20)]
    return [list(range(1, len(body))), *([at] for at in around), *few]


def shown(thought: ResponseReasoningItem) -> str:
    """What a piece of reasoning shows of itself."""
    return "\n\n".join(one.text for one in thought.summary) or "".join(one.text for one in thought.content or ())


def same(choice: Choice, told: Response) -> None:
    """Text, thinking, calls and state are those that the SDK sees."""
    calls = [one for one in told.output if isinstance(one, ResponseFunctionToolCall)]
    thoughts = [one for one in told.output if isinstance(one, ResponseReasoningItem)]
    assert "".join(part.text for part in choice.parts if isinstance(part, Text)) == told.output_text
    found = [part for part in choice.parts if isinstance(part, ToolCall)]
    assert [(call.id, call.name, call.arguments) for call in found] == [(one.call_id, one.name, one.arguments) for one in calls]
    sealed = [(shown(one), one.encrypted_content or "") for one in thoughts]
    thinking = [part for part in choice.parts if isinstance(part, Thinking)]
    assert [(part.text, part.seal.data if part.seal else "") for part in thinking] == [one for one in sealed if any(one)]
    assert choice.finish == ("tool_calls" if calls else "stop")


def counted(reply: Reply, told: Response) -> None:
    """To the token."""
    used, usage = told.usage, reply.usage
    assert used is not None
    assert (usage.input, usage.output, usage.input + usage.output) == (used.input_tokens, used.output_tokens, used.total_tokens)
    read, thought = used.input_tokens_details.cached_tokens, used.output_tokens_details.reasoning_tokens
    assert (usage.cache_read, usage.reasoning) == (read, thought)


@pytest.mark.parametrize("recording", parameters(WHOLE))
def test_a_recorded_answer_is_what_the_sdk_sees(recording: Recording) -> None:
    """What is missing here no client of another API ever sees."""
    reply, told = DIALECT.read_answer(recording.body, "seed"), parsed(recording)
    same(reply.choices[0], told)
    counted(reply, told)
    assert (reply.id, reply.model) == (told.id, told.model)
    whole = DIALECT.read_reply(recording.body)
    assert (whole.usage, whole.finish) == (reply.usage, told.status)


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_a_recorded_stream_is_what_the_sdk_sees(recording: Recording) -> None:
    """The same, in pieces; and what passes is what came."""
    found, told = events(recording.body, []), parsed(recording)
    fold = Fold("openai_responses")
    fold.add(found)
    same(fold.reply().choices[0], told)
    counted(fold.reply(), told)
    assert isinstance(found[0], Begin)
    assert isinstance(found[-2], Count)
    assert isinstance(found[-1], End)
    out, usage, raw, finish, complete, ended, error, unread, _ = passed(recording.body, [])
    assert out == recording.body
    assert (usage, raw) == (fold.reply().usage, fold.reply().raw_usage)
    assert (finish, complete, ended, error, unread) == (told.status, True, True, None, 0)


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_slicing_a_recorded_stream_changes_nothing(recording: Recording) -> None:
    """The same bytes in other packets must not lose a token or a letter."""
    body = recording.body
    read, seen = events(body, []), passed(body, [])
    for cuts in slicings(body):
        assert events(body, cuts) == read
        assert passed(body, cuts) == seen


def plain(message: Message) -> tuple[Any, ...]:
    """What a message says, whatever it is called."""
    parts = []
    for part in message.parts:
        if isinstance(part, Text | Refusal | Thinking):
            parts.append(part.text)
        elif isinstance(part, ToolCall):
            parts.append((part.id, part.name, part.arguments))
        elif isinstance(part, ToolResult):
            parts.append((part.id, "\n".join(one.text for one in part.parts if isinstance(one, Text))))
        else:
            parts.append(type(part).__name__)
    return message.role, *filter(None, parts)


@pytest.mark.parametrize("recording", parameters(ASKED))
def test_a_recorded_request_means_the_same_through_canon(recording: Recording) -> None:
    """A client whose bytes cannot pass must be answered as if they had."""
    body = json.dumps({"model": "m", **recording.request}).encode()
    chat = DIALECT.read_chat(DIALECT.read_request(body))
    loss = Loss(strict=True)
    written = DIALECT.write_chat(
        chat, "m", Facts(thinks="effort", efforts=("minimal", "low", "medium", "high")), loss, ask_usage=True
    )
    again = DIALECT.read_chat(DIALECT.read_request(written.body))
    assert [plain(message) for message in again.messages] == [plain(message) for message in chat.messages]
    assert (again.tools, again.tool_choice, again.output, again.reasoning) == (
        chat.tools, chat.tool_choice, chat.output, chat.reasoning,
    )  # fmt: skip
    assert loss.names == {}


_MEDIA = ('"image_url"', '"input_audio"', '"file"')
"""What tests of their own try."""


def _chats() -> list[Recording]:
    """Requests of OpenAI's other API, of those that a native model takes."""
    found = [one for one in recordings("openai.chat") if one.provider in {"openai", "azure"} and one.request.get("messages")]
    return [one for one in found if not any(kind in json.dumps(one.request) for kind in _MEDIA)]


@pytest.mark.parametrize("recording", parameters(_chats()))
def test_a_recorded_chat_is_asked_here(recording: Recording) -> None:
    """A model that is only had here must be asked what the client asked."""
    client = OpenAIChat()
    chat = client.read_chat(client.read_request(json.dumps({"model": "m", **recording.request}).encode()))
    written = DIALECT.write_chat(chat, "m", Facts(system_midway=True), Loss(strict=False), ask_usage=True)
    assert json.loads(written.body)["store"] is False
    again = DIALECT.read_chat(DIALECT.read_request(written.body))
    said = [plain(message) for message in chat.messages]
    assert [one for one in map(plain, again.messages) if len(one) > 1] == [one for one in said if len(one) > 1]
    assert [getattr(tool, "name", "") for tool in again.tools] == [getattr(tool, "name", "") for tool in chat.tools]
    assert (again.max_tokens, again.output) == (chat.max_tokens and max(16, chat.max_tokens), chat.output)
