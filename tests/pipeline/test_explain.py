"""What is told of a request before it is sent: the same as happens when it is."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
import yaml

from trunkline.canon.errors import GatewayError, Kind
from trunkline.config.load import load
from trunkline.config.snapshot import Snapshot
from trunkline.gateway.endpoints import find
from trunkline.ledger.prices import Prices
from trunkline.pipeline.exchange import Door
from trunkline.pipeline.explain import as_request, explain_request, words
from trunkline.pipeline.explanation import Explanation
from trunkline.pipeline.rehearsal import Question, Scene
from trunkline.policy.keys import Principal
from trunkline.routing.course import Standings
from trunkline.routing.route import When
from trunkline.routing.traits import pattern

SECRETS = {
    "lab": "sk-lab-0123456789",
    "second": "sk-second-0123456789",
    "claude": "sk-ant-0123456789",
    "gemini": "AIza-0123456789",
    "aws": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00",
    "header": "very-hidden-header-value",
}
CONFIG: dict[str, Any] = {
    "providers": {
        "lab": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_keys": [SECRETS["lab"], SECRETS["second"]]},
        "claude": {
            "kind": "anthropic",
            "api_key": SECRETS["claude"],
            "headers": {"x-team-token": SECRETS["header"], "x-short-key": "7"},
        },
        "gemini": {"kind": "gemini", "api_key": SECRETS["gemini"]},
        "aws": {
            "kind": "bedrock",
            "region": "us-east-1",
            "aws": {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": SECRETS["aws"]},
        },
    },
    "models": {
        "m": {"targets": ["lab/gpt-4.1"], "fallbacks": ["claude/claude-sonnet-4-5"], "aliases": ["also-m"]},
        "c": {"targets": ["claude/claude-sonnet-4-5"]},
        "g": {"targets": ["gemini/gemini-2.5-flash"]},
        "b": {"targets": ["aws/anthropic.claude-sonnet-4-5-20250929-v1:0"]},
        "strict": {"targets": ["claude/claude-sonnet-4-5"], "unsupported": "strict"},
        "either": {"targets": ["claude/claude-sonnet-4-5", "lab/gpt-4.1"], "unsupported": "strict"},
        "chained": {
            "targets": ["lab/gpt-4.1"],
            "rules": [
                {"when": {"images": True}, "use": "c"},
                {"when": {"tools": True}, "use": "c"},
                {"when": {"tokens_under": 1000}, "use": "ruled"},
            ],
        },
        "ruled": {
            "targets": ["lab/gpt-4.1"],
            "rules": [
                {"when": {"tokens_over": 100000}, "use": "g"},
                {"when": {"tags": ["vip"]}, "use": "c"},
                {"when": {"stream": True}, "use": "b"},
            ],
        },
    },
}
ALL = Principal("laptop", b"d" * 32)
HELLO = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    file = tmp_path_factory.mktemp("explain") / "trunkline.yaml"
    file.write_text(yaml.safe_dump(CONFIG))
    file.chmod(0o600)
    return load(file, {})


def told(
    snapshot: Snapshot,
    path: str,
    body: Mapping[str, Any] | bytes,
    principal: Principal = ALL,
    headers: Mapping[bytes, bytes] | None = None,
    standings: Standings | None = None,
) -> Explanation:
    place, _, query = path.partition("?")
    endpoint = find("POST", place, query.encode(), dict(headers or {}))
    assert endpoint is not None
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = as_request(path, headers or {}, raw, endpoint.passing, time.monotonic())
    door = Door(endpoint.name, endpoint.dialect, endpoint.named, endpoint.passing)
    scene = Scene(snapshot, Prices.load(), time.time_ns, time.monotonic, lambda: 0.5, standings)
    found = asyncio.run(explain_request(scene, Question(principal, door, endpoint.job, request)))  # type: ignore[arg-type]
    text = msgspec.json.encode(found).decode()
    assert not [secret for secret in SECRETS.values() if secret in text]
    return found


CHAT = [
    ("/v1/chat/completions", {"model": "m", **HELLO}, "bytes", "http://127.0.0.1:9/v1/chat/completions"),
    ("/v1/chat/completions", {"model": "c", **HELLO}, "translated", "https://api.anthropic.com/v1/messages"),
    ("/v1/messages", {"model": "c", "max_tokens": 9, **HELLO}, "bytes", "https://api.anthropic.com/v1/messages"),
    ("/v1/messages", {"model": "m", "max_tokens": 9, **HELLO}, "translated", "http://127.0.0.1:9/v1/chat/completions"),
    ("/v1/responses", {"model": "m", "input": "hi"}, "translated", "http://127.0.0.1:9/v1/chat/completions"),
    ("/v1/completions", {"model": "m", "prompt": "hi"}, "translated", "http://127.0.0.1:9/v1/chat/completions"),
    ("/api/chat", {"model": "m", "stream": False, **HELLO}, "translated", "http://127.0.0.1:9/v1/chat/completions"),
    (
        "/v1beta/models/g:generateContent",
        {"contents": [{"parts": [{"text": "hi"}]}]},
        "bytes",
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent",
    ),
    ("/v1/embeddings", {"model": "lab/text-embedding-3-small", "input": "hi"}, "bytes", "http://127.0.0.1:9/v1/embeddings"),
    ("/api/embed", {"model": "lab/text-embedding-3-small", "input": "hi"}, "translated", "http://127.0.0.1:9/v1/embeddings"),
    ("/v1/images/generations", {"model": "lab/dall-e-3", "prompt": "a"}, "bytes", "http://127.0.0.1:9/v1/images/generations"),
    ("/v1/messages/count_tokens", {"model": "c", **HELLO}, "bytes", "https://api.anthropic.com/v1/messages/count_tokens"),
    ("/v1/audio/speech", {"model": "lab/tts-1", "input": "hi"}, "bytes", "http://127.0.0.1:9/v1/audio/speech"),
    ("/v1/realtime?model=lab/gpt-realtime", b"", "bytes", "http://127.0.0.1:9/v1/realtime?model=gpt-realtime"),
]


@pytest.mark.parametrize(("path", "body", "way", "url"), CHAT)
def test_every_door(snapshot: Snapshot, path: str, body: Any, way: str, url: str) -> None:
    """What is explained at one door and not at another is asked for by mail."""
    found = told(snapshot, path, body)
    assert found.refused is None
    assert found.sent is not None
    assert found.carried is not None
    assert (found.sent.url, found.carried.way) == (url, way)
    assert found.candidates[0].place == 1
    assert found.route is not None
    assert found.route.allowed
    headers = dict(found.sent.headers)
    secret = {name: value for name, value in headers.items() if "***" in value}
    assert set(secret.values()) <= {"***", "Bearer ***"}
    assert secret


def test_the_request_is_the_one_that_would_go_out(snapshot: Snapshot) -> None:
    """Whoever debugs a provider's refusal needs the very bytes."""
    found = told(snapshot, "/v1/chat/completions", {"model": "c", "seed": 4, "max_tokens": 100, **HELLO})
    assert found.sent is not None
    assert found.carried is not None
    body = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    sent = json.loads(found.sent.body)
    sent["messages"][0]["content"] = sent["messages"][0]["content"][0]["text"]
    assert sent == body
    assert found.carried.dropped == ("seed",)
    assert dict(found.sent.headers)["anthropic-version"] == "2023-06-01"
    assert dict(found.sent.headers)["x-team-token"] == "***"
    assert dict(found.sent.headers)["x-short-key"] == "***"
    assert dict(found.sent.headers)["content-length"] == str(len(found.sent.body))


