"""B1 to B14 where a model has somewhere else to go, or may try again: what the client sees, and who was asked how often."""

from __future__ import annotations

import base64
import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import pytest

from chaos import speech
from faults.test_b_desync import MOCKS, leave_somewhere
from faults.test_b_upstream import BAD_ANSWERS, TICK, full_listener
from harness.client import Reply, request
from harness.gateway import KEY, PROVIDER_KEY, Gateway, Make
from harness.invariants import Case, eventually
from harness.script import Hold, Pause, Reset, Step, head, whole
from harness.upstream import Upstream

TIMES = {"connect": "1s", "first_byte": "500ms", "idle": "500ms", "total": "10s"}
ROUTES = 30
"""Of each sort: each case has its own, so that no target is remembered for what another case did to it."""
_unused: list[int] = []
"""Those of the running process that no case has used; where none is left it is started anew."""
ERROR = json.dumps({"error": {"message": "mock says no", "type": "mock_error", "param": None, "code": "mock"}}).encode()


@pytest.fixture(scope="module")
def spare() -> Iterator[Upstream]:
    """The provider that may be asked instead."""
    with Upstream() as running:
        yield running


def provider(url: str, **more: Any) -> dict[str, Any]:
    """A provider as configured."""
    return {"kind": "openai", "base_url": url, "api_key": PROVIDER_KEY, **more}


def config(main: Upstream, spare: Upstream, **providers: Any) -> dict[str, Any]:
    """`pair<n>`: main, then spare. `again<n>`: main twice. `both<n>`: four tries at the two. `google<n>`: a Gemini, twice."""
    once_more = {"attempts": 2, "backoff": "10ms", "max_backoff": "3s"}
    models: dict[str, Any] = {"m": {"targets": ["main/tiny"]}}
    for number in range(ROUTES):
        models[f"pair{number}"] = {"targets": [f"main/pair{number}"], "fallbacks": [f"spare/pair{number}"]}
        models[f"again{number}"] = {"targets": [f"main/again{number}"], "retry": once_more}
        tries = {"attempts": 4, "backoff": "10ms"}
        models[f"both{number}"] = {"targets": [f"main/both{number}", f"spare/both{number}"], "retry": tries}
        models[f"google{number}"] = {"targets": [f"google/google{number}"], "retry": once_more}
    for name in providers:
        models[f"first-{name}"] = {"targets": [f"{name}/tiny"], "fallbacks": ["spare/tiny"]}
    base = main.url.removesuffix("/v1")
    all_of_them = {
        "main": provider(main.url),
        "spare": provider(spare.url),
        "google": provider(f"{base}/v1beta", kind="gemini"),
        **providers,
    }
    return {
        "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        "providers": all_of_them,
        "models": {name: {**model, "timeouts": TIMES} for name, model in models.items()},
        "keys": [{"name": "tester", "secret": KEY}],
    }


