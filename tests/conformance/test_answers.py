"""Every recorded answer, to clients of every API, through the real gateway process: the official SDKs see what it says.

Text, thinking, tool calls, finish and usage as the recording holds them, read by code that knows nothing of ours (`said`);
errors as the exceptions that a program would catch; and the ledger to the token.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator

import pytest

from conformance.clients import CLIENTS, Heard
from conformance.recordings import Recording, combined, parameters
from conformance.said import said
from conformance.stage import Stage, all_recordings, cut_of, is_array, part_of, spoken, streams, wanted
from conformance.words import FINISH, Said, Spent, finish_of
from harness.client import request
from harness.gateway import KEY, Gateway

ARRAYS = [one for one in all_recordings() if is_array(one)]
"""Their own SDK always asks for events; see `test_an_array_stays_an_array`."""
TO_EVERY_CLIENT = combined(
    "recording, client",
    ((one, who) for who in CLIENTS for one in all_recordings() if one not in ARRAYS or who != spoken(one.endpoint)),
)
CLASSES = {
    400: "BadRequestError", 401: "AuthenticationError", 403: "PermissionDeniedError", 404: "NotFoundError",
    422: "UnprocessableEntityError", 429: "RateLimitError",
}  # fmt: skip
#: Statuses that lie, by provider: a bad key told as a bad request.
LIES = {"xai": 400, "gemini": 400}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One gateway with a provider for every recording."""
    folder = tmp_path_factory.mktemp("answers")
    with Stage(lambda config: Gateway(config, folder), [part_of(one) for one in all_recordings()]) as running:
        yield running


_PICTURE = re.compile(r"!\[[^]]*\]\(data:[^)]*\)")
"""What a model drew, where an API's answers hold text only."""


def spoken_text(got: Said) -> str:
    """Without what a model drew."""
    return _PICTURE.sub("", got.text)


def carries(slot: str, seal: str) -> bool:
    """A slot holds a seal as it is, or wrapped: base64 of something that holds it."""
    try:
        return slot == seal or seal.encode() in base64.b64decode(slot)
    except ValueError:
        return False


def shown(client: str, spent: Spent) -> Spent:
    """As far as this API can tell it."""
    match client:
        case "ollama":
            return Spent(input=spent.input, output=spent.output)
        case "gemini":
            return spent._replace(cache_write=0)
        case _:
            return spent


def finishes(client: str, want: Said) -> set[str]:
    """As far as this API can tell it: Ollama knows stop and length, and minds no other word."""
    return {want.finish, "stop"} if client == "ollama" and want.finish in {"content_filter", "pause"} else {want.finish}


def check_content(want: Said, got: Said, client: str, same: bool) -> None:
    """The model's words."""
    text = spoken_text(got)
    assert text in {want.text, want.text + want.refusal}, "where there is no place for a refusal, its words are text"
    assert got.thinking == want.thinking
    assert [(call.name, call.arguments) for call in got.calls] == [(call.name, call.arguments) for call in want.calls]
    if client != "ollama":
        told = [(mine.id, theirs.id) for mine, theirs in zip(got.calls, want.calls, strict=True) if theirs.id]
        assert all(mine == theirs for mine, theirs in told), "ids of tool calls must come back as they were given"
    if client not in {"ollama", "gemini"} and not same:
        assert len({call.id for call in got.calls} - {""}) == len(got.calls), "every tool call needs an id of its own"
    if client != "ollama":
        missing = [seal for seal in want.seals if not any(carries(slot, seal) for slot in got.seals)]
        assert not missing, f"state that does not come back is lost: {missing[0][:40]}"


def check_whole(want: Said, heard: Heard, client: str, same: bool) -> None:
    """An answer that came to its end."""
    got = heard.said
    assert not heard.raised, f"{heard.raised[0]}: {got.error}"
    check_content(want, got, client, same)
    assert got.finish in finishes(client, want)
    if want.spent is not None and any(want.spent):  # Ollama tells no noughts
        assert got.spent is not None, "the usage is missing"
        assert shown(client, got.spent) == shown(client, want.spent)