def test_the_price(snapshot: Snapshot) -> None:
    """A budget is asked for before the money is spent."""
    found = told(snapshot, "/v1/chat/completions", {"model": "c", "max_tokens": 100, **HELLO})
    assert found.cost is not None
    assert found.seen is not None
    assert (found.cost.least, found.cost.most) == (found.seen.tokens * 3000, found.seen.tokens * 3000 + 100 * 15000)
    free = told(snapshot, "/v1/messages/count_tokens", {"model": "c", **HELLO}).cost
    assert free is not None
    assert (free.least, free.most) == (0, 0)
    without = told(snapshot, "/v1/chat/completions", {"model": "c", **HELLO}).cost
    assert without is not None
    assert without.most is None


def test_what_is_seen_of_a_request(snapshot: Snapshot) -> None:
    """Rules and limits work on it: that a picture was not seen explains a wrong way."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    messages = [{"role": "user", "content": [picture]}]
    body = {"model": "m", "messages": messages, "tools": [tool], "response_format": schema, "stream": True}
    seen = told(snapshot, "/v1/chat/completions", body).seen
    assert seen is not None
    assert (seen.media, seen.tools, seen.schema, seen.stream) == (("image",), True, True, True)


def test_urls_are_named_and_not_fetched(snapshot: Snapshot) -> None:
    """An explanation that fetches would let its reader look into the operator's network."""
    url = 'https://example.com/a.png?x="y"'
    file = "https://example.com/b.pdf"
    parts = [
        {"type": "image", "source": {"type": "url", "url": url}},
        {"type": "document", "source": {"type": "url", "url": file}},
    ]
    found = told(snapshot, "/v1/messages", {"model": "b", "max_tokens": 9, "messages": [{"role": "user", "content": parts}]})
    assert found.carried is not None
    assert found.sent is not None
    assert set(found.carried.fetched) == {url, file}
    assert f"(what is at {url})" in json.dumps(json.loads(found.sent.body), ensure_ascii=False).replace('\\"', '"')
    assert any("credential is made" in note for note in found.notes)
    assert dict(found.sent.headers)["Authorization"] == "AWS4-HMAC-SHA256 ***"