@pytest.fixture(scope="module")
def process(upstream: Upstream, spare: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The real process, in front of both."""
    with Gateway(config(upstream, spare), tmp_path_factory.mktemp("gateway")) as running:
        _unused[:] = range(ROUTES)
        yield running


@pytest.fixture
def gateway(process: Gateway) -> Gateway:
    """The same, with a route that is left to use."""
    if not _unused:
        assert process.stop() == 0
        process.restart().booked = None
        _unused[:] = range(ROUTES)
    return process


@dataclass
class Scene:
    """One case: its providers, and routes that nobody else uses."""

    case: Case
    main: Upstream
    spare: Upstream
    number: int

    def chat(self, sort: str, **fields: Any) -> Reply:
        """Ask the case's own route of that sort; each makes one row."""
        self.case.rows = (self.case.rows or 0) + 1
        return self.case.gateway.chat(model=f"{sort}{self.number}", **fields)

    def speak(self, dialect: str, sort: str, *, stream: bool) -> Reply:
        """The same in another dialect."""
        self.case.rows = (self.case.rows or 0) + 1
        path, fields = speech.question(dialect, f"{sort}{self.number}", "n-1", stream=stream)
        with self.case.gateway.connect() as wire:
            wire.send(request("POST", path, [("authorization", f"Bearer {KEY}")], json.dumps(fields).encode()))
            reply = wire.read_reply()
        assert reply is not None
        return reply

    def row(self, reply: Reply) -> dict[str, Any]:
        """The ledger's row of an answer, waited for."""
        gateway, ident = self.case.gateway, reply.header("x-request-id")
        eventually(lambda: gateway.stored_row(ident), "its row")
        return gateway.stored_row(ident) or {}

    @property
    def asked(self) -> tuple[int, int]:
        """Requests that each provider saw."""
        return len(self.main.requests), len(self.spare.requests)


@pytest.fixture
def scene(case: Case, upstream: Upstream, spare: Upstream) -> Scene:
    """Routes of its own on the module's gateway; the invariants hold for both providers."""
    spare.clear()
    case.others = (spare,)
    return Scene(case, upstream, spare, _unused.pop())


def refusing(status: int, *headers: tuple[str, str]) -> list[Step]:
    """An error answer with these headers."""
    return [whole(status, ERROR, headers=headers)]


def served_by_spare(scene: Scene, reply: Reply, nonce: str) -> None:
    """The client did not notice: a whole answer, its own, of the second provider, and the row says so."""
    assert (reply.status, reply.complete) == (200, True), reply
    assert nonce.encode() in reply.body
    assert b'"error"' not in reply.body
    assert (reply.header("x-trunkline-provider"), reply.header("x-trunkline-attempts")) == ("spare", "2")
    row = scene.row(reply)
    assert (row["outcome"], row["attempts"], row["provider"], row["status"]) == ("ok", 2, "spare", 200)


# B1: it hangs, or cannot be reached ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("headed", [False, True])
def test_b1_a_hang_costs_its_deadline_and_no_more(scene: Scene, headed: bool, stream: bool) -> None:
    """Nothing was shown: somebody else answers, and the connection of the one that hangs is closed."""
    promised = head(200, [("content-type", "text/event-stream" if stream else "application/json"), ("content-length", "900")])
    scene.main.script(lambda _: [promised, Hold()] if headed else [Hold()])
    begin = time.monotonic()
    reply = scene.chat("pair", nonce="mine", stream=stream)
    assert 0.4 < time.monotonic() - begin < 0.5 + TICK
    served_by_spare(scene, reply, "mine")
    assert scene.asked == (1, 1)
    assert scene.main.wait_ended(scene.main.requests[0]) in {"eof", "rst"}


@pytest.mark.parametrize("dialect", speech.DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
def test_b1_one_retry_and_then_504_in_the_clients_words(scene: Scene, dialect: str, stream: bool) -> None:
    """One more try where one more is allowed; then an error that each SDK reads, and nothing still runs."""
    scene.main.script("hold")
    begin = time.monotonic()
    reply = scene.speak(dialect, "again", stream=stream)
    assert 0.9 < time.monotonic() - begin < 1.0 + 2 * TICK
    assert (reply.status, reply.header("content-type")) == (504, "application/json")
    assert speech.refusal(dialect, reply.body)
    assert scene.asked == (2, 0)
    assert {scene.main.wait_ended(seen) for seen in scene.main.requests} <= {"eof", "rst"}
    assert scene.row(reply)["attempts"] == 2


def test_b1_all_hang(scene: Scene) -> None:
    """Who waits for everybody is told in the end, within what their deadlines are together."""
    scene.main.script("hold")
    scene.spare.script("hold")
    begin = time.monotonic()
    reply = scene.chat("pair")
    assert (reply.status, reply.header("x-trunkline-attempts")) == (504, "2")
    assert 0.9 < time.monotonic() - begin < 1.0 + 2 * TICK
    assert scene.asked == (1, 1)


Place = Callable[[], tuple[str, Callable[[], None]]]


def _nobody() -> tuple[str, Callable[[], None]]:
    unused = socket.socket()
    unused.bind(("127.0.0.1", 0))
    return f"http://127.0.0.1:{unused.getsockname()[1]}/v1", unused.close


def _full() -> tuple[str, Callable[[], None]]:
    listener = full_listener()
    port = listener.__enter__()
    return f"http://127.0.0.1:{port}/v1", lambda: listener.__exit__(None, None, None) and None


def _no_tls() -> tuple[str, Callable[[], None]]:
    plain = Upstream()
    return plain.url.replace("http:", "https:"), plain.stop


def _no_name() -> tuple[str, Callable[[], None]]:
    return "http://no-such-host.invalid/v1", lambda: None


PLACES: dict[str, Place] = {
    "nobody listens": _nobody,
    "packets are dropped": _full,
    "no such name": _no_name,
    "no tls": _no_tls,
}


@pytest.mark.parametrize("name", PLACES)
def test_b1_b13_b14_who_cannot_be_reached_is_passed_over(
    upstream: Upstream, spare: Upstream, make_gateway: Make, name: str
) -> None:
    """A refused connection, a lost one, a name that is not found, a wrong certificate: somebody else answers."""
    url, close = PLACES[name]()
    try:
        upstream.clear()
        gateway = make_gateway(config(upstream, spare, lost=provider(url)))
        case = Case(gateway, upstream, others=(spare,), rows=1)
        case.begin()
        begin = time.monotonic()
        reply = gateway.chat(model="first-lost", nonce="mine", stream=name != "nobody listens")
        assert time.monotonic() - begin < 1.0 + 2 * TICK
        assert (reply.status, b"mine" in reply.body, reply.header("x-trunkline-attempts")) == (200, True, "2")
        case.check()
    finally:
        close()


# B2, B3: it breaks off ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", speech.DIALECTS)
@pytest.mark.parametrize("mock", ["frames=30;rst_at=9", "frames=30;eof_at=9", "frames=30;hang_at=9", "frames=30;error_at=9"])
def test_b3_what_was_shown_is_not_begun_anew(scene: Scene, mock: str, dialect: str) -> None:
    """A second beginning after the first would be read as one answer; a clean end would be taken for all of it."""
    scene.main.script(f"{mock};gap=5")
    reply = scene.speak(dialect, "pair", stream=True)
    assert (reply.status, reply.complete) == (200, True)
    told = speech.stream(dialect, reply.body)
    assert told.ending == "broken"
    assert told.text == "none" * 9
    assert scene.asked == (1, 0)
    row = scene.row(reply)
    assert (row["attempts"], row["outcome"] in {"upstream_broken", "upstream_error"}) == (1, True)
    assert row["output_tokens"] > 0


BREAKS = ["rst_at=0", "eof_at=0", "frames=1;badchunk_at=0", "drop", "drop=rst", "frames=1;error_at=0"]


@pytest.mark.parametrize("mock", BREAKS)
def test_b3_what_broke_before_it_was_shown_is(scene: Scene, mock: str) -> None:
    """Nothing was seen of it: the next one answers."""
    scene.main.script(mock)
    served_by_spare(scene, scene.chat("pair", nonce="mine", stream=True), "mine")


@pytest.mark.parametrize("mock", ["short", "cut", "drop", "drop=rst", "rst"])
def test_b3_half_an_answer_is_none(scene: Scene, mock: str) -> None:
    """A whole answer that was cut is somebody else's to give, and never glued to theirs."""
    half = [head(200, [("content-type", "application/json"), ("content-length", "1000")]) + b"{" * 500, Pause(0.02), Reset()]
    scene.main.script(lambda _: half if mock == "rst" else mock)
    served_by_spare(scene, scene.chat("pair", nonce="mine"), "mine")


# B5: it says when to come back --------------------------------------------------------------------------------------------


WAITS: dict[str, tuple[Callable[[], list[tuple[str, str]]], float, float]] = {
    "seconds": (lambda: [("retry-after", "1")], 1.0, 2.0),
    "half a second": (lambda: [("retry-after", "0.5")], 0.5, 1.2),
    "milliseconds": (lambda: [("retry-after-ms", "300"), ("retry-after", "60")], 0.3, 1.0),
    "a date": (lambda: [("retry-after", formatdate(time.time() + 2, usegmt=True))], 0.8, 3.0),
    "a date that is past": (lambda: [("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], 0.0, 0.6),
    "nonsense": (lambda: [("retry-after", "when it suits me")], 0.0, 0.6),
    "nothing": (list, 0.0, 0.6),
    "less than nothing": (lambda: [("retry-after", "-5")], 0.0, 0.6),
    "no number": (lambda: [("retry-after", "nan"), ("retry-after-ms", "inf")], 0.0, 0.6),
}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("name", WAITS)
def test_b5_the_wait_is_the_providers(scene: Scene, name: str, status: int) -> None:
    """Asked too soon it refuses again and counts that too; what cannot be read is as if nothing had been said."""
    headers, least, most = WAITS[name]
    scene.main.then(refusing(status, *headers()))
    reply = scene.chat("again", nonce="mine")
    assert (reply.status, reply.content, scene.asked) == (200, "mine", (2, 0))
    first, second = scene.main.requests
    assert least <= second.at - first.at < most + TICK


@pytest.mark.parametrize("told", ["5", "3600", "31000000", "tomorrow"])
@pytest.mark.parametrize("status", [429, 503])
def test_b5_a_long_wait_is_the_clients(scene: Scene, status: int, told: str) -> None:
    """A client is not held for an hour: it gets the error as it is, with the time as it was told."""
    told = formatdate(time.time() + 86_400, usegmt=True) if told == "tomorrow" else told
    scene.main.script(lambda _: refusing(status, ("retry-after", told)))
    begin = time.monotonic()
    reply = scene.chat("again")
    assert time.monotonic() - begin < TICK
    assert (reply.status, reply.header("retry-after"), reply.error["message"]) == (status, told, "mock says no")
    assert scene.asked == (1, 0)


@pytest.mark.parametrize("told", ["99999999999999999999", "Fri, 31 Dec 2077 23:59:59 GMT", "1e400"])
def test_b5_a_time_beyond_all_sense_says_nothing(scene: Scene, told: str) -> None:
    """A provider whose clock is broken is tried as one that said nothing, and not left alone for fifty years."""
    scene.main.script(lambda _: refusing(503, ("retry-after", told)))
    reply = scene.chat("again")
    assert (reply.status, reply.header("retry-after"), scene.asked) == (503, told, (2, 0))
    scene.main.script(None)
    assert scene.chat("again").status == 200


def test_b5_google_says_it_in_the_body(scene: Scene) -> None:
    """Gemini sends no header: its RetryInfo is heeded all the same."""
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.4s"}
    error = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": [info]}}
    answer = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "mine"}]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4},
    }
    scene.main.then([whole(429, json.dumps(error).encode())], [whole(200, json.dumps(answer).encode())])
    reply = scene.chat("google")
    assert (reply.status, reply.content) == (200, "mine")
    first, second = scene.main.requests
    assert 0.4 <= second.at - first.at < 1.0 + TICK


@pytest.mark.parametrize("dialect", speech.DIALECTS)
def test_b5_the_last_word_passes_through(scene: Scene, dialect: str) -> None:
    """SDKs decide by status and header whether to come back: they get those of the last attempt, not of the first."""
    scene.main.script(lambda _: refusing(429, ("retry-after", "9")))
    scene.spare.script(lambda _: refusing(503, ("retry-after", "7")))
    reply = scene.speak(dialect, "pair", stream=False)
    assert (reply.status, reply.header("retry-after"), reply.header("x-trunkline-attempts")) == (503, "7", "2")
    assert speech.refusal(dialect, reply.body)


def test_b5_who_said_when_is_left_alone_until_then(scene: Scene) -> None:
    """Each request would first be refused; after the time it is asked again."""
    scene.main.then(refusing(429, ("retry-after", "1")))
    assert [scene.chat("pair").status for _ in range(4)] == [200] * 4
    assert scene.asked == (1, 4)
    refused = scene.main.requests[0].at
    eventually(lambda: scene.chat("pair").status == 200 and len(scene.main.requests) > 1, "it is asked again")
    assert scene.main.requests[1].at - refused >= 1.0


def test_b5_nobody_is_asked_more_often_than_is_allowed(scene: Scene) -> None:
    """Four tries at two providers that both fail: four, in turn, and each a little later."""
    scene.main.script("status=503")
    scene.spare.script("status=500")
    reply = scene.chat("both")
    assert (reply.status, reply.header("x-trunkline-attempts"), scene.asked) == (500, "4", (2, 2))
    assert scene.main.requests[1].at - scene.main.requests[0].at >= 0.0075, "the wait is 10 ms, less a quarter"


# B6, B7, B12: what it answers is none -------------------------------------------------------------------------------------


ERROR_IN_200 = whole(200, b'{"error":{"message":"no capacity","type":"server_error","code":"busy","param":null}}')
NO_ANSWERS = {**BAD_ANSWERS, "an error": f"raw={base64.b64encode(ERROR_IN_200).decode()}"}


@pytest.mark.parametrize("name", NO_ANSWERS)
@pytest.mark.parametrize("stream", [False, True])
def test_b6_200_that_is_none_is_somebody_elses_to_give(scene: Scene, name: str, stream: bool) -> None:
    """A login page is what everybody gets there: the next one is asked, and none of its text is shown."""
    scene.main.script(NO_ANSWERS[name])
    reply = scene.chat("pair", nonce="mine", stream=stream)
    served_by_spare(scene, reply, "mine")
    assert b"It works" not in reply.body


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_b6_and_is_not_asked_for_twice(scene: Scene, name: str) -> None:
    """What sits behind a login page does so a moment later: one error, at once."""
    scene.main.script(BAD_ANSWERS[name])
    assert (scene.chat("again").status, scene.asked) == (502, (1, 0))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_b7_a_redirect_is_not_followed_but_passed_over(scene: Scene, status: int) -> None:
    """The key stays with its provider; the client has its answer from another."""
    with Upstream() as canary:
        place = f"http://127.0.0.1:{canary.port}/v1/chat/completions"
        scene.main.script(lambda _: [head(status, [("location", place), ("content-length", "0")])])
        reply = scene.chat("pair", nonce="mine")
        served_by_spare(scene, reply, "mine")
        assert reply.header("location") is None
        assert canary.accepted == 0


@pytest.mark.parametrize("mock", ["bomb=24", "big=24"])
def test_b12_a_bomb_is_passed_over(upstream: Upstream, spare: Upstream, make_gateway: Make, mock: str) -> None:
    """A bomb costs its bound and no more, and the client has its answer all the same."""
    upstream.clear()
    gateway = make_gateway(config(upstream, spare, bounded=provider(upstream.url, max_answer="1MiB", max_stream="4MiB")))
    case = Case(gateway, upstream, others=(spare,), rows=2)
    case.begin()
    gateway.chat(model="first-bounded")
    before = gateway.rss()
    upstream.script(mock)
    reply = gateway.chat(model="first-bounded", nonce="mine")
    assert (reply.status, reply.content, reply.header("x-trunkline-provider")) == (200, "mine", "spare")
    assert gateway.rss() - before < 12 * 2**20
    case.check()


# B8, B9, B10: its connections ---------------------------------------------------------------------------------------------


def test_b8_a_silent_repeat_is_no_attempt(scene: Scene) -> None:
    """A connection that died in the pool is nobody's failure: the same provider answers, and no attempt is counted."""
    assert scene.chat("pair").status == 200
    scene.main.then([Reset()])
    reply = scene.chat("pair", nonce="mine")
    assert (reply.status, reply.content, reply.header("x-trunkline-attempts")) == (200, "mine", "1")
    assert scene.asked == (3, 0)


def test_b9_nobody_gets_anothers_answer_on_a_route(scene: Scene) -> None:
    """Attempts that are given up, clients that leave between two of them: the next answer is its owner's. Seeded."""
    seed = random.randrange(2**20)
    dice, gateway = random.Random(seed), scene.case.gateway
    scene.case.rows_up_to, scene.case.rows = 300, 150
    mocks = {"main": "", "spare": ""}
    scene.main.script(lambda _: mocks["main"])
    scene.spare.script(lambda _: mocks["spare"])
    for number in range(150):
        nonce = f"{seed}-{number}-"
        mocks["main"], mocks["spare"] = dice.choice(MOCKS), dice.choice(["", "", "frames=6;gap=2"])
        with gateway.connect() as wire:
            wire.send(gateway.chat_bytes(model=f"pair{number % ROUTES}", nonce=nonce, stream=dice.random() < 0.6))
            leave_somewhere(wire, dice)
        mocks["main"] = dice.choice(["", "status=500", "short", "drop=rst"])
        reply = gateway.chat(model=f"both{number % ROUTES}", nonce=nonce + "next")
        assert (reply.status, reply.content) == (200, nonce + "next"), f"seed {seed}, round {number}: {reply}"
    _unused.clear()


def test_b10_a_full_pool_is_passed_over(upstream: Upstream, spare: Upstream, make_gateway: Make) -> None:
    """A provider that holds all its connections does not hold those that may go elsewhere, and starves nobody."""
    upstream.clear()
    pool = {"max_connections": 2, "max_waiting": 1, "wait": "100ms"}
    gateway = make_gateway(config(upstream, spare, small=provider(upstream.url, pool=pool)))
    case = Case(gateway, upstream, others=(spare,))
    case.begin()
    upstream.script(lambda seen: "sleep=400" if seen.fields["model"] == "tiny" else None)
    with gateway.connect() as first, gateway.connect() as second:
        for wire in (first, second):
            wire.send(gateway.chat_bytes(model="first-small"))
        upstream.wait_requests(2)
        begin = time.monotonic()
        reply = gateway.chat(model="first-small", nonce="mine")
        assert (reply.status, reply.content, reply.header("x-trunkline-provider")) == (200, "mine", "spare")
        assert gateway.chat(model="pair0", nonce="other").content == "other"
        assert time.monotonic() - begin < 0.2 + TICK, "it waited for a provider that is stuck"
        assert {one.read_reply().status for one in (first, second)} == {200}  # type: ignore[union-attr]
    case.rows = 4
    case.check()
