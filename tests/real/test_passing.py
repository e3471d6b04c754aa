"""OpenAI's own SDK through the real process, where requests only pass: speech, transcriptions, pictures, files, batches.

The provider is scripted; what it got and what the SDK made of its answer are both looked at.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from harness.client import request
from harness.gateway import KEY, NARROW_KEY, PROVIDER_KEY, Gateway, settings
from harness.invariants import eventually
from harness.script import END, Plan, Seen, chunk, event, head, whole
from harness.upstream import Upstream

SOUND = bytes(range(256)) * 4096
"""A megabyte of everything."""
LINES = b'{"custom_id":"a"}\n' * 1000
TOKENS = {"type": "tokens", "input_tokens": 14, "input_token_details": {"audio_tokens": 10}, "output_tokens": 45}
FILE = {
    "id": "file-1",
    "object": "file",
    "bytes": 9,
    "created_at": 1,
    "filename": "a.jsonl",
    "purpose": "batch",
    "status": "processed",
}
EDITED = {"created": 1, "data": [{"b64_json": "AAAA"}], "usage": {"input_tokens": 50, "output_tokens": 4160}}
NAMED = 'attachment; filename="a.jsonl"'
BATCH = {
    "id": "batch_1", "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": "file-1", "status": "validating",
    "completion_window": "24h", "created_at": 1, "usage": {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18},
}  # fmt: skip


def told(value: Any) -> Plan:
    """A whole JSON answer."""
    return [whole(200, json.dumps(value).encode(), headers=[("x-request-id", "req_theirs"), ("set-cookie", "a=b")])]


def speech(seen: Seen) -> Plan:
    """Sound, in chunks; or events where they are asked for."""
    if seen.fields.get("stream_format") == "sse":
        usage = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
        events = event({"type": "speech.audio.delta", "audio": "AAAA"}) + event({"type": "speech.audio.done", "usage": usage})
        return [head(200, [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]), chunk(events), END]
    return [head(200, [("content-type", "audio/mpeg"), ("transfer-encoding", "chunked")]), chunk(SOUND), END]


def transcription(seen: Seen) -> Plan:
    """JSON, or events where they are asked for."""
    if b'name="stream"' in seen.body:
        events = event({"type": "transcript.text.delta", "delta": "he"}) + event(
            {"type": "transcript.text.done", "text": "hello", "usage": TOKENS}
        )
        return [head(200, [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]), chunk(events), END]
    return told({"text": "hello", "usage": TOKENS})


ANSWERS: dict[str, Any] = {
    "POST /v1/audio/speech": speech,
    "POST /v1/audio/transcriptions": transcription,
    "POST /v1/audio/translations": lambda _: told({"text": "hello"}),
    "POST /v1/images/edits": lambda _: told(EDITED),
    "POST /v1/images/variations": lambda _: told({"created": 1, "data": [{"url": "https://a.example/b.png"}]}),
    "POST /v1/moderations": lambda _: told({"id": "modr-1", "model": "omni-moderation-latest", "results": []}),
    "POST /v1/rerank": lambda _: told({"results": [{"index": 0, "relevance_score": 0.5}], "usage": {"total_tokens": 38}}),
    "POST /v1/files": lambda _: told(FILE),
    "GET /v1/files": lambda _: told({"object": "list", "data": [FILE], "has_more": False}),
    "GET /v1/files/file-1": lambda _: told(FILE),
    "DELETE /v1/files/file-1": lambda _: told({"id": "file-1", "object": "file", "deleted": True}),
    "GET /v1/files/file-1/content": lambda _: [whole(200, LINES, "application/octet-stream", [("content-disposition", NAMED)])],
    "POST /v1/batches": lambda _: told(BATCH),
    "GET /v1/batches": lambda _: told({"object": "list", "data": [BATCH], "has_more": False}),
    "GET /v1/batches/batch_1": lambda _: told(BATCH),
    "POST /v1/batches/batch_1/cancel": lambda _: told(BATCH | {"status": "cancelling"}),
    "GET /v1/responses/resp_1/input_items": lambda _: told({"object": "list", "data": [], "has_more": False}),
    "DELETE /v1/responses/resp_1": lambda _: told({"id": "resp_1", "deleted": True}),
}  # fmt: skip


def answer(seen: Seen) -> Plan:
    """What the provider says at each of its endpoints."""
    line = seen.head.split(b" HTTP/")[0].decode().partition("?")[0]
    error = json.dumps(
        {"error": {"message": f"no such thing as {line}", "type": "invalid_request_error", "param": None, "code": "gone"}}
    )
    return ANSWERS.get(line, lambda _: [whole(404, error.encode())])(seen)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """The scripted provider."""
    with Upstream() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The real process; `small` bodies are those below 64 KiB."""
    config = settings(upstream.url, server={"limits": {"max_body": "64KiB", "max_upload": "8MiB"}})
    config["models"]["priced"] = {"targets": ["lab/gpt-4o-mini-transcribe"]}
    with Gateway(config, tmp_path_factory.mktemp("passing")) as running:
        yield running


