"""One try: what goes to the provider, and what its refusals become."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.gateway import PROVIDER_KEY
from harness.invariants import eventually
from harness.script import DONE, END, STREAM_HEADERS, Close, Hold, chunk, head, whole
from harness.upstream import Upstream
from pipeline.inside import Inside
from trunkline.canon.usage import NO_USAGE

DATE = "Fri, 31 Dec 1999 23:59:59 GMT"


def test_what_goes_out(inside: Inside, upstream: Upstream) -> None:
    """The provider's path, host and credential; the client's body but for the model; its headers only where the kind says."""
    headers = [("openai-beta", "assistants=v2"), ("idempotency-key", "k1"), ("openai-organization", "mine"), ("cookie", "c=1")]
    inside.chat(headers=headers, x_unknown={"kept": [1, 2]}, temperature=0.5)
    seen = upstream.requests[0]
    assert seen.head.split(b"\r\n")[0] == b"POST /v1/chat/completions HTTP/1.1"
    assert seen.header("authorization") == f"Bearer {PROVIDER_KEY}"
    assert seen.header("openai-beta") == "assistants=v2"
    assert seen.header("idempotency-key") is None  # tenants share the account there
    assert (seen.header("openai-organization"), seen.header("cookie")) == (None, None)
    assert (seen.fields["model"], seen.fields["x_unknown"], seen.fields["temperature"]) == ("tiny", {"kept": [1, 2]}, 0.5)


@pytest.mark.parametrize("status", [400, 401, 404, 422, 429, 500, 503])
def test_openais_errors_go_through(inside: Inside, upstream: Upstream, status: int) -> None:
    """Same dialect: the client sees the provider's status and bytes, as if it had talked to it directly."""
    body = b'{ "error": {"message": "no", "type": "t", "param": null, "code": "c", "more": 1} }'
    upstream.then([whole(status, body)])
    reply = inside.chat()
    assert (reply.status, reply.body) == (status, body)
    assert reply.header("x-trunkline-provider") == "lab"
    assert (inside.last().outcome, inside.last().status) == ("upstream_error", status)


@pytest.mark.parametrize(
    ("status", "body", "content_type", "shown", "told"),
    [
        (422, b'{"detail": [{"msg": "field required"}]}', "application/json", 422, "field required"),
        (400, b'{"error": "just text"}', "application/json", 400, "just text"),
        (503, b"try later", "text/plain", 503, "try later"),
        (502, b"<html>Bad Gateway</html>", "text/html", 502, "web page"),
        (500, b"", "", 500, "500"),
        (302, b"", "", 502, "redirect"),
    ],
)
def test_other_errors_are_rewritten(
    inside: Inside, upstream: Upstream, status: int, body: bytes, content_type: str, shown: int, told: str
) -> None:
    """Whatever shape a provider's error has, the client's SDK finds `error.message` with the provider's own words."""
    upstream.then([whole(status, body, content_type, headers=[("location", "http://127.0.0.1:1/")])])
    reply = inside.chat()
    assert reply.status == shown
    assert told in reply.error["message"]
    assert inside.last().outcome == "upstream_error"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("verbatim", [True, False])
def test_the_credential_is_not_said_back(inside: Inside, upstream: Upstream, verbatim: bool) -> None:
    """Providers repeat the key they refuse: ours must not reach a client or the log."""
    message = f"Incorrect API key provided: {PROVIDER_KEY}."
    upstream.then([whole(401, json.dumps({"error": {"message": message}} if verbatim else {"detail": message}).encode())])
    reply = inside.chat()
    assert reply.status == 401
    assert reply.error["message"] == "Incorrect API key provided: ***."
    assert PROVIDER_KEY.encode() not in reply.body + reply.head


@pytest.mark.parametrize("told", ["7", DATE, None])
@pytest.mark.parametrize("status", [429, 503, 400])
def test_retry_after_is_passed_on(inside: Inside, upstream: Upstream, told: str | None, status: int) -> None:
    """SDKs wait as long as the provider says; without it they come back too early, into the same limit."""
    headers = [("retry-after", told)] if told else []
    upstream.then([whole(status, b'{"error":{"message":"slow down"}}', headers=headers)])
    assert inside.chat().header("retry-after") == told


