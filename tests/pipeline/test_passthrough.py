"""What passes: to whom it goes, what of it is changed, what is written down. Long files are in `faults`, SDKs in `real`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.client import Reply, request
from harness.gateway import KEY, NARROW_KEY, PROVIDER_KEY
from harness.invariants import eventually
from harness.script import END, STREAM_HEADERS, Close, Hold, chunk, event, head, whole
from harness.upstream import Upstream
from pipeline.inside import Inside, bearer
from pipeline.test_claim import limit
from trunkline.meters.rule import Rule
from trunkline.pipeline.estimate import HIDDEN

FORM = ("content-type", "multipart/form-data; boundary=XX")
MODEL = b'--XX\r\nContent-Disposition: form-data; name="model"\r\n\r\npriced\r\n'
FILE = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nRIFF\r\n'
TOKENS = {"input_tokens": 1000, "output_tokens": 500}


def told(value: Any) -> Any:
    """A provider that answers this to everything."""
    return lambda _: [whole(200, json.dumps(value).encode())]


def ask(inside: Inside, method: str, path: str, body: bytes = b"", *more: tuple[str, str], key: str = KEY) -> Reply:
    """One request on a connection of its own."""
    with inside.connect() as wire:
        wire.send(request(method, path, [*bearer(key), *more], body))
        reply = wire.read_reply()
    assert reply is not None
    return reply


def test_a_json_request_keeps_its_bytes(inside: Inside, upstream: Upstream) -> None:
    """Only the name of the model is another; unknown fields, their order and their spelling stay."""
    upstream.script(told({"results": [], "usage": TOKENS}))
    reply = ask(inside, "POST", "/v2/rerank", b'{"z":1e2, "model":"priced", "query":"\\u00fc", "x":{"a" : 1}}')
    seen = upstream.requests[-1]
    assert (seen.target, seen.body) == ("/v1/rerank", b'{"z":1e2,"model":"gpt-4.1","query":"\\u00fc","x":{"a" : 1}}')
    assert reply.header("x-trunkline-cost-usd") == "0.006000000", "gpt-4.1: 2 and 8 dollars a million"
    settled = inside.last()
    assert (settled.opened.endpoint, settled.opened.model, settled.opened.target) == ("rerank", "priced", "gpt-4.1")
    assert (settled.usage.input, settled.usage.output, settled.cost_nano) == (1000, 500, 6_000_000)


def test_what_goes_on_of_a_head(inside: Inside, upstream: Upstream) -> None:
    """What the answer shall be, in which beta; never who asks, nor a key in the query."""
    upstream.script(told({"data": []}))
    more = [("accept", "application/json"), ("openai-beta", "x=1"), ("openai-organization", "o"), ("cookie", "c"), ("x-a", "b")]
    assert ask(inside, "GET", f"/v1/files?after=a%20b&KEY={KEY}&limit=1&key={KEY}", b"", *more).status == 200
    seen = upstream.requests[-1]
    assert seen.target == "/v1/files?after=a%20b&limit=1"
    assert (seen.header("accept"), seen.header("openai-beta")) == ("application/json", "x=1")
    assert seen.header("authorization") == f"Bearer {PROVIDER_KEY}"
    names = {name for name, _ in seen.headers}
    assert not names & {"openai-organization", "cookie", "x-a", "content-length", "content-type"}
    assert KEY.encode() not in seen.head
    assert (inside.last().opened.model, inside.last().opened.target) == ("", "")


def test_what_comes_back_of_a_head(inside: Inside, upstream: Upstream) -> None:
    """The type and the name of a file, the status; never a cookie of the provider's."""
    headers = [("content-disposition", 'attachment; filename="a"'), ("set-cookie", "a=b"), ("x-request-id", "theirs")]
    upstream.script(lambda _: [whole(202, b"\0\1", "audio/wav", headers)])
    reply = ask(inside, "GET", "/v1/files/file-1/content")
    assert (reply.status, reply.body, reply.complete) == (202, b"\0\1", True)
    assert (reply.header("content-type"), reply.header("content-disposition")) == ("audio/wav", 'attachment; filename="a"')
    assert reply.header("set-cookie") is None
    assert reply.header("x-trunkline-provider") == "lab"
    assert inside.last().upstream_id == "theirs"


