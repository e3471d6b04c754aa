"""Limits and budgets of the real process (docs/faults.md D8): what SDKs catch, what a restart leaves, who gets in of many."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import httpx
import ollama
import openai
import pytest
from google import genai
from google.genai import errors as google_errors

from harness.gateway import KEY, Gateway, settings
from harness.invariants import eventually
from harness.upstream import Upstream

PRICED = "gpt-4.1"
HELLO: list[Any] = [{"role": "user", "content": "hello"}]
LIMITED, POOR, BUSY = ("tl-canary-" + name * 6 for name in ("limited", "poor-key", "busy-key"))


def _keys(*keys: dict[str, Any]) -> dict[str, Any]:
    return {"keys": [{"name": "tester", "secret": KEY}, *keys]}


def _config(upstream: Upstream, *keys: dict[str, Any], **more: Any) -> dict[str, Any]:
    written = settings(upstream.url)
    timeouts = written["models"]["patient"]["timeouts"]
    written["models"][PRICED] = {"targets": [f"lab/{PRICED}"], "timeouts": timeouts, "aliases": ["m-priced"]}
    return written | _keys(*keys) | more


@pytest.fixture(scope="module")
def limited(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One key that may ask twice a minute, one whose budget is a hundredth of a cent, one that may ask one at a time."""
    keys: tuple[dict[str, Any], ...] = (
        {"name": "limited", "secret": LIMITED, "limits": {"rpm": 1, "tpm": 100_000}},
        {"name": "poor", "secret": POOR, "budgets": [{"usd": "0.0001", "per": "day"}]},
        {"name": "busy", "secret": BUSY, "limits": {"concurrent": 1, "rpm": 1000}},
    )
    with Gateway(_config(upstream, *keys), tmp_path_factory.mktemp("limited")) as running:
        running.chat(key=LIMITED)
        yield running


def _base(gateway: Gateway) -> str:
    return f"http://{gateway.listen[0]}:{gateway.listen[1]}"


def _openai(gateway: Gateway, key: str, *, stream: bool) -> Any:
    with openai.OpenAI(api_key=key, base_url=_base(gateway) + "/v1", max_retries=0) as client:
        return client.chat.completions.create(model=PRICED, messages=HELLO, stream=stream)


def _responses(gateway: Gateway, key: str, *, stream: bool) -> Any:
    with openai.OpenAI(api_key=key, base_url=_base(gateway) + "/v1", max_retries=0) as client:
        return client.responses.create(model=PRICED, input="hello", stream=stream)


def _anthropic(gateway: Gateway, key: str, *, stream: bool) -> Any:
    with anthropic.Anthropic(api_key=key, base_url=_base(gateway), max_retries=0) as client:
        return client.messages.create(model=PRICED, messages=HELLO, max_tokens=1000, stream=stream)


def _gemini(gateway: Gateway, key: str, *, stream: bool) -> Any:
    client = genai.Client(api_key=key, http_options={"base_url": _base(gateway)})
    try:
        if stream:
            return list(client.models.generate_content_stream(model=PRICED, contents="hello"))
        return client.models.generate_content(model=PRICED, contents="hello")
    finally:
        client.close()


def _ollama(gateway: Gateway, key: str, *, stream: bool) -> Any:
    client = ollama.Client(host=_base(gateway), headers={"authorization": f"Bearer {key}"})
    try:
        found = client.chat(model=PRICED, messages=HELLO, stream=stream)
        return list(found) if stream else found
    finally:
        client._client.close()


ASK = {"openai": _openai, "responses": _responses, "anthropic": _anthropic, "gemini": _gemini, "ollama": _ollama}
CLASSES: dict[str, tuple[type[Exception], type[Exception]]] = {
    "openai": (openai.RateLimitError, openai.APIStatusError),
    "responses": (openai.RateLimitError, openai.APIStatusError),
    "anthropic": (anthropic.RateLimitError, anthropic.APIStatusError),
    "gemini": (google_errors.ClientError, google_errors.ClientError),
    "ollama": (ollama.ResponseError, ollama.ResponseError),
}
"""What each SDK raises for a limit, and for a budget."""
WORDS = {"openai": ("rate_limit_error", "insufficient_quota"), "anthropic": ("rate_limit_error", "billing_error")}


def _status(error: Any) -> int:
    return int(getattr(error, "status_code", 0) or error.code)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("sdk", ASK)
def test_a_limit_in_every_sdk(limited: Gateway, upstream: Upstream, sdk: str, stream: bool) -> None:
    """The class that a client's own waiting is written for, with the seconds that it is to wait."""
    upstream.clear()
    with pytest.raises(CLASSES[sdk][0]) as caught:
        ASK[sdk](limited, LIMITED, stream=stream)
    error: Any = caught.value
    assert _status(error) == 429
    assert "key 'limited'" in str(error)
    if isinstance(error, openai.APIStatusError | anthropic.APIStatusError):
        assert 1 <= int(error.response.headers["retry-after"]) <= 60
        assert error.response.headers["x-ratelimit-remaining-requests"] == "0"
        assert error.response.headers["x-ratelimit-limit-tokens"] == "100000"
    if isinstance(error, google_errors.ClientError):
        assert error.status == "RESOURCE_EXHAUSTED"
    assert upstream.requests == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("sdk", ASK)
def test_a_budget_in_every_sdk(limited: Gateway, upstream: Upstream, sdk: str, stream: bool) -> None:
    """It is no rate limit: nobody who waits a moment is helped."""
    upstream.clear()
    with pytest.raises(CLASSES[sdk][1]) as caught:
        ASK[sdk](limited, POOR, stream=stream)
    error: Any = caught.value
    assert _status(error) == 402
    assert "budget of the key 'poor' ($0.0001 a day)" in str(error)
    if isinstance(error, openai.APIStatusError):
        assert (error.type, error.code) == ("insufficient_quota", "budget_exceeded")
    if isinstance(error, anthropic.APIStatusError):
        assert error.type == "billing_error"
    assert upstream.requests == []