def test_a_hostile_retry_after_is_short(inside: Inside, upstream: Upstream) -> None:
    """A header of the provider's goes to the client: it stays one short ASCII line."""
    upstream.then([whole(429, b"{}", headers=[("retry-after", "é" * 50)])])
    value = inside.chat().header("retry-after")
    assert value is not None
    assert len(value) <= 64
    assert value.isascii()


def test_an_endless_error_is_not_read(inside: Inside, upstream: Upstream) -> None:
    """A stream may have a gigabyte; an error that long would fill the memory instead of being relayed."""
    piece = chunk(b"e" * 65536)
    upstream.then([head(500, [("transfer-encoding", "chunked")]), *[piece] * 17, Hold()])
    reply = inside.chat(stream=True)
    assert reply.status == 502
    assert "larger than" in reply.error["message"]
    assert upstream.wait_ended(upstream.requests[0]) in {"eof", "rst"}


def test_the_providers_own_id_is_kept(inside: Inside, upstream: Upstream) -> None:
    """Their support asks for it; it goes into the ledger, cut to a bound."""
    body = b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
    upstream.then([whole(200, body, headers=[("x-request-id", "req_" + "a" * 200)])])
    inside.chat()
    assert inside.last().upstream_id == "req_" + "a" * 124


@pytest.mark.parametrize("offset", [0, 50, 110, 120])
def test_headers_do_not_say_the_credential_back(inside: Inside, upstream: Upstream, offset: int) -> None:
    """Neither whole nor cut in half: one goes to the client, the other into the ledger."""
    told = "a" * offset + PROVIDER_KEY
    upstream.then([whole(429, b"{}", headers=[("x-request-id", told), ("retry-after", told)])])
    reply = inside.chat()
    assert PROVIDER_KEY[:6] not in inside.last().upstream_id + str(reply.header("retry-after"))


@pytest.mark.parametrize(
    ("stream", "asked", "sent"),
    [
        (True, {}, {"include_usage": True}),
        (True, {"stream_options": {"other": 1}}, {"other": 1, "include_usage": True}),
        (False, {}, None),
    ],
)
def test_stream_usage_is_asked_for(
    inside: Inside, upstream: Upstream, stream: bool, asked: dict[str, object], sent: dict[str, object] | None
) -> None:
    """Without it a streamed request has no usage, and the ledger only an estimate."""
    inside.chat(stream=stream, **asked)
    assert upstream.requests[0].fields.get("stream_options") == sent
    assert inside.last().usage.basis == "reported"


def test_a_kind_that_reports_unasked_is_not_asked(upstream: Upstream, tmp_path: Path) -> None:
    """Some providers refuse options they do not know: the catalogue's word decides."""
    provider = {"kind": "deepseek", "base_url": upstream.url, "api_key": PROVIDER_KEY}
    upstream.clear()
    with Inside(tmp_path, upstream.url, config={"providers": {"lab": provider}}) as inside:
        events = [
            b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":2}}\n\n',
            DONE,
        ]
        upstream.then([head(200, STREAM_HEADERS), *map(chunk, events), END])
        reply = inside.chat(stream=True)
        assert "stream_options" not in upstream.requests[0].fields
        assert reply.body == b"".join(events)
        assert (inside.last().usage.input, inside.last().usage.output) == (4, 2)


@pytest.mark.parametrize(("mock", "status", "error"), [("drop", 502, "upstream_broken"), ("hold", 504, "upstream_timeout")])
def test_no_answer(inside: Inside, mock: str, status: int, error: str) -> None:
    """A provider that dies or is silent is an error in its time, never a hang."""
    reply = inside.chat(mock=mock)
    assert (reply.status, reply.error["type"]) == (status, "server_error")
    assert inside.last().error == error


def test_a_refusal_costs_nothing_however_slowly_it_is_said(inside: Inside, upstream: Upstream) -> None:
    """A client that does not wait for the reason must not be charged for a prompt that nobody read."""
    upstream.then([b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 9\r\n\r\n{", Hold(), Close()])
    with inside.connect() as wire:
        wire.send(inside.chat_bytes())
        upstream.wait_requests(1)
        target = inside.parts.live.snapshot.routes["m"].targets[0]
        eventually(lambda: inside.client.pools[target.provider.origin].asking == 0, "the head is in")
        wire.reset()
    record = inside.last()
    assert (record.outcome, record.usage, record.cost_nano) == ("client_cancelled", NO_USAGE, None)