def test_a_form_of_a_client(inside: Inside, upstream: Upstream) -> None:
    """The provider gets the whole form under its own name of the model, with its length; the answer's usage has a price."""
    upstream.script(told({"text": "hello", "usage": {"type": "tokens", **TOKENS}}))
    reply = ask(inside, "POST", "/v1/audio/transcriptions", MODEL + FILE + b"--XX--\r\n", FORM)
    seen = upstream.requests[-1]
    assert seen.body == MODEL.replace(b"priced", b"gpt-4.1") + FILE + b"--XX--\r\n"
    assert (seen.header("content-length"), seen.header("content-type")) == (str(len(seen.body)), FORM[1])
    assert (reply.json["text"], inside.last().cost_nano) == ("hello", 6_000_000)


def test_a_form_without_a_model(inside: Inside, upstream: Upstream) -> None:
    """Where a family needs one it is missing; where a provider has a default it is not made up; files have none."""
    upstream.script(told({}))
    body = FILE + b"--XX--\r\n"
    missing = ask(inside, "POST", "/v1/audio/transcriptions", body, FORM)
    assert (missing.status, missing.error["code"]) == (400, "missing_required_parameter")
    assert inside.books.opened == []
    for path in ("/v1/images/variations", "/v1/files"):
        assert ask(inside, "POST", path, body, FORM).status == 200
        assert upstream.requests[-1].body == body
    empty = ask(inside, "POST", "/v1/audio/transcriptions", b"", FORM)
    assert (empty.status, empty.error["code"]) == (400, "invalid_json")


def test_seconds_are_kept_without_a_price(inside: Inside, upstream: Upstream) -> None:
    """What is paid by the second is written down in the provider's own words, and no cost is invented."""
    upstream.script(told({"text": "x", "usage": {"type": "duration", "seconds": 9}}))
    reply = ask(inside, "POST", "/v1/audio/transcriptions", MODEL + FILE + b"--XX--", FORM)
    settled = inside.last()
    assert (json.loads(settled.raw_usage), settled.cost_nano, settled.usage.basis) == (
        {"type": "duration", "seconds": 9},
        None,
        "none",
    )
    assert reply.header("x-trunkline-cost-usd") is None


def test_events_pass_and_are_counted(inside: Inside, upstream: Upstream) -> None:
    """A stream's bytes are the provider's; one that says an error is not called good."""
    good = event({"type": "speech.audio.done", "usage": TOKENS})
    upstream.script(lambda _: [head(200, STREAM_HEADERS), chunk(good), END])
    body = b'{"model":"priced","input":"hi","stream":true}'
    reply = ask(inside, "POST", "/v1/audio/speech", body)
    assert (reply.body, reply.complete, inside.last().cost_nano) == (good, True, 6_000_000)
    assert inside.last().opened.stream
    bad = event({"type": "error", "error": {"message": "no", "code": "x"}})
    upstream.script(lambda _: [head(200, STREAM_HEADERS), chunk(good), chunk(bad), END])
    assert ask(inside, "POST", "/v1/audio/speech", body).body == good + bad
    assert inside.last().outcome == "upstream_error"
    upstream.script(lambda _: [head(200, STREAM_HEADERS), chunk(bad), END])
    reply = ask(inside, "POST", "/v1/audio/speech", body)
    assert (reply.status, reply.error["message"]) == (502, "no"), "an error that comes first is an ordinary one"


@pytest.mark.parametrize(
    ("path", "said", "output"),
    [
        ("/v1/audio/transcriptions", {"type": "transcript.text.delta", "delta": "word"}, 3),
        ("/v1/images/edits", {"type": "image_edit.partial_image", "quality": "medium", "b64_json": "AAAA"}, 1584),
        ("/v1/images/edits", {"type": "image_edit.partial_image", "quality": 9}, 6240),
    ],
)
def test_whoever_leaves_before_the_bill_pays(
    inside: Inside, upstream: Upstream, path: str, said: dict[str, Any], output: int
) -> None:
    """What was used is told at the very end: a client that hung up just before would have everything for nothing."""
    upstream.script(lambda _: [head(200, STREAM_HEADERS), *[chunk(event(said))] * 3, Hold()])
    body = MODEL + FILE + b"--XX--"
    with inside.connect() as wire:
        wire.send(request("POST", path, [*bearer(), FORM], body))
        assert wire.read_head() is not None
        assert wire.chunk()
        wire.reset()
    settled = inside.last()
    upstream.release()
    assert (settled.outcome, settled.usage.basis) == ("client_cancelled", "estimated")
    assert settled.usage.input == HIDDEN
    assert settled.usage.output == output
    assert settled.cost_nano == HIDDEN * 2_000 + output * 8_000