@pytest.fixture
def sdk(gateway: Gateway, upstream: Upstream) -> Iterator[openai.OpenAI]:
    """The SDK, and a provider that answers everything."""
    upstream.clear()
    upstream.script(answer)
    host, port = gateway.listen
    with openai.OpenAI(base_url=f"http://{host}:{port}/v1", api_key=KEY, max_retries=0, timeout=30.0) as client:
        yield client


def row(gateway: Gateway, endpoint: str) -> dict[str, Any]:
    """The last record of an endpoint, once it is stored."""
    found: list[dict[str, Any]] = []

    def stored() -> bool:
        found[:] = [row for row in gateway.ledger() if row["endpoint"] == endpoint]
        return bool(found)

    eventually(stored, f"a record of {endpoint}")
    return found[-1]


def test_speech_is_streamed(sdk: openai.OpenAI, upstream: Upstream, gateway: Gateway, tmp_path: Path) -> None:
    """An app that reads aloud gets the sound as it is made, byte for byte."""
    with sdk.audio.speech.with_streaming_response.create(model="m", voice="alloy", input="hello") as answered:
        assert answered.headers["content-type"] == "audio/mpeg"
        answered.stream_to_file(tmp_path / "a.mp3")
    assert (tmp_path / "a.mp3").read_bytes() == SOUND
    seen = upstream.requests[-1]
    assert seen.fields == {"model": "tiny", "voice": "alloy", "input": "hello"}
    assert seen.header("authorization") == f"Bearer {PROVIDER_KEY}"
    assert KEY.encode() not in seen.head
    assert row(gateway, "audio.speech")["outcome"] == "ok"


def test_speech_as_events_tells_its_usage(sdk: openai.OpenAI, gateway: Gateway) -> None:
    """The only form in which speech says what it used."""
    with sdk.audio.speech.with_streaming_response.create(model="m", voice="alloy", input="hi", stream_format="sse") as answered:
        lines = [line for line in answered.iter_lines() if line]
    assert [json.loads(line[6:])["type"] for line in lines] == ["speech.audio.delta", "speech.audio.done"]
    found = row(gateway, "audio.speech")
    assert (found["input_tokens"], found["output_tokens"]) == (5, 7)


def test_a_transcription_goes_to_the_model_that_the_form_names(
    sdk: openai.OpenAI, upstream: Upstream, gateway: Gateway
) -> None:
    """The SDK's form arrives with the provider's name of the model, and the recording as it was."""
    said = sdk.audio.transcriptions.create(model="priced", file=("a.wav", io.BytesIO(SOUND), "audio/wav"), language="de")
    assert said.text == "hello"
    seen = upstream.requests[-1]
    assert b'name="model"\r\n\r\ngpt-4o-mini-transcribe\r\n' in seen.body
    assert SOUND in seen.body
    assert b'name="language"\r\n\r\nde\r\n' in seen.body
    assert seen.header("content-length") == str(len(seen.body))
    found = row(gateway, "audio.transcriptions")
    assert (found["model"], found["target"], found["input_tokens"], found["audio_input_tokens"]) == (
        "priced",
        "gpt-4o-mini-transcribe",
        14,
        10,
    )
    assert json.loads(found["raw_usage"]) == TOKENS


