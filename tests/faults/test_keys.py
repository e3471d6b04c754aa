"""Keys and whom they belong to, as clients and operators meet them: what a key may not do, it may not do by any way.

S6 and S7 (keys that are none) are in `test_s_security`; how limits and budgets count is tested with the meters.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import pytest

from harness.client import Reply
from harness.gateway import KEY, Gateway, Make
from harness.invariants import Case, eventually
from harness.script import Hold, head
from harness.upstream import Upstream
from trunkline.store import holders, keys
from trunkline.store.engine import open_store

TEAM_KEY = "tl-canary-team-key-0123456789abcdefghijklmnopqr"
ONE_KEY = "tl-canary-one-key-0123456789abcdefghijklmnopqrs"
PLACE_KEY = "tl-canary-place-key-0123456789abcdefghijklmnopq"
DOOR_KEY = "tl-canary-door-key-0123456789abcdefghijklmnopqr"
QUICK = {"connect": "1s", "first_byte": "5s", "idle": "5s", "total": "20s"}
PROVIDER = {"kind": "openai", "api_key": "sk-canary-provider-key-0123456789", "timeouts": QUICK}


@pytest.fixture(scope="module")
def other() -> Iterator[Upstream]:
    """The provider that some keys may not use."""
    with Upstream() as running:
        yield running


def _config(url: str, other_url: str) -> dict[str, Any]:
    models: dict[str, Any] = {
        "m": {"targets": ["lab/tiny"], "aliases": ["quick"]},
        "costly": {"targets": ["lab/expensive"], "aliases": ["dear"]},
        "star-*": {"targets": ["lab/made-*"]},
        "first-other": {"targets": ["other/x"], "fallbacks": ["lab/tiny"]},
        "first-lab": {"targets": ["lab/tiny"], "fallbacks": ["other/x"]},
        "weighted": {"strategy": "weighted", "targets": ["lab/tiny", "other/x"]},
        "latency": {"strategy": "latency", "targets": ["other/x", "lab/tiny"]},
        "hedged": {"targets": ["lab/tiny", "other/x"], "hedge": {"after": "20ms", "share": 1}},
        "ruled": {"targets": ["lab/tiny"], "rules": [{"when": {"stream": True}, "use": "only-other"}]},
        "only-other": {"targets": ["other/x"]},
        "o-*": {"targets": ["other/*"]},
    }
    return {
        "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "trusted_proxies": ["127.0.0.1"]},
        "providers": {"lab": PROVIDER | {"base_url": url}, "other": PROVIDER | {"base_url": other_url}},
        "models": models,
        "organisations": {"acme": {"tags": ["paying"]}},
        "teams": {"lab": {"organisation": "acme", "models": ["m", "star-*", "lab/tiny"], "tags": ["red"]}},
        "users": {"ann@example.com": {"team": "lab"}},
        "keys": [
            {"name": "tester", "secret": KEY},
            {"name": "member", "secret": TEAM_KEY, "user": "ann@example.com", "models": ["m", "costly", "lab/*", "star-*"],
             "aliases": {"mine": "m", "wish": "costly"}, "tags": ["blue"]},
            {"name": "one", "secret": ONE_KEY, "providers": ["lab"], "aliases": {"mine": "only-other"}},
            {"name": "place", "secret": PLACE_KEY, "addresses": ["192.0.2.0/24", "2001:db8::/32"]},
            {"name": "door", "secret": DOOR_KEY, "endpoints": ["chat.*", "models"]},
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, other: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The real process, in front of two providers."""
    with Gateway(_config(upstream.url, other.url), tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(autouse=True)
def quiet(other: Upstream) -> None:
    """The other provider has seen nothing yet."""
    other.clear()


@pytest.mark.parametrize(
    ("model", "status"),
    [
        ("m", 200), ("quick", 200), ("mine", 200), ("star-1", 200), ("lab/tiny", 200),
        ("costly", 403), ("dear", 403), ("wish", 403), ("lab/expensive", 403), ("lab/made-1", 403),
        ("only-other", 403), ("other/x", 403), ("o-x", 403), ("first-lab", 403),
    ],
)  # fmt: skip
def test_both_a_key_and_its_team_must_allow_a_model(case: Case, model: str, status: int) -> None:
    """The key allows more than its team does, the team more than the key: what both allow is left, by every name."""
    reply = case.gateway.chat(key=TEAM_KEY, model=model)
    assert reply.status == status
    if status == 403:
        assert reply.error["code"] == "model_not_allowed"
        assert case.upstream.requests == []


def test_the_account_says_whose_it_is_and_a_client_does_not(case: Case) -> None:
    """Whoever could name another user, team or key could spend their budget."""
    headers = [
        ("x-trunkline-user", "eve"), ("x-trunkline-team", "other"), ("x-trunkline-key", "tester"), ("x-user-id", "eve"),
        ("openai-organization", "evil"), ("openai-project", "evil"), ("x-litellm-team-id", "evil"), ("x-trunkline-tags", "vip"),
    ]  # fmt: skip
    said = {"user": "eve", "metadata": {"team": "evil", "tags": "vip", "user_id": "eve"}, "safety_identifier": "eve"}
    reply = case.gateway.chat(key=TEAM_KEY, headers=headers, model="m", **said)
    assert reply.status == 200
    ident = reply.header("x-request-id")
    eventually(lambda: case.gateway.stored_row(ident) is not None, "the row")
    row = case.gateway.stored_row(ident) or {}
    assert {name: row[name] for name in ("key", "user", "team", "organisation", "tags")} == {
        "key": "member",
        "user": "ann@example.com",
        "team": "lab",
        "organisation": "acme",
        "tags": "blue,paying,red",
    }


WAYS = ["first-other", "first-lab", "weighted", "latency", "hedged", "m", "lab/tiny", "ruled"]


@pytest.mark.parametrize("model", WAYS)
@pytest.mark.parametrize("fails", [False, True])
def test_a_key_of_one_provider_reaches_no_other(case: Case, other: Upstream, model: str, fails: bool) -> None:
    """Not as a target, a fallback, by weight, by pace, or beside one that is slow; also where its own provider is down."""
    case.rows = 3  # of each request that fails there are several attempts
    fields = {"model": model, "mock": "status=500"} if fails else {"model": model}
    for _ in range(3):
        reply = case.gateway.chat(key=ONE_KEY, **fields)
        assert (reply.status >= 500) is fails
    assert other.requests == []


def test_a_hedge_stays_with_the_key_s_provider(case: Case, other: Upstream, upstream: Upstream) -> None:
    """The second request of a slow one goes to the next target, which here is somebody else's."""
    upstream.then([head(200, [("content-type", "text/event-stream")]), Hold()])
    with case.gateway.connect() as wire:
        wire.send(case.gateway.chat_bytes(key=ONE_KEY, model="hedged", stream=True))
        upstream.wait_requests(1)
        time.sleep(0.2)  # ten times what the route waits
        assert other.requests == []
        upstream.release()


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"model": "only-other", "messages": [{"role": "user", "content": "x"}]}),
        ("/v1/chat/completions", {"model": "mine", "messages": [{"role": "user", "content": "x"}]}),
        ("/v1/chat/completions", {"model": "other/x", "messages": [{"role": "user", "content": "x"}]}),
        ("/v1/chat/completions", {"model": "o-x", "messages": [{"role": "user", "content": "x"}]}),
        ("/v1/chat/completions", {"model": "ruled", "stream": True, "messages": [{"role": "user", "content": "x"}]}),
        ("/v1/messages", {"model": "other/x", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}),
        ("/v1/messages/count_tokens", {"model": "other/x", "messages": [{"role": "user", "content": "x"}]}),
        ("/v1/responses", {"model": "other/x", "input": "x"}),
        ("/v1/completions", {"model": "other/x", "prompt": "x"}),
        ("/v1/embeddings", {"model": "other/x", "input": "x"}),
        ("/v1/images/generations", {"model": "other/x", "prompt": "x"}),
        ("/v1/audio/speech", {"model": "other/x", "input": "x", "voice": "a"}),
        ("/v1/moderations", {"model": "other/x", "input": "x"}),
        ("/v1beta/models/other/x:generateContent", {"contents": [{"parts": [{"text": "x"}]}]}),
        ("/api/chat", {"model": "other/x", "messages": [{"role": "user", "content": "x"}]}),
    ],
)
def test_where_no_provider_is_left(case: Case, other: Upstream, path: str, fields: dict[str, Any]) -> None:
    """By every endpoint and name; the developer is told what is in the way."""
    reply = case.gateway.ask(path, fields, key=ONE_KEY)
    assert reply.status == 403
    assert "provider" in reply.body.decode().lower()
    if path.startswith("/v1/") and "messages" not in path:
        assert reply.error["code"] == "provider_not_allowed"
    assert other.requests == []