@pytest.mark.parametrize(
    ("principal", "body", "followed"),
    [
        (ALL, {"stream": False}, None),
        (msgspec.structs.replace(ALL, tags=frozenset({"vip"})), {"stream": True}, 2),
        (ALL, {"stream": True}, 3),
    ],
)
def test_rules(snapshot: Snapshot, principal: Principal, body: dict[str, Any], followed: int | None) -> None:
    """Which rule held, and which did not, is the first question of whoever wrote them."""
    found = told(snapshot, "/v1/chat/completions", {"model": "ruled", **HELLO, **body}, principal)
    assert found.route is not None
    assert [rule.number for rule in found.route.rules if rule.holds] == ([] if followed is None else [followed])
    assert len(found.route.rules) == (followed or 3)
    assert found.route.name == {None: "ruled", 2: "c", 3: "b"}[followed]
    assert found.candidates[0].provider == {None: "lab", 2: "claude", 3: "aws"}[followed]
    assert found.key.tags == tuple(principal.tags)


def test_rules_that_lead_to_rules(snapshot: Snapshot) -> None:
    """Each is told in its turn."""
    route = told(snapshot, "/v1/chat/completions", {"model": "chained", **HELLO}).route
    assert route is not None
    assert [(rule.route, rule.number, rule.holds) for rule in route.rules] == [
        ("chained", 1, False),
        ("chained", 2, False),
        ("chained", 3, True),
        ("ruled", 1, False),
        ("ruled", 2, False),
        ("ruled", 3, False),
    ]
    assert route.name == "ruled"


def test_what_only_passes_has_its_candidates(snapshot: Snapshot) -> None:
    """Speech fails over, too, among those that have it."""
    found = told(snapshot, "/v1/audio/speech", {"model": "m", "input": "hi"})
    assert {one.provider for one in found.candidates} == {"lab"}
    assert [one.place for one in found.candidates] == [1, 2]


def test_candidates_in_their_order(snapshot: Snapshot) -> None:
    """Two credentials of one provider are two targets; the fallback comes last."""
    found = told(snapshot, "/v1/chat/completions", {"model": "m", **HELLO})
    assert [(one.provider, one.credential, one.place, one.fallback) for one in found.candidates] == [
        ("lab", 1, 1, False),
        ("lab", 2, 2, False),
        ("claude", 1, 3, True),
    ]


def test_what_a_running_gateway_learned_counts_and_stays(snapshot: Snapshot) -> None:
    """An explanation tells why the first choice is not asked, and must not itself be taken for a try."""
    standings = Standings(lambda _: None)
    course = standings.along(snapshot.routes["c"])
    down = GatewayError(Kind.UPSTREAM_FAILED, "no", status=500)
    now = time.monotonic()
    for _ in range(5):
        course.standings[0].failed(now, now, down)
    before = msgspec.to_builtins([standings.turns, course.standings[0].busy, course.standings[0].turn])
    found = told(snapshot, "/v1/chat/completions", {"model": "c", **HELLO}, standings=standings)
    (one,) = found.candidates
    assert one.reason.startswith("failed of late")
    assert (one.condition.state, one.place) == ("open", 1), "nobody else is left: it would be asked all the same"
    assert [standings.turns, course.standings[0].busy, course.standings[0].turn] == before
    assert not any("No running gateway" in note for note in found.notes)


def test_who_is_being_tried_is_said_to_be(snapshot: Snapshot) -> None:
    """The explanation asks nobody, so whoever tries the target in earnest is still about it when it is written."""
    standings = Standings(lambda _: None)
    tried = standings.along(snapshot.routes["c"]).standings[0]
    now = time.monotonic() - 11.0
    for _ in range(5):
        tried.failed(now, now, GatewayError(Kind.UPSTREAM_FAILED, "no", status=500))
    standings.asked(tried, 1, time.monotonic())
    (one,) = told(snapshot, "/v1/chat/completions", {"model": "c", **HELLO}, standings=standings).candidates
    assert (one.condition.state, one.condition.busy, one.reason) == ("half_open", 1, "failed of late and is being tried")