def test_a_streamed_transcription(sdk: openai.OpenAI, gateway: Gateway) -> None:
    """Words come as they are heard, and are paid for at the end."""
    with sdk.audio.transcriptions.create(model="m", file=("a.wav", SOUND), stream=True) as stream:
        kinds = [piece.type for piece in stream]
    assert kinds == ["transcript.text.delta", "transcript.text.done"]
    assert row(gateway, "audio.transcriptions")["output_tokens"] == 45


def test_other_forms(sdk: openai.OpenAI, upstream: Upstream, gateway: Gateway) -> None:
    """Translations, edited pictures, variations: with several files in one form, and without a model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert sdk.audio.translations.create(model="m", file=("a.wav", SOUND)).text == "hello"
        varied = sdk.images.create_variation(image=("a.png", b"small"))
    assert varied.data
    assert varied.data[0].url == "https://a.example/b.png"
    assert b'name="model"' not in upstream.requests[-1].body
    edited = sdk.images.edit(model="m", prompt="a hat", image=[("a.png", SOUND[:1000]), ("b.png", SOUND[:2000])])
    assert edited.data
    assert edited.data[0].b64_json == "AAAA"
    assert upstream.requests[-1].body.count(b'name="image[]"') == 2
    assert row(gateway, "images.edits")["output_tokens"] == 4160


def test_files_and_batches(sdk: openai.OpenAI, upstream: Upstream, gateway: Gateway) -> None:
    """The life of a batch, from its file to its end."""
    made = sdk.files.create(file=("a.jsonl", LINES), purpose="batch")
    assert made.id == "file-1"
    assert LINES in upstream.requests[-1].body
    assert [one.id for one in sdk.files.list(limit=5, extra_query={"key": "tl-mistaken"})] == ["file-1"]
    assert upstream.requests[-1].target == "/v1/files?limit=5"
    assert sdk.files.retrieve("file-1").filename == "a.jsonl"
    content = sdk.files.content("file-1")
    assert content.content == LINES
    assert content.response.headers["content-disposition"] == 'attachment; filename="a.jsonl"'
    batch = sdk.batches.create(input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h")
    assert upstream.requests[-1].fields["input_file_id"] == "file-1"
    assert sdk.batches.retrieve(batch.id).status == "validating"
    assert [one.id for one in sdk.batches.list()] == ["batch_1"]
    assert sdk.batches.cancel(batch.id).status == "cancelling"
    assert sdk.files.delete("file-1").deleted
    assert row(gateway, "batches.retrieve")["input_tokens"] == 0, "a batch that is looked at twice would be paid for twice"


def test_the_rest(sdk: openai.OpenAI, upstream: Upstream, gateway: Gateway) -> None:
    """Moderation with and without a model, ranking, stored responses."""
    assert sdk.moderations.create(input="hello").id == "modr-1"
    assert "model" not in upstream.requests[-1].fields
    assert sdk.moderations.create(input="hello", model="m").id == "modr-1"
    assert upstream.requests[-1].fields["model"] == "tiny"
    ranked = gateway.ask("/v1/rerank", {"model": "m", "query": "q", "documents": ["a"]})
    assert ranked.json["results"][0]["index"] == 0
    assert row(gateway, "rerank")["input_tokens"] == 38
    assert list(sdk.responses.input_items.list("resp_1")) == []
    sdk.responses.delete("resp_1")
    assert upstream.requests[-1].head.startswith(b"DELETE /v1/responses/resp_1 HTTP/1.1\r\n")


def test_a_provider_s_refusal_is_shown(sdk: openai.OpenAI) -> None:
    """Who asks for what is not there learns it in the provider's own words."""
    with pytest.raises(openai.NotFoundError, match="no such thing as GET /v1/files/file-9"):
        sdk.files.retrieve("file-9")