def test_what_names_no_model_goes_to_the_key_s_provider(case: Case, other: Upstream, upstream: Upstream) -> None:
    """Files and batches name no model; where a key has one provider, nothing is to be chosen, and no other can be."""
    assert case.gateway.get("/v1/files", key=KEY).status == 400
    case.gateway.get("/v1/files", key=ONE_KEY)
    assert len(upstream.requests) == 1
    refused = case.gateway.ask("/v1/batches", {}, key=ONE_KEY, headers=[("x-trunkline-provider", "other")])
    assert (refused.status, refused.error["code"]) == (403, "provider_not_allowed")
    assert other.requests == []


def test_a_list_has_what_the_key_s_providers_have(case: Case) -> None:
    """What stands in a menu must work when it is chosen."""
    told = case.gateway.get("/v1/models", key=ONE_KEY).json
    names = {row["id"] for row in told["data"]}
    assert {"m", "quick", "costly", "first-other", "ruled"} <= names
    assert names.isdisjoint({"only-other", "mine", "echo/echo"})
    assert {row["owned_by"] for row in told["data"]} == {"lab"}
    assert case.gateway.get("/v1/models/only-other", key=ONE_KEY).status == 404


def _from(gateway: Gateway, told: str | None, key: str = PLACE_KEY) -> Reply:
    return gateway.chat(key=key, headers=[] if told is None else [("x-forwarded-for", told)])


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("192.0.2.7", 200),
        ("2001:db8::1", 200),
        ("198.51.100.1, 192.0.2.7", 200),
        (None, 403),
        ("198.51.100.1", 403),
        ("192.0.2.7, 198.51.100.1", 403),
        ("unknown", 403),
        ("", 403),
    ],
)
def test_a_key_of_one_place(case: Case, told: str | None, status: int) -> None:
    """Behind a proxy of ours, what it saw counts, and nothing that the client wrote before."""
    reply = _from(case.gateway, told)
    assert reply.status == status
    if status == 403:
        assert reply.error["code"] == "address_not_allowed"
        assert case.upstream.requests == []
        client = (told or "127.0.0.1").split(", ")[-1]
        case.gateway.wait_log(lambda line: line.get("key") == "place" and line.get("client") == client)