@pytest.mark.parametrize(
    ("path", "body", "principal", "status", "named"),
    [
        ("/v1/chat/completions", b"{", ALL, 400, False),
        ("/v1/chat/completions", {"model": "nope", **HELLO}, ALL, 404, True),
        ("/v1/messages", {"model": "m", **HELLO}, msgspec.structs.replace(ALL, models=frozenset({"c"})), 403, True),
        ("/v1/chat/completions", {"model": "strict", "seed": 1, **HELLO}, ALL, 400, True),
        ("/v1/embeddings", {"model": "c", "input": "hi"}, ALL, 400, True),
        ("/v1/rerank", {"model": "c", "query": "hi"}, ALL, 400, True),
    ],
)
def test_a_refusal_is_told_as_the_client_would_see_it(
    snapshot: Snapshot, path: str, body: Any, principal: Principal, status: int, named: bool
) -> None:
    """And nothing would be sent."""
    found = told(snapshot, path, body, principal)
    assert found.refused is not None
    assert (found.refused.status, found.sent) == (status, None)
    assert "error" in json.loads(found.refused.body)
    assert (found.route is not None) == named
    if status == 403:
        assert found.route is not None
        assert not found.route.allowed
        assert found.key.models == ("c",)


def test_a_target_that_cannot_be_told_everything(snapshot: Snapshot) -> None:
    """The next one is asked at once, and the operator wonders why."""
    found = told(snapshot, "/v1/chat/completions", {"model": "either", "seed": 1, **HELLO})
    assert found.sent is not None
    assert found.carried is not None
    assert found.sent.url.startswith("http://127.0.0.1:9/")
    assert found.carried.refused == ("claude/claude-sonnet-4-5: bad_request",)


def test_aliases(snapshot: Snapshot) -> None:
    """A key's own names come before the configuration's."""
    mine = msgspec.structs.replace(ALL, aliases={"gpt": "also-m"})
    route = told(snapshot, "/v1/chat/completions", {"model": "gpt", **HELLO}, mine).route
    assert route is not None
    assert (route.asked, route.meant, route.entry) == ("gpt", "also-m", "m")


def test_a_form_passes(snapshot: Snapshot) -> None:
    """Recordings are large; what matters is where they go and under which name."""
    boundary = b"--x\r\ncontent-disposition: form-data; name="
    body = boundary + b'"model"\r\n\r\nlab/whisper-1\r\n' + boundary + b'"file"; filename="a.wav"\r\n\r\nRIFF\r\n--x--\r\n'
    found = told(snapshot, "/v1/audio/transcriptions", body, headers={b"content-type": b"multipart/form-data; boundary=x"})
    assert found.refused is None
    assert found.sent is not None
    assert (found.sent.url, found.candidates[0].model) == ("http://127.0.0.1:9/v1/audio/transcriptions", "whisper-1")
    assert found.sent.body.startswith("(a form")


def test_a_request_without_a_model(snapshot: Snapshot) -> None:
    """Files go to a provider, not to a model."""
    found = told(snapshot, "/v1/files/file-1", b"", headers={b"x-trunkline-provider": b"lab"})
    assert found.route is None
    assert found.sent is not None
    assert (found.sent.method, found.sent.url, found.candidates[0].provider) == (
        "GET",
        "http://127.0.0.1:9/v1/files/file-1",
        "lab",
    )


def test_what_the_gateway_answers_itself(snapshot: Snapshot) -> None:
    """Nothing is sent for it, and it is no refusal."""
    for stream in (True, False):
        found = told(snapshot, "/v1/chat/completions", {"model": "echo/echo", "stream": stream, **HELLO})
        assert (found.sent, found.refused) == (None, None)
        assert any("by itself" in note for note in found.notes)
    counted = told(snapshot, "/v1/messages/count_tokens", {"model": "echo/echo", **HELLO})
    assert (counted.sent, counted.refused) == (None, None)


def test_several_prompts_become_several_requests(snapshot: Snapshot) -> None:
    """The price is that of all; the first is shown."""
    found = told(snapshot, "/v1/completions", {"model": "c", "prompt": ["a", "b", "c"]})
    assert any("3 requests" in note for note in found.notes)


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (When(), "always"),
        (When(images=True, tools=False), "images, no tools"),
        (When(tokens_over=5, tokens_under=9), "over 5 tokens, under 9 tokens"),
        (
            When(tags=frozenset({"b", "a"}), headers=((b"x-team", pattern("red*")),)),
            "a key tagged a or b, header x-team like red.*",
        ),
    ],
)
def test_rules_in_words(when: When, text: str) -> None:
    """The reader compares them with what is written."""
    assert words(when) == text
