"""The whole answer for a client."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from conformance.recordings import Recording, parameters
from dialects.ollama import samples
from dialects.ollama.samples import REPLY, frame, line
from trunkline.canon.chat import Choice, Media, Refusal, Reply, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE
from trunkline.dialects.ollama.read_answer import read_answer
from trunkline.dialects.ollama.write_answer import write_answer

ZEROS = dict.fromkeys(("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"), 0)


def written(reply: Reply, form: str = "") -> dict[str, Any]:
    """The answer, decoded."""
    found: dict[str, Any] = json.loads(write_answer(reply, frame(form)))
    return found


def of(*parts: Any, **fields: Any) -> Reply:
    """A foreign reply of these parts."""
    return Reply("anthropic", "", "", (msgspec.structs.replace(Choice(parts, "stop"), **fields),))


def test_a_foreign_answer_is_written() -> None:
    """All that Ollama's clients look for, durations as integers."""
    assert written(REPLY) == {
        "model": "gpt",
        "created_at": "2026-08-07T06:08:09Z",
        "message": {
            "role": "assistant",
            "content": "It rains.",
            "thinking": "Hm.",
            "tool_calls": [
                {"id": "c0", "function": {"index": 0, "name": "weather", "arguments": {"city": "Ulm"}}},
                {"id": "c1", "function": {"index": 1, "name": "now", "arguments": {}}},
            ],
        },
        "done": True,
        "done_reason": "stop",
        **ZEROS,
        "prompt_eval_count": 3,
        "eval_count": 5,
    }


def test_the_generate_form_is_written() -> None:
    """A client of `/api/generate` reads `response`, and thought beside it."""
    told = written(REPLY, "generate")
    assert (told["response"], told["thinking"], "message" in told) == ("It rains.", "Hm.", False)
    assert written(of(), "generate")["response"] == ""


def test_what_nobody_told_is_the_clients_own() -> None:
    """Model and time where the provider names none; counts of nothing are left out."""
    told = written(of(Text("a")))
    assert (told["model"], told["created_at"]) == ("alias", "2023-11-14T22:13:20Z")
    assert not {"prompt_eval_count", "eval_count"} & told.keys()


def test_a_time_that_no_calendar_has_is_ours() -> None:
    """Some providers tell milliseconds."""
    assert written(msgspec.structs.replace(of(), created=10**18))["created_at"] == "2023-11-14T22:13:20Z"
    assert json.loads(write_answer(of(), frame(created=0)))["created_at"] == ""


def test_parts_find_their_fields() -> None:
    """Order is lost, words are not; state has no slot; media are text, as the official client cannot read any."""
    told = written(
        of(
            Text("a"),
            Thinking("b", Seal("anthropic", "s")),
            Thinking("", redacted=True),
            Media("image", data=samples.PNG),
            Media("image", url="https://x"),
            Media("audio", data="AAAA"),
            Text("c"),
            Refusal("d"),
            ToolCall("i", "f", "{broken"),
        )
    )
    assert told["message"] == {
        "role": "assistant",
        "content": f"a![image](data:;base64,{samples.PNG})![image](https://x)[audio](data:;base64,AAAA)cd",
        "thinking": "b",
        "tool_calls": [{"id": "i", "function": {"index": 0, "name": "f", "arguments": {"_raw": "{broken"}}}],
    }


@pytest.mark.parametrize(
    ("finish", "native", "reason"),
    [
        ("stop", "end_turn", "stop"),
        ("stop_sequence", "", "stop"),
        ("tool_calls", "tool_use", "stop"),
        ("length", "max_tokens", "length"),
        ("content_filter", "SAFETY", "content_filter"),
        ("", "", "stop"),
        ("stop", "load", "load"),
        ("stop", "unload", "unload"),
    ],
)
def test_reasons(finish: Any, native: str, reason: str) -> None:
    """An answer that was cut or filtered must not look like one that is done."""
    assert written(of(Text("a"), finish=finish, native_finish=native))["done_reason"] == reason


@pytest.mark.parametrize(
    ("finish", "native", "message"),
    [
        ("error", "OTHER", "finish its answer (OTHER)."),
        ("error", "", "finish its answer."),
        ("pause", "pause_turn", "go on with it (pause_turn), for which the client's API has no word."),
    ],
)
@pytest.mark.parametrize("parts", [(), (Text("a"),)])
def test_an_answer_that_is_not_finished_is_an_error(finish: Any, native: str, message: str, parts: tuple[Text, ...]) -> None:
    """What there is of it must not look like the whole, and nothing at all leaves its user in the dark."""
    with pytest.raises(GatewayError) as raised:
        write_answer(of(*parts, finish=finish, native_finish=native), frame())
    assert (raised.value.kind, raised.value.retryable) == (Kind.UPSTREAM_FAILED, finish == "error")
    assert raised.value.message.endswith(message)


def test_logprobs_are_written() -> None:
    """In OpenAI's form, which is Ollama's too."""
    logprob = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
    assert written(of(Text("a"), logprobs=(logprob,)))["logprobs"] == [logprob]


OWN = [
    samples.WHOLE,
    line({"content": "a"}, logprobs=[{"token": "a"}], later={"x": 1}, **samples.LAST),
    line({}, done=True, done_reason="load"),
]


@pytest.mark.parametrize("body", OWN)
def test_its_own_answer_comes_back(body: bytes) -> None:
    """Read and written in one dialect, nothing is lost, known or not; but for fractions of the second."""
    told = json.loads(body) | {"created_at": "2026-08-07T06:08:09Z"}
    assert written(read_answer(body, "seed")) == told
    assert read_answer(write_answer(read_answer(body, "seed"), frame()), "seed") == read_answer(body, "seed")


WHOLE = [recording for recording in samples.RECORDED if recording.body.strip().count(b"\n") == 0]


@pytest.mark.parametrize("recording", parameters(WHOLE))
def test_recorded_answers_come_back(recording: Recording) -> None:
    """Real ones too."""
    told, back = json.loads(recording.body), written(read_answer(recording.body, "seed"))
    assert {**back, "created_at": ""} == {**told, "created_at": ""}
    assert back["created_at"][:19] == told["created_at"][:19]


def test_usage_of_nothing() -> None:
    """No count is not a count of zero."""
    assert REPLY.usage is not NO_USAGE
    assert "eval_count" not in written(msgspec.structs.replace(REPLY, usage=NO_USAGE))