def test_nobody_else_s_word_counts(upstream: Upstream, other: Upstream, make_gateway: Make) -> None:
    """Without a trusted proxy the header is the client's own."""
    config = _config(upstream.url, other.url)
    del config["server"]["trusted_proxies"]
    gateway = make_gateway(config)
    assert _from(gateway, "192.0.2.7").status == 403
    assert _from(gateway, "192.0.2.7", key=KEY).status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/chat/completions", 200), ("/v1/messages", 403), ("/v1/responses", 403), ("/v1/embeddings", 403), ("/api/chat", 403)],
)
def test_a_key_of_some_endpoints(case: Case, path: str, status: int) -> None:
    """A key for chat must not be used for anything else; the answer is in the dialect of the door."""
    said: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}], "input": "x"}
    if path == "/v1/chat/completions":
        said.pop("input")
    reply = case.gateway.ask(path, said, key=DOOR_KEY)
    assert reply.status == status
    if status == 403:
        assert "may not use the endpoint" in reply.body.decode()
    assert case.gateway.get("/v1/models", key=DOOR_KEY).status == 200
    assert case.gateway.get("/v1/models/m", key=DOOR_KEY).status == 403


def _run(gateway: Gateway, *words: str, fine: bool = True) -> str:
    done = gateway.run(*words, "--data", str(gateway.data))
    assert (done.returncode == 0) is fine, done.stderr.decode()
    return (done.stdout if fine else done.stderr).decode().strip()


def test_whoever_is_changed_by_command_is_changed_at_once(case: Case) -> None:
    """Made, put into a team of the file or of the store, limited, rotated with and without overlap, revoked."""
    gateway = case.gateway
    key = _run(gateway, "keys", "create", "phone", "--team", "lab")
    assert gateway.chat(key=key, model="costly").status == 403
    _run(gateway, "teams", "create", "night", "--models", "costly")
    _run(gateway, "keys", "update", "phone", "--team", "night")
    assert [gateway.chat(key=key, model=model).status for model in ("m", "costly")] == [403, 200]
    _run(gateway, "teams", "update", "night", "--no-models", "--endpoint", "embeddings")
    assert gateway.chat(key=key).error["code"] == "endpoint_not_allowed"
    _run(gateway, "teams", "update", "night", "--no-endpoint")
    next_one = _run(gateway, "keys", "rotate", "phone", "--overlap", "1h")
    assert [gateway.chat(key=one).status for one in (key, next_one)] == [200, 200]
    last = _run(gateway, "keys", "rotate", "phone")
    assert [gateway.chat(key=one).status for one in (key, next_one, last)] == [401, 401, 200]
    assert "still belong: the key phone" in _run(gateway, "teams", "remove", "night", fine=False)
    _run(gateway, "keys", "revoke", "phone")
    assert gateway.chat(key=last).status == 401
    _run(gateway, "teams", "remove", "night")