def test_all_pictures_are_reserved(inside: Inside, upstream: Upstream) -> None:
    """Ten pictures that reserve one would spend ten times what a budget has."""
    live = inside.parts.live
    before = live.keys
    limit(inside, Rule("key:tester", "money", 10**9))
    upstream.script(told({"data": [{}], "usage": TOKENS}))
    asked = {"model": "priced", "prompt": "a cat", "images": [{"image_url": "https://a.example/b.png"}]}
    said = [ask(inside, "POST", "/v1/images/edits", json.dumps({**asked, "n": n}).encode()).status for n in (1, 40)]
    live.keys = before
    assert said == [200, 402]


def test_whoever_leaves_while_he_sends_pays_nothing(inside: Inside, upstream: Upstream) -> None:
    """The provider never had all of the file."""
    with inside.connect() as wire:
        whole_form = request("POST", "/v1/audio/transcriptions", [*bearer(), FORM], MODEL + FILE + b"x" * 1000 + b"--XX--")
        wire.send(whole_form[:-100])
        eventually(lambda: inside.metrics_page.requests_in_flight == 1, "it is being read")
        wire.reset()
    settled = inside.last()
    assert (settled.outcome, settled.usage.basis, settled.cost_nano) == ("client_cancelled", "none", None)


def test_a_stored_answer_is_not_paid_for_again(inside: Inside, upstream: Upstream) -> None:
    """Whoever reads a response twice has used it once, streamed or not."""
    done = event({"type": "response.completed", "usage": TOKENS})
    for answer in ([head(200, STREAM_HEADERS), chunk(done), END], [whole(200, json.dumps({"usage": TOKENS}).encode())]):
        upstream.script(lambda _, answer=answer: answer)
        assert ask(inside, "GET", "/v1/responses/resp_1?stream=true").status == 200
        assert (inside.last().usage.basis, inside.last().raw_usage) == ("none", "")


@pytest.mark.parametrize("answer", [whole(200, b"", "text/plain"), head(204)], ids=["empty", "no content"])
def test_an_answer_without_a_body(inside: Inside, upstream: Upstream, answer: bytes) -> None:
    """It is whole as it is."""
    upstream.script(lambda _: [answer])
    reply = ask(inside, "DELETE", "/v1/files/file-1")
    assert (reply.status, reply.body, reply.complete) == (int(answer[9:12]), b"", True)
    assert reply.header("transfer-encoding") is None


def test_a_provider_that_dies_behind_its_head(inside: Inside, upstream: Upstream) -> None:
    """While the client has seen nothing, it is told in words."""
    upstream.script(lambda _: [head(200, [("content-type", "audio/mpeg"), ("content-length", "9")]), Close()])
    assert ask(inside, "POST", "/v1/audio/speech", b'{"model":"m"}').status == 502
    assert inside.last().outcome == "upstream_broken"


def test_pictures_are_counted(inside: Inside, upstream: Upstream) -> None:
    """By the piece, where nothing else is told; no price is made up for them."""
    upstream.script(told({"data": [{"url": "a"}, {"url": "b"}]}))
    ask(inside, "POST", "/v1/images/edits", b'{"model":"priced","prompt":"a hat"}')
    assert (inside.last().usage.images, inside.last().cost_nano) == (2, None)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "code"),
    [
        ("POST", "/v1/audio/speech", b'{"model":"gemini"}', [], 400, "unsupported_endpoint"),
        ("POST", "/v1/audio/speech", b'{"input":"a"}', [], 400, "missing_required_parameter"),
        ("POST", "/v1/audio/speech", b'{"model":null}', [], 400, "invalid_value"),
        ("POST", "/v1/moderations", b'{"model":7}', [], 400, "invalid_value"),
        ("POST", "/v1/moderations", b"[]", [], 400, "invalid_json"),
        ("POST", "/v1/audio/transcriptions", b"x", [("content-type", "multipart/form-data")], 400, "invalid_form"),
        ("POST", "/v1/audio/transcriptions", b"{}", [], 400, "missing_required_parameter"),
        ("POST", "/v1/audio/transcriptions", b"x", [FORM, ("x-trunkline-model", "nobody")], 404, "model_not_found"),
        ("POST", "/v1/audio/transcriptions", b"x", [FORM, ("x-trunkline-model", "m")], 400, "invalid_form"),
        ("POST", "/v1/audio/transcriptions", b"x", [FORM, ("x-trunkline-model", "x" * 300)], 400, "invalid_value"),
        ("GET", "/v1/files", b"", [("x-trunkline-provider", "gemini")], 400, "unsupported_endpoint"),
        ("HEAD", "/v1/files", b"", [], 405, None),
        ("PATCH", "/v1/files/a", b"", [], 405, "method_not_allowed"),
        ("GET", "/v1/files/a", b"x", [], 413, "too_large"),
        ("GET", "/v1/files/a/b", b"", [], 404, "unknown_path"),
    ],
)
def test_what_is_wrong_reaches_no_provider(
    inside: Inside,
    upstream: Upstream,
    method: str,
    path: str,
    body: bytes,
    headers: list[tuple[str, str]],
    status: int,
    code: str | None,
) -> None:
    """Every mistake is told in OpenAI's form, before anything costs money."""
    with inside.connect() as wire:
        wire.send(request(method, path, [*bearer(), *headers], body))
        reply = wire.read_reply(bodyless=method == "HEAD")
    assert reply is not None
    assert reply.status == status
    if code is not None:
        assert reply.error["code"] == code
    assert upstream.requests == []