def check_error(recording: Recording, want: Said, heard: Heard, client: str, same: bool) -> None:
    """The right exception, with the provider's own words."""
    got, status = heard.said, want.status
    lies = LIES.get(recording.provider) == status and "key" in want.error.lower()
    if lies and not (same and recording.provider == "gemini"):  # xAI's are of no API's form
        status = 401
    if want.status == 200 and not want.begun:
        assert got.status >= 400, "an error that came first is no success"
        status = got.status
    assert want.error in got.error
    assert got.status == status
    if client == "ollama":
        assert "ResponseError" in heard.raised
    elif client == "gemini":
        assert ("ClientError" if 400 <= status < 500 else "ServerError" if status >= 500 else "APIError") in heard.raised
    elif status != 200:
        assert CLASSES.get(status, "InternalServerError") in heard.raised
    elif client == "responses" and want.begun:
        assert heard.raw[-1]["type"] in {"error", "response.failed"}, "its SDK raises nothing there, but hands the event on"
    else:
        assert "APIError" in heard.raised


@TO_EVERY_CLIENT
def test_a_client_sees_what_the_provider_said(recording: Recording, client: str, stage: Stage) -> None:
    """A program must notice only that the model is another."""
    same = spoken(recording.endpoint) == client
    want, scene = wanted(recording), stage.played(recording, client)
    assert len(scene.seen) == 1
    if want.error:
        check_error(recording, want, scene.heard, client, same)
        assert scene.heard.said.text == want.text
        assert scene.heard.said.thinking == want.thinking
    else:
        check_whole(want, scene.heard, client, same)


@TO_EVERY_CLIENT
def test_the_ledger_says_what_the_provider_reported(recording: Recording, client: str, stage: Stage) -> None:
    """What is billed is what was used, whoever asked in whatever API."""
    want, row = wanted(recording), stage.row(stage.played(recording, client))
    assert row["provider"] == part_of(recording).name
    assert row["outcome"] == ("upstream_error" if want.error else "ok")
    assert bool(row["stream"]) == streams(recording)
    if want.spent is None:
        assert row["basis"] != "reported"
        return
    found = Spent(
        row["input_tokens"],
        row["cache_read_tokens"],
        row["cache_write_5m_tokens"] + row["cache_write_1h_tokens"],
        row["output_tokens"],
        row["reasoning_tokens"],
    )
    assert (row["basis"], found) == ("reported", want.spent)
    if not want.error:
        assert finish_of(row["finish"], bool(want.calls)) == want.finish


@pytest.mark.parametrize("recording", parameters(ARRAYS))
def test_an_array_stays_an_array(recording: Recording, stage: Stage) -> None:
    """A client of Gemini's that asks for no events gets the array it knows, whoever answers."""
    part = part_of(recording)
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}).encode()
    path = f"/v1beta/models/{part.name}/{part.model}:streamGenerateContent"
    with stage.gateway.connect() as wire:
        wire.send(request("POST", path, [("x-goog-api-key", KEY), ("content-type", "application/json")], body))
        reply = wire.read_reply()
    assert reply is not None
    assert reply.status == 200
    assert isinstance(json.loads(reply.body), list)
    assert said(recording.endpoint, 200, reply.body) == wanted(recording)


@pytest.mark.parametrize("recording", parameters([one for one in all_recordings() if one.endpoint == "openai.responses"]))
def test_a_response_passes_to_the_byte(recording: Recording, stage: Stage) -> None:
    """Between two sides of the Responses API nothing is rewritten: clients check sequence numbers and encrypted reasoning."""
    part = part_of(recording)
    body = json.dumps({"model": f"{part.name}/{part.model}", "input": "Hello", "stream": streams(recording)}).encode()
    stage.cut = cut_of(recording, "bytes")
    with stage.gateway.connect() as wire:
        wire.send(
            request("POST", "/v1/responses", [("authorization", f"Bearer {KEY}"), ("content-type", "application/json")], body)
        )
        reply = wire.read_reply()
    assert reply is not None
    if recording.status == 200:
        assert (reply.status, reply.body) == (200, recording.body)
    else:
        assert (reply.status, said(recording.endpoint, reply.status, reply.body).error) == (401, wanted(recording).error)


@pytest.mark.parametrize("recording", parameters(all_recordings()))
def test_a_recording_is_understood(recording: Recording) -> None:
    """The yardstick itself must find something in every answer, or it would measure nothing."""
    want = wanted(recording)
    assert want.error or want.begun
    assert want.finish in {"", *FINISH.values()}