def test_a_rotated_key_s_overlap_and_a_key_s_time_end_by_themselves(case: Case) -> None:
    """Nobody has to do anything, and nothing is read again."""
    gateway = case.gateway
    key = _run(gateway, "keys", "create", "short")
    next_one = _run(gateway, "keys", "rotate", "short", "--overlap", "2s")
    assert gateway.chat(key=key).status == 200
    eventually(lambda: gateway.chat(key=key).status == 401, "the overlap ended")
    assert gateway.chat(key=next_one).status == 200
    until = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 3))
    _run(gateway, "keys", "update", "short", "--expires", until)
    eventually(lambda: gateway.chat(key=next_one).status == 401, "the key ended")
    _run(gateway, "keys", "revoke", "short")


def test_keys_of_another_gateway_are_taken_in(case: Case) -> None:
    """Clients keep the keys that they have; a secret that is listed by its hash is never seen here."""
    gateway, secret = case.gateway, "sk-litellm-0123456789abcdefgh"
    listed = gateway.folder / "keys.csv"
    listed.write_text(f"name,token\nmoved,{hashlib.sha256(secret.encode()).hexdigest()}\n")
    _run(gateway, "keys", "import", "--from-file", str(listed), "--team", "lab")
    assert gateway.chat(key=secret).status == 200
    assert "known already" in _run(gateway, "keys", "import", "--from-file", str(listed), fine=False)
    _run(gateway, "keys", "revoke", "moved")
    assert gateway.chat(key=secret).status == 401
    assert "revoked already" in _run(gateway, "keys", "import", "--from-file", str(listed), fine=False)


BENT: dict[str, tuple[Any, str]] = {
    "misspelt": ({"modles": ["m"]}, "modles: unknown field"),
    "left": ({"team": "gone"}, "team: there is no team 'gone'"),
    "negative": ({"budgets": [{"usd": "-1", "per": "day"}]}, "budgets[0].usd: must be a number of dollars"),
    "nothing": ({"models": []}, "models: names nothing"),
    "list": (["m"], "settings: unknown field"),
    "null": (None, "settings: unknown field"),
    "of a bent team": ({"team": "bent"}, "the stored team 'bent' cannot be read: limits.rpm"),
}
"""What stands in the database of keys, and what is wrong with it."""


def test_a_stored_key_that_cannot_be_read_opens_nothing(case: Case) -> None:
    """What a later version or a hand in the database wrote may have been a restriction: it fails closed, and says so."""
    gateway = case.gateway
    case.waived.add("errors")
    store = open_store(gateway.data, check=False)
    made = {name: keys.create(store, name, {}, 1)[0] for name in BENT}
    holders.create(store, "team", "bent", {}, 1)
    store.close()
    _run(gateway, "reload")
    assert {gateway.chat(key=key).status for key in made.values()} == {200}
    with contextlib.closing(sqlite3.connect(gateway.data / "trunkline.db", timeout=10)) as database, database:
        for name, (settings, _) in BENT.items():
            database.execute("UPDATE keys SET settings = ? WHERE name = ?", (json.dumps(settings), name))
        database.execute("UPDATE holders SET settings = ?", (json.dumps({"limits": {"rpm": "many"}}),))
    _run(gateway, "reload")
    assert {gateway.chat(key=key).status for key in made.values()} == {401}
    listed = {one["name"]: one for one in json.loads(_run(gateway, "keys", "list", "--json"))}
    for name, (_, reason) in BENT.items():
        gateway.wait_log(lambda line, told=f"key {name}: ": str(line.get("reason")).startswith(told))
        assert listed[name]["state"] == "refused"
        assert reason in listed[name]["reason"]
    assert gateway.chat().status == 200


def test_ten_thousand_keys(upstream: Upstream, other: Upstream, make_gateway: Make) -> None:
    """A large organisation's keys: started, changed and used as quickly as one."""
    gateway = make_gateway(_config(upstream.url, other.url))
    few = gateway.rss()
    lines = "".join(f"key-{n},tl-many-0123456789-{n}\n" for n in range(10_000))
    (gateway.folder / "many.csv").write_text("name,secret\n" + lines)
    _run(gateway, "keys", "import", "--from-file", str(gateway.folder / "many.csv"), "--user", "ann@example.com", "--rpm", "60")
    assert gateway.chat(key="tl-many-0123456789-9999").status == 200
    assert gateway.rss() - few < 60 * 2**20
    key = _run(gateway, "keys", "create", "one-more")
    assert gateway.chat(key=key).status == 200
    begin = time.monotonic()
    gateway.stop()
    gateway.restart()
    assert time.monotonic() - begin < 10
    assert gateway.chat(key="tl-many-0123456789-0").status == 200