def test_a_refusal_costs_no_row_and_is_counted(limited: Gateway) -> None:
    """Whoever reads the books would pay for what was never asked; the operator sees who was refused and why."""
    before = limited.metrics()
    rows = len(limited.stored())
    assert limited.chat(key=LIMITED).status == 429
    after = limited.metrics()
    name = 'trunkline_refused_total{reason="requests"}'
    assert after[name] == before.get(name, 0) + 1
    assert len(limited.stored()) == rows
    line = limited.wait_log(lambda line: line.get("status") == 429 and line.get("key") == "limited")
    assert (line["outcome"], line["detail"]) == ("refused", "key:limited/requests")


def test_headers_of_a_stream(limited: Gateway, upstream: Upstream) -> None:
    """OpenAI's clients read them from any answer."""
    with limited.stream(key=BUSY, model=PRICED, mock="frames=3;hold_at=1") as stream:
        assert stream.reply.header("x-ratelimit-remaining-requests") == "999"
        refused = limited.chat(key=BUSY)
        assert (refused.status, refused.header("x-ratelimit-remaining-requests")) == (429, "999")
        upstream.release()
        stream.rest()
    eventually(lambda: limited.chat(key=BUSY).status == 200, "its place is free")


def test_a_budget_survives_a_crash(upstream: Upstream, make_gateway: Any) -> None:
    """A process that dies and starts again would spend every budget a second time."""
    keys = {"name": "day", "secret": POOR, "budgets": [{"usd": "0.02", "per": "day"}]}
    gateway = make_gateway(_config(upstream, keys))
    for _ in range(3):
        assert gateway.chat(key=POOR, model=PRICED, max_tokens=500).status == 200
    left = gateway.chat(key=POOR, model=PRICED, max_tokens=2200)
    gateway.kill()
    gateway.restart()
    again = gateway.chat(key=POOR, model=PRICED, max_tokens=2200)
    assert (left.status, again.status) in {(200, 200), (402, 402)}
    spent = sum(row["cost_nano"] or 0 for row in gateway.ledger() if row["key"] == "day")
    most = (20_000_000 - spent) // 8_000
    assert gateway.chat(key=POOR, model=PRICED, max_tokens=most + 10).status == 402
    room = most - 2_500 // 4 - 50
    assert gateway.chat(key=POOR, model=PRICED, max_tokens=room).status == 200


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_ten_of_two_hundred(upstream: Upstream, make_gateway: Any, workers: int, request: pytest.FixtureRequest) -> None:
    """A budget with room for ten reservations: of two hundred clients at once no eleventh is let in, and after it all is told
    as spent or free.
    """
    cost = (len(json.dumps({"model": PRICED, "messages": HELLO, "max_tokens": 1000})) // 4 * 2 + 1024) * 2_000 + 8_000_000
    keys = {"name": "race", "secret": POOR, "budgets": [{"usd": f"0.{10 * cost:09d}", "per": "total"}]}
    config = _config(upstream, keys)
    if workers > 1:
        redis = request.getfixturevalue("redis")
        redis.run("FLUSHALL")
        config["server"]["workers"], config["redis"] = workers, {"url": redis.url}
    gateway = make_gateway(config)
    upstream.clear()
    upstream.script("hold")
    try:
        with ThreadPoolExecutor(40) as pool:
            asked = [
                pool.submit(lambda: gateway.chat(key=POOR, model=PRICED, max_tokens=1000, timeout=30).status)
                for _ in range(200)
            ]
            eventually(lambda: sum(one.done() for one in asked) == 190, "all but ten were refused", 30)
            upstream.release()
        statuses = [one.result() for one in asked]
        assert statuses.count(200) == 10
        assert set(statuses) <= {200, 429} | ({503} if workers > 1 else set()), "who cannot ask in time spends nothing"
    finally:
        upstream.release()
        upstream.script(None)
    eventually(lambda: gateway.chat(key=POOR, model=PRICED, max_tokens=1000).status == 200, "what was not used is free again")


def test_retry_after_is_true(upstream: Upstream, make_gateway: Any) -> None:
    """A client that waits as long as it was told is let in, and one that comes a little sooner is not."""
    gateway = make_gateway(_config(upstream, {"name": "rate", "secret": LIMITED, "limits": {"rpm": 60}}))
    for _ in range(60):
        assert gateway.chat(key=LIMITED).status == 200
    refused = gateway.chat(key=LIMITED)
    at = time.monotonic()
    assert refused.status == 429
    assert refused.header("retry-after") == "1"
    time.sleep(max(0.0, at + 1.0 - time.monotonic()))
    assert gateway.chat(key=LIMITED).status == 200


def test_openai_s_client_waits_and_is_served(upstream: Upstream, make_gateway: Any) -> None:
    """Its own retries live by `retry-after`: nobody has to write a loop."""
    gateway = make_gateway(_config(upstream, {"name": "rate", "secret": LIMITED, "limits": {"rpm": 60}}))
    with httpx.Client() as plain:
        while (
            plain.post(
                f"{_base(gateway)}/v1/chat/completions",
                json={"model": "m", "messages": HELLO},
                headers={"authorization": f"Bearer {LIMITED}"},
            ).status_code
            == 200
        ):
            pass
    with openai.OpenAI(api_key=LIMITED, base_url=_base(gateway) + "/v1", max_retries=3) as client:
        assert client.chat.completions.create(model="m", messages=HELLO).choices
