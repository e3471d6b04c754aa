"""Every recorded chat completion, through the readers of the same-dialect path, without a socket.

What a recording reports is read here a second time, with the standard library and no code of ours.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from conformance.recordings import Recording, parameters, recordings
from trunkline.canon.errors import Kind
from trunkline.dialects.openai_chat.request import read_request, write_request
from trunkline.dialects.openai_chat.tap import ChatTap
from trunkline.dialects.openai_shape.errors import read_error
from trunkline.dialects.openai_shape.reply import read_reply

ALL = recordings("openai.chat")
STREAMS = [recording for recording in ALL if recording.streamed]
WHOLE = [recording for recording in ALL if recording.status == 200 and not recording.streamed]
ERRORS = [recording for recording in ALL if recording.status != 200]
#: Bodies up to this size are cut at every byte; longer ones at random places.
_EVERY_CUT = 4000


def chunks(body: bytes) -> list[dict[str, Any]]:
    """The JSON objects of a stream's data lines."""
    lines = [line[5:].strip() for line in body.decode().replace("\r\n", "\n").split("\n") if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def counts(told: dict[str, Any]) -> tuple[int, int, int, int]:
    """Input, cache read, output, reasoning of a usage object: what the total holds beyond the prompt is output."""
    prompt, completion = told["prompt_tokens"], told["completion_tokens"]
    read = (told.get("prompt_tokens_details") or {}).get("cached_tokens", told.get("cached_tokens", 0))
    thought = (told.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)
    output = told["total_tokens"] - prompt
    return prompt, min(prompt, read), output, thought or output - completion  # Azure's Grok read more than there was


def observed(pieces: list[bytes], *, hide_usage: bool = False) -> tuple[bytes, tuple[Any, ...]]:
    """What a tap lets through, and what it has read."""
    tap = ChatTap(hide_usage=hide_usage)
    out = b"".join(map(tap.feed, pieces)) + tap.close()
    return out, (tap.usage, tap.raw_usage, tap.finish, tap.complete, str(tap.error), tap.unread, tap.estimate())


def slicings(body: bytes) -> list[list[bytes]]:
    """Byte by byte, at every single place where the body is small, and at random places."""
    dice = random.Random(body)
    found = [[body[at : at + 1] for at in range(len(body))]]
    if len(body) <= _EVERY_CUT:
        found += [[body[:cut], body[cut:]] for cut in range(len(body))]
    for _ in range(40):
        cuts = sorted(dice.sample(range(len(body)), dice.randint(1, 12)))
        found.append([body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)])
    return found


@pytest.mark.parametrize("recording", parameters(ALL))
def test_a_recorded_request_goes_out_as_it_came_in(recording: Recording) -> None:
    """What real clients send must be accepted, and reach the provider with nothing changed but the model."""
    told = {"model": "m", "messages": [], **recording.request}
    body = json.dumps(told).encode()
    ask = read_request(body)
    assert json.loads(write_request(ask, "other", ask_usage=False).body) == {**told, "model": "other"}
    assert write_request(ask, ask.model, ask_usage=False).body == b"".join(
        (b"{", b",".join(json.dumps(key).encode() + b":" + json.dumps(value).encode() for key, value in told.items()), b"}")
    )


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_a_recorded_stream_passes_unchanged_and_is_read_right(recording: Recording) -> None:
    """To the byte for the client, to the token for the ledger."""
    out, read = observed([recording.body])
    assert out == recording.body
    usage, raw_usage, finish, complete, error, unread, estimate = read
    told = chunks(recording.body)
    reports = [found for chunk in told if (found := chunk.get("usage") or chunk.get("x_groq", {}).get("usage"))]
    choices = [choice for chunk in told for choice in chunk.get("choices", ())]
    assert finish == next((choice["finish_reason"] for choice in reversed(choices) if choice.get("finish_reason")), "")
    assert error == next((chunk["error"]["message"] for chunk in told if "error" in chunk), "None")
    assert complete == (b"[DONE]" in recording.body)
    assert unread == 0
    if reports:
        assert json.loads(raw_usage) == reports[-1]
        assert (usage.input, usage.cache_read, usage.output, usage.reasoning) == counts(reports[-1])
        assert (usage.output - usage.reasoning) / 4 - 10 <= estimate <= usage.output * 2 + 10  # thoughts may not be streamed
    else:
        assert usage.basis == "none"


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_slicing_a_recorded_stream_changes_nothing(recording: Recording) -> None:
    """The same bytes in other packets must not lose a token or a letter."""
    whole = observed([recording.body])
    hidden = observed([recording.body], hide_usage=True)
    for pieces in slicings(recording.body):
        assert observed(pieces) == whole
        assert observed(pieces, hide_usage=True) == hidden


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_a_usage_chunk_nobody_asked_for_is_all_that_is_hidden(recording: Recording) -> None:
    """A client that did not ask must see the stream it would have seen without a gateway."""
    out, read = observed([recording.body], hide_usage=True)
    extra = [chunk for chunk in chunks(recording.body) if chunk.get("choices") == [] and chunk.get("usage")]
    kept = [chunk for chunk in chunks(recording.body) if chunk not in extra]
    assert chunks(out) == kept
    assert read == observed([recording.body])[1]
    assert out.count(b"\n\n") == recording.body.count(b"\n\n") - len(extra)


@pytest.mark.parametrize("recording", parameters(WHOLE))
def test_a_recorded_answer_is_read_right(recording: Recording) -> None:
    """To the token, for every provider's way of counting."""
    whole = read_reply(recording.body)
    told = json.loads(recording.body)
    assert json.loads(whole.raw_usage) == told["usage"]
    usage = whole.usage
    assert (usage.input, usage.cache_read, usage.output, usage.reasoning) == counts(told["usage"])
    assert usage.input + usage.output == told["usage"]["total_tokens"]
    assert usage.cache_write_5m == (told["usage"].get("prompt_tokens_details") or {}).get("cache_write_tokens", 0)
    assert whole.finish == told["choices"][-1]["finish_reason"]


@pytest.mark.parametrize("recording", parameters(ERRORS))
def test_a_recorded_error_keeps_its_status_and_its_words(recording: Recording) -> None:
    """A user must read what the provider said, and a retry must not be tried where it cannot help."""
    error = read_error(recording.status, recording.content_type, recording.body)
    assert error.status == recording.status
    failed = recording.status in {408, 409, 429} or recording.status >= 500
    assert error.kind is (Kind.UPSTREAM_FAILED if failed else Kind.UPSTREAM_REFUSED)
    assert error.retryable == failed
    assert error.message in recording.body.decode().replace("\\u2019", "\u2019")
    assert len(error.message) > 10
    told = json.loads(recording.body) if recording.body.startswith(b"{") else {}
    assert error.upstream is not None
    assert error.upstream.verbatim == isinstance(told.get("error"), dict)