@pytest.mark.parametrize(
    "sent", [[("content-type", "application/x-www-form-urlencoded")], [("content-type", "application/json; charset=utf-7")], []]
)
def test_json_goes_on_as_json(inside: Inside, upstream: Upstream, sent: list[tuple[str, str]]) -> None:
    """A provider that believed another type could read another model out of the same bytes."""
    upstream.script(told({}))
    assert ask(inside, "POST", "/v1/moderations", b'{"model":"m","x":"&model=costly&"}', *sent).status == 200
    assert upstream.requests[-1].header("content-type") == "application/json"


def test_a_query_names_no_model(inside: Inside, upstream: Upstream) -> None:
    """It was not asked whether the key may use that one."""
    upstream.script(told({}))
    query = "model=costly&a=b&%6Dodel=costly&c=d;Deployment=costly&+model=costly&models=e"
    assert ask(inside, "POST", f"/v1/moderations?{query}", b'{"model":"m"}').status == 200
    assert upstream.requests[-1].target == "/v1/moderations?a=b&models=e"


def test_a_query_that_is_no_ascii(inside: Inside, upstream: Upstream) -> None:
    """It can stand in no URL of ours."""
    with inside.connect() as wire:
        wire.send(b"GET /v1/files?a=\xc3\xbc HTTP/1.1\r\nhost: a\r\nauthorization: Bearer %b\r\n\r\n" % KEY.encode())
        reply = wire.read_reply()
    assert reply is not None
    assert (reply.status, reply.error["code"]) == (400, "bad_http")
    assert upstream.requests == []


def test_a_key_for_some_models(inside: Inside, upstream: Upstream) -> None:
    """Without a model it may use none: a batch could name any."""
    upstream.script(told({}))
    for method, path in (
        ("GET", "/v1/files"),
        ("POST", "/v1/batches"),
        ("DELETE", "/v1/responses/r"),
        ("POST", "/v1/moderations"),
    ):
        reply = ask(inside, method, path, b"{}" if method == "POST" else b"", key=NARROW_KEY)
        assert (reply.status, reply.error["code"]) == (403, "model_not_allowed")
    assert ask(inside, "POST", "/v1/moderations", b'{"model":"m"}', key=NARROW_KEY).status == 200
    assert ask(inside, "POST", "/v1/moderations", b'{"model":"costly"}', key=NARROW_KEY).status == 403
    assert len(upstream.requests) == 1


def test_a_key_for_some_models_hears_of_no_others(inside: Inside, upstream: Upstream) -> None:
    """Which providers there are is not its business."""
    for name in ("gemini", "nobody"):
        header = ("x-trunkline-provider", name)
        assert ask(inside, "GET", "/v1/files", b"", header).error["message"].endswith("It is had from: lab.")
        refused = ask(inside, "GET", "/v1/files", b"", header, key=NARROW_KEY)
        assert (refused.status, refused.error["message"].endswith("that has files.")) == (400, True)
    assert upstream.requests == []