def test_what_is_wrong_is_told(sdk: openai.OpenAI, gateway: Gateway, upstream: Upstream) -> None:
    """Nothing goes to a provider that we know to be wrong."""
    with pytest.raises(openai.NotFoundError, match="does not exist here"):
        sdk.audio.transcriptions.create(model="nobody", file=("a.wav", b"x"))
    with pytest.raises(openai.BadRequestError, match="has no speech"):
        sdk.audio.speech.create(model="echo/echo", voice="alloy", input="hello")
    with pytest.raises(openai.BadRequestError, match="'model' is required"):
        sdk.post(
            "/audio/transcriptions",
            cast_to=object,
            files={"file": b"x"},
            options={"headers": {"content-type": "multipart/form-data"}},
        )
    with pytest.raises(openai.BadRequestError, match="no provider 'nobody'"):
        sdk.files.list(extra_headers={"x-trunkline-provider": "nobody"})
    assert gateway.ask("/v1/files", headers=[("x-trunkline-provider", "lab")]).status == 200
    with sdk.with_options(api_key=NARROW_KEY) as narrow:
        assert narrow.audio.transcriptions.create(model="m", file=("a.wav", b"x")).text == "hello"
        with pytest.raises(openai.PermissionDeniedError, match="may not use the model"):
            narrow.audio.transcriptions.create(model="costly", file=("a.wav", b"x"))
        with pytest.raises(openai.PermissionDeniedError, match="'lab/\\*'"):
            narrow.files.list()
    assert len(upstream.requests) == 2


def multipart(*parts: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """Header and body of a form."""
    body = b"".join(b"--XX\r\n" + part + b"\r\n" for part in parts) + b"--XX--\r\n"
    return [("authorization", f"Bearer {KEY}"), ("content-type", "multipart/form-data; boundary=XX")], body


MODEL = b'Content-Disposition: form-data; name="model"\r\n\r\nm'
RECORDING = b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


@pytest.mark.parametrize("size", [1000, 200_000])
def test_a_model_behind_a_file(sdk: openai.OpenAI, gateway: Gateway, upstream: Upstream, size: int) -> None:
    """As curl sends it: what comes before the model is held within a bound, beyond that the header names it."""
    headers, body = multipart(RECORDING + b"s" * size, MODEL)
    with gateway.connect() as wire:
        wire.send(request("POST", "/v1/audio/transcriptions", headers, body))
        told = wire.read_reply()
    assert told is not None
    if size == 1000:
        assert (told.status, upstream.requests[-1].header("content-length")) == (200, str(len(upstream.requests[-1].body)))
        return
    assert (told.status, told.error["code"]) == (413, "model_too_late")
    assert "x-trunkline-model" in told.error["message"]
    with gateway.connect() as wire:
        wire.send(request("POST", "/v1/audio/transcriptions", [*headers, ("x-trunkline-model", "m")], body))
        told = wire.read_reply()
    assert told is not None
    assert told.status == 200
    assert b'name="model"\r\n\r\ntiny\r\n' in upstream.requests[-1].body
    assert upstream.requests[-1].header("transfer-encoding") == "chunked"


def test_an_upload_has_a_bound(sdk: openai.OpenAI, gateway: Gateway) -> None:
    """Nobody can fill a provider's disk through us: refused before a byte of it is read."""
    headers, _ = multipart()
    with gateway.connect() as wire:
        wire.send(
            request("POST", "/v1/files", [*headers, ("content-length", str(9 * 1024 * 1024)), ("expect", "100-continue")])
        )
        told = wire.read_reply()
    assert told is not None
    assert told.status == 413


def test_other_methods_are_refused(gateway: Gateway) -> None:
    """With what may be used instead."""
    with gateway.connect() as wire:
        wire.send(request("PUT", "/v1/files/file-1", [("authorization", f"Bearer {KEY}")], b""))
        told = wire.read_reply()
    assert told is not None
    assert (told.status, told.header("allow")) == (405, "GET, DELETE, OPTIONS")
