"""Routes as a client meets them: three providers behind one name, and which of them a request reaches.

What happens when one of them fails is in `test_b_routes`; the same decisions without a process are in `tests/routing`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from harness.client import Reply
from harness.gateway import KEY, NARROW_KEY, Gateway
from harness.invariants import Case, eventually
from harness.script import Hold, Pause, head, whole
from harness.upstream import Upstream

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SEATS = ["sk-canary-seat-one-0123456789", "sk-canary-seat-two-0123456789", "sk-canary-seat-three-0123456"]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
TIMES = {"connect": "1s", "first_byte": "5s", "idle": "5s", "total": "20s"}


@pytest.fixture(scope="module")
def others() -> Iterator[tuple[Upstream, Upstream]]:
    """The second provider and the third."""
    with Upstream() as second, Upstream() as third:
        yield second, third


def _config(*urls: str) -> dict[str, Any]:
    a, b, c = ({"kind": "openai", "base_url": url, "api_key": "sk-canary-provider-key-0123456789"} for url in urls)
    blind = {"media": [], "context": 2000, "tools": False}
    models: dict[str, Any] = {
        "m": {"targets": ["a/tiny"], "aliases": ["quick"]},
        "ordered": {"targets": ["a/tiny", "b/tiny", "c/tiny"]},
        "weighted": {
            "strategy": "weighted",
            "targets": [{"to": "a/tiny", "weight": 6}, {"to": "b/tiny", "weight": 3}, "c/tiny"],
        },
        "latency": {"strategy": "latency", "targets": ["a/slow", "b/fast", "c/slow"]},
        "busy": {"strategy": "least_busy", "targets": ["a/busy", "b/busy", "c/busy"]},
        "cheap": {"strategy": "cost", "targets": ["a/nobody-knows-what-it-costs", "b/gpt-4.1", "c/gpt-4.1-nano"]},
        "ruled": {
            "targets": ["a/plain"],
            "rules": [
                {"when": {"images": True}, "use": "b/eyes"},
                {"when": {"headers": {"x-team": "research-*"}}, "use": "b/research"},
                {"when": {"tags": ["batch"]}, "use": "c/batch"},
                {"when": {"tools": True}, "use": "b/tools"},
                {"when": {"tokens_over": 5000}, "use": "c/long"},
            ],
        },
        "star-*": {"targets": ["b/made-*"]},
        "seats": {"targets": ["seats/tiny"]},
        "seats-then": {"targets": ["twins/other"], "fallbacks": ["a/tiny"]},
        "sticky": {
            "strategy": "weighted", "affinity": "session", "targets": ["a/sticky", "b/sticky", "c/sticky"],
        },
        "begin": {"strategy": "weighted", "affinity": "prompt", "targets": ["a/begin", "b/begin", "c/begin"]},
        "fits": {"targets": ["blind/small", "c/large"]},
    }  # fmt: skip
    return {
        "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        "providers": {
            "a": a, "b": b, "c": c,
            "seats": {"kind": "openai", "base_url": urls[1], "api_keys": SEATS},
            "twins": {"kind": "openai", "base_url": urls[1], "api_keys": SEATS[:2]},
            "blind": {**a, "facts": {"small": blind}},
        },
        "models": {name: {**model, "timeouts": TIMES} for name, model in models.items()},
        "keys": [
            {"name": "tester", "secret": KEY},
            {"name": "narrow", "secret": NARROW_KEY, "models": ["m", "ruled"], "tags": ["batch"],
             "aliases": {"default": "m", "gpt-4.1": "ruled"}},
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def gateway(
    upstream: Upstream, others: tuple[Upstream, Upstream], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """The real process before all three."""
    with Gateway(_config(upstream.url, *(one.url for one in others)), tmp_path_factory.mktemp("gateway")) as running:
        yield running


@dataclass
class Scene:
    """One case and its three providers."""

    case: Case
    a: Upstream
    b: Upstream
    c: Upstream

    def chat(self, **fields: Any) -> Reply:
        """A request that must be answered; the books get its row."""
        reply = self.case.gateway.chat(**fields)
        assert reply.status == 200, reply
        return reply

    def ask(self, path: str, fields: Any, **more: Any) -> Reply:
        """The same in any dialect."""
        reply = self.case.gateway.ask(path, fields, **more)
        assert reply.status == 200, reply
        return reply

    def asked(self) -> list[str]:
        """Whom the requests reached, in no order, and the models they were asked for."""
        return [
            f"{name}/{json.loads(seen.body)['model']}"
            for name, one in zip("abc", self.all, strict=True)
            for seen in one.requests
        ]

    def arrived(self, number: int) -> None:
        """Wait until so many requests reached anybody."""
        eventually(lambda: len(self.asked()) >= number, "the request to arrive")

    @property
    def all(self) -> tuple[Upstream, ...]:
        """All three."""
        return self.a, self.b, self.c


@pytest.fixture
def scene(case: Case, others: tuple[Upstream, Upstream]) -> Iterator[Scene]:
    """The invariants hold for all three providers; every request has its row."""
    case.others = others
    for one in others:
        one.clear()
    made = Scene(case, case.upstream, *others)
    yield made
    if case.rows is None:
        case.rows = len(made.asked())


def test_strategies_that_need_nothing_learned(scene: Scene) -> None:
    """A strategy would not be what is written: always the first, by weight, or the cheapest that is known."""
    for _ in range(3):
        scene.chat(model="ordered")
    assert scene.asked() == ["a/tiny"] * 3
    for _ in range(3):
        scene.chat(model="cheap")
    assert scene.asked() == ["a/tiny"] * 3 + ["c/gpt-4.1-nano"] * 3
    for _ in range(60):
        scene.chat(model="weighted")
    found = Counter(asked[0] for asked in scene.asked()[3:]) - Counter("ccc")
    assert found["a"] > 18
    assert found["b"] > 3


def test_the_quickest(scene: Scene) -> None:
    """A provider that takes ten times as long would be asked as often."""
    for one in (scene.a, scene.c):
        one.script(lambda _: [Pause(0.4), *whole_answer()])
    for _ in range(3):
        scene.chat(model="latency")
    assert {asked[0] for asked in scene.asked()} == {"a", "b", "c"}, "each is tried"
    for _ in range(8):
        scene.chat(model="latency")
    assert Counter(asked[0] for asked in scene.asked())["b"] >= 9


def test_the_least_busy(scene: Scene) -> None:
    """Requests would queue at one provider while two are idle."""
    for one in scene.all:
        one.script(lambda _: [Hold(), *whole_answer()])
    wires = [scene.case.gateway.connect() for _ in range(6)]
    for number, wire in enumerate(wires, 1):
        wire.send(scene.case.gateway.chat_bytes(model="busy"))
        scene.arrived(number)
    assert Counter(asked[0] for asked in scene.asked()) == {"a": 2, "b": 2, "c": 2}
    for one in scene.all:
        one.release()
    for wire in wires:
        reply = wire.read_reply()
        assert reply is not None
        assert reply.status == 200
        wire.close()


RULED: list[tuple[dict[str, Any], str]] = [
    ({}, "a/plain"),
    ({"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}]}]}, "b/eyes"),
    ({"headers": [("X-Team", "research-7")]}, "b/research"),
    ({"headers": [("X-Team", "sales")]}, "a/plain"),
    ({"key": NARROW_KEY}, "c/batch"),
    ({"key": NARROW_KEY, "model": "gpt-4.1"}, "c/batch"),
    ({"tools": [TOOL]}, "b/tools"),
    ({"messages": [{"role": "user", "content": "word " * 6000}]}, "c/long"),
    ({"model": "star-9"}, "b/made-9"),
    ({"model": "quick"}, "a/tiny"),
    ({"model": "default", "key": NARROW_KEY}, "a/tiny"),
    ({"model": "c/anything"}, "c/anything"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "target"), RULED)
def test_rules_and_names(scene: Scene, fields: dict[str, Any], target: str) -> None:
    """A request would go another way than its operator wrote."""
    scene.chat(**{"model": "ruled", **fields})
    assert scene.asked() == [target]


PICTURES: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}]}]}),
    ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}]}]}),
    ("/v1/responses", {"input": [{"role": "user", "content": [
        {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"}]}]}),
    ("/v1beta/models/fits:generateContent", {"contents": [{"role": "user", "parts": [
        {"inlineData": {"mimeType": "image/png", "data": PICTURE}}]}]}),
    ("/api/chat", {"stream": False, "messages": [{"role": "user", "content": "x", "images": [PICTURE]}]}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "fields"), PICTURES)
def test_a_picture_goes_to_who_can_see(scene: Scene, path: str, fields: dict[str, Any]) -> None:
    """A model that is blind would be sent a picture, in one of the dialects."""
    named = {} if "fits" in path else {"model": "fits"}
    scene.ask(path, named | fields)
    assert scene.asked() == ["c/large"]


def test_what_does_not_fit_goes_where_it_does(scene: Scene) -> None:
    """A long prompt or one with tools would be an error instead of an answer."""
    scene.chat(model="fits")
    scene.chat(model="fits", messages=[{"role": "user", "content": "word " * 3000}])
    scene.chat(model="fits", max_tokens=1990)
    scene.chat(model="fits", tools=[TOOL])
    assert scene.asked() == ["a/small", *["c/large"] * 3]


def test_credentials_take_turns_and_the_refused_one_rests(scene: Scene) -> None:
    """One account would carry everything, or a key that was revoked would fail every third request for ever."""

    def shown() -> list[str]:
        return [str(seen.header("authorization")).removeprefix("Bearer ") for seen in scene.b.requests]

    for _ in range(6):
        scene.chat(model="seats")
    assert shown() == SEATS * 2
    scene.b.script(lambda seen: refused() if seen.header("authorization") == f"Bearer {SEATS[1]}" else whole_answer())
    for _ in range(9):
        scene.chat(model="seats")
    after = Counter(shown()[6:])
    assert after[SEATS[1]] == 2, "refused twice, then left alone"
    assert after[SEATS[0]] + after[SEATS[2]] == 9
    for _ in range(4):
        scene.chat(model="seats/another")
    assert Counter(shown())[SEATS[1]] == 4, "and for every other model too"
    scene.case.rows = 6 + 9 + 4
    told = b"".join([*scene.case.gateway.stdout, *scene.case.gateway.stderr, scene.case.gateway.metrics_text().encode()])
    assert not any(secret.encode() in told for secret in SEATS)


@pytest.mark.parametrize(("status", "asked"), [(500, 1), (429, 2)])
def test_another_credential_is_asked_where_it_may_help(scene: Scene, status: int, asked: int) -> None:
    """Each of many keys would be tried at a provider that is down; or none of them where one account has used up its limit."""
    scene.b.script(f"status={status}")
    scene.chat(model="seats-then")
    assert (len(scene.b.requests), len(scene.a.requests)) == (asked, 1)
    scene.case.rows = 1


CLIENTS: list[tuple[str, str, Mapping[str, Any]]] = [
    ("x-claude-code-session-id", "/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}),
    ("session-id", "/v1/responses", {"input": "x"}),
    ("session_id", "/v1/responses", {"input": "x"}),
    ("x-session-affinity", "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
    ("x-session-id", "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
    ("x-trunkline-session", "/api/chat", {"stream": False, "messages": [{"role": "user", "content": "x"}]}),
]


@pytest.mark.parametrize(("header", "path", "fields"), CLIENTS)
def test_a_session_stays_where_its_prompt_is_cached(scene: Scene, header: str, path: str, fields: Mapping[str, Any]) -> None:
    """Each turn of Claude Code, Codex or opencode would go elsewhere and pay for its whole prompt again."""
    homes = set()
    for session in range(8):
        before = [len(one.requests) for one in scene.all]
        for _ in range(3):
            scene.ask(path, {"model": "sticky", **fields}, headers=[(header, f"session-{session}")])
        more = [len(one.requests) - was for one, was in zip(scene.all, before, strict=True)]
        assert sorted(more) == [0, 0, 3], f"session {session} met {more}"
        homes.add(more.index(3))
    assert len(homes) > 1, "all sessions crowd at one provider"


def test_what_begins_alike_meets(scene: Scene) -> None:
    """A long prompt would be cached at three providers, and paid for at each."""
    for talk in range(6):
        messages = [{"role": "user", "content": f"Question {talk}"}]
        for _ in range(3):
            scene.chat(model="begin", messages=messages)
            messages += [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "And?"}]
    found = Counter(asked[0] for asked in scene.asked())
    assert all(count % 3 == 0 for count in found.values()), found
    assert len(found) > 1


def whole_answer() -> list[Any]:
    """A chat completion."""
    message = {"role": "assistant", "content": "ok"}
    body: dict[str, Any] = {
        "id": "c",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    body["usage"] = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    return [whole(200, json.dumps(body).encode())]


def refused() -> list[Any]:
    """A provider's 401."""
    body = json.dumps({"error": {"message": "no", "type": "invalid_request_error", "code": "invalid_api_key"}}).encode()
    return [head(401, [("content-type", "application/json"), ("content-length", str(len(body)))]), body]