def test_a_provider_s_own_query_is_said_once(upstream: Upstream, tmp_path: Path) -> None:
    """Azure reads a version of its API there: a client's own beside it would be another, or an error."""
    azure = {"kind": "azure", "base_url": upstream.url.removesuffix("/v1"), "api_version": "2024-10-21", "api_key": "k" * 32}
    upstream.clear()
    upstream.script(told({}))
    path = "/v1/files?api-version=2025-01-01&a=b&API-Version=x"
    with Inside(tmp_path, upstream.url, config={"providers": {"azure": azure}}) as inside:
        assert ask(inside, "GET", path, b"", ("x-trunkline-provider", "azure")).status == 200
        assert upstream.requests[-1].target == "/openai/files?a=b&api-version=2024-10-21"
        assert ask(inside, "GET", path, b"", ("x-trunkline-provider", "lab")).status == 200
        assert upstream.requests[-1].target == path, "another's may mean what it likes"
    upstream.script(None)


def test_a_key_revoked_during_an_upload(inside: Inside, upstream: Upstream) -> None:
    """A long upload must not outlive the key it came with."""
    live, ring = inside.parts.live, inside.parts.live.keys
    with inside.connect() as wire:
        wire.send(request("POST", "/v1/rerank", [*bearer(), ("content-length", "20")]) + b'{"model":')
        inside.do(lambda: None)
        live.keys = type(ring)(())
        wire.send(b'"m","a":123}')
        reply = wire.read_reply()
    live.keys = ring
    assert reply is not None
    assert reply.status == 401
    assert upstream.requests == []


@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_a_provider_s_error_is_its_own(inside: Inside, upstream: Upstream, status: int) -> None:
    """Status, words and advice on when to come back; never the credential it may repeat."""
    body = json.dumps({"error": {"message": f"bad {PROVIDER_KEY}", "type": "t", "param": None, "code": "c"}, "x": 1}).encode()
    upstream.script(lambda _: [whole(status, body, headers=[("retry-after", "7")])])
    reply = ask(inside, "GET", "/v1/batches/batch_1")
    assert (reply.status, reply.json["error"]["message"], reply.json["x"]) == (status, "bad ***", 1)
    assert reply.header("retry-after") == "7"
    assert inside.last().outcome == "upstream_error"


def test_a_counted_answer_beyond_its_bound(inside: Inside, upstream: Upstream) -> None:
    """What is read whole is bounded as any whole answer is; a file is not."""
    upstream.script("big=65")
    reply = ask(inside, "POST", "/v1/rerank", b'{"model":"patient"}')
    assert reply.status == 502
    reply = ask(inside, "GET", "/v1/files/a/content")
    assert (reply.status, reply.complete) == (200, True)
    assert len(reply.body) > 65 * 2**20


@pytest.fixture
def two(upstream: Upstream, second: Upstream, tmp_path: Path) -> Iterator[Inside]:
    """`both` goes to the first provider and then to the second; so does `some`, past one that only chats."""
    upstream.clear()
    base = second.url.removesuffix("/v1")
    providers = {
        "spare": {"kind": "openai", "base_url": second.url, "api_key": PROVIDER_KEY},
        "chats": {"kind": "anthropic", "base_url": base, "api_key": PROVIDER_KEY},
    }
    models = {
        "m": {"targets": ["lab/tiny"]},
        "both": {"targets": ["lab/first", "spare/second"]},
        "some": {"targets": ["chats/claude", "lab/first"], "fallbacks": ["chats/other", "spare/second"]},
        "last": {"targets": ["chats/claude"], "fallbacks": ["spare/second"]},
        "paced": {"strategy": "latency", "targets": ["lab/first", "spare/second"]},
        "busy": {"strategy": "least_busy", "targets": ["lab/first", "spare/second"]},
        "ruled": {"targets": ["lab/first"], "rules": [{"when": {"headers": {"x-to": "spare"}}, "use": "spare/second"}]},
    }
    with Inside(tmp_path, upstream.url, config={"providers": providers, "models": models}) as inside:
        yield inside
        inside.last()
        assert inside.balanced()
        assert all(standing.busy == 0 for standing in inside.parts.standings.all().values())


@pytest.mark.parametrize("model", ["both", "some"])
def test_a_held_body_falls_back(two: Inside, upstream: Upstream, second: Upstream, model: str) -> None:
    """A provider that fails is not the client's trouble here either; each is told its own name of the model."""
    upstream.script("status=500")
    second.script(told({"usage": TOKENS}))
    reply = ask(two, "POST", "/v2/rerank", json.dumps({"model": model, "query": "a"}).encode())
    assert (reply.status, reply.header("x-trunkline-provider"), reply.header("x-trunkline-attempts")) == (200, "spare", "2")
    assert [seen.fields["model"] for seen in (*upstream.requests, *second.requests)] == ["first", "second"]
    record = two.last()
    assert (record.outcome, record.attempts, record.opened.target, record.usage.input) == ("ok", 2, "second", 1000)


def test_a_route_whose_fallback_alone_has_the_family(two: Inside, second: Upstream) -> None:
    """Who can take it takes it."""
    second.script(told({}))
    assert ask(two, "POST", "/v1/moderations", b'{"model":"last"}').header("x-trunkline-provider") == "spare"


def test_a_form_is_never_sent_twice(two: Inside, upstream: Upstream, second: Upstream) -> None:
    """It went by; but who failed is asked last, as everywhere."""
    upstream.script("status=500")
    second.script(told({"text": "x"}))
    body = MODEL.replace(b"priced", b"both") + FILE + b"--XX--\r\n"
    for _ in range(5):
        assert ask(two, "POST", "/v1/audio/transcriptions", body, FORM).status == 500
    assert second.requests == []
    reply = ask(two, "POST", "/v1/audio/transcriptions", body, FORM)
    assert (reply.status, reply.header("x-trunkline-provider")) == (200, "spare")
    assert second.requests[0].body == body.replace(b"both", b"second")
    assert len(upstream.requests) == 5


def test_what_names_no_model_is_never_sent_twice(two: Inside, upstream: Upstream, second: Upstream) -> None:
    """A batch that may have been made must not be made again."""
    upstream.script("status=500")
    assert ask(two, "POST", "/v1/batches", b"{}", ("x-trunkline-provider", "lab")).status == 500
    assert (len(upstream.requests), len(second.requests)) == (1, 0)


def test_the_least_busy_one_is_asked(two: Inside, upstream: Upstream, second: Upstream) -> None:
    """What passes keeps a provider busy like anything else."""
    upstream.script("hold")
    second.script(told({}))
    body = b'{"model":"busy","input":"a"}'
    with two.connect() as wire:
        wire.send(request("POST", "/v1/audio/speech", bearer(), body))
        upstream.wait_requests(1)
        assert ask(two, "POST", "/v1/audio/speech", body).header("x-trunkline-provider") == "spare"
        assert ask(two, "POST", "/v1/audio/speech", body).header("x-trunkline-provider") == "spare"
        upstream.release()
        assert wire.read_reply() is not None


def test_rules_hold_for_what_passes(two: Inside, upstream: Upstream, second: Upstream) -> None:
    """A header sends it elsewhere as it does a conversation."""
    for one in (upstream, second):
        one.script(told({}))
    assert ask(two, "POST", "/v1/moderations", b'{"model":"ruled"}').header("x-trunkline-provider") == "lab"
    reply = ask(two, "POST", "/v1/moderations", b'{"model":"ruled"}', ("x-to", "spare"))
    assert reply.header("x-trunkline-provider") == "spare"


def test_how_long_a_recording_is_tells_nothing_of_its_provider(two: Inside, upstream: Upstream) -> None:
    """Else a model would seem slow because it was asked to speak for an hour."""
    upstream.script(lambda _: [head(200, STREAM_HEADERS), chunk(event({"type": "speech.audio.done"})), END])
    assert ask(two, "POST", "/v1/audio/speech", b'{"model":"paced","stream":true}').status == 200
    two.last()
    standing = two.parts.standings.all()["lab", 0, "first"]
    assert (standing.served, standing.pace.p95()) == (1, None)
    assert [mean.value for mean in (standing.pace.first_token, standing.pace.answer)] == [0.0, 0.0]


def test_a_client_that_leaves_a_recording_tells_nothing_either(two: Inside, upstream: Upstream) -> None:
    """Hedges wait as long as first tokens took; what is spoken has none."""
    upstream.script(lambda _: [head(200, STREAM_HEADERS), chunk(event({"type": "speech.audio.delta"})), Hold()])
    with two.connect() as wire:
        wire.send(request("POST", "/v1/audio/speech", bearer(), b'{"model":"paced","stream":true}'))
        found = wire.read_head()
        assert found is not None
        assert found.status == 200
        wire.reset()
    assert two.last().outcome == "client_cancelled"
    standing = two.parts.standings.all()["lab", 0, "first"]
    assert (standing.pace.median(), standing.pace.first_token.value) == (None, 0.0)
