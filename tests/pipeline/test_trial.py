"""A provider is tried: what is asked, and what its answers mean to the person who asks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from harness.script import Seen
from harness.upstream import Upstream
from trunkline.config.load import load
from trunkline.credentials.credential import Credential
from trunkline.edge.client import Client
from trunkline.edge.timers import Sweep
from trunkline.ledger.prices import Prices
from trunkline.pipeline.trial import Verdict, trial

KEY = "sk-provider-0123456789"


class Means(NamedTuple):
    """The parts of the house that a trial needs."""

    client: Client
    credentials: dict[str, Credential]
    prices: Prices
    mono: Callable[[], float] = time.monotonic
    clock_ns: Callable[[], int] = time.time_ns


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as found:
        yield found


@pytest.fixture
def tried(tmp_path: Path, upstream: Upstream) -> Callable[..., Verdict]:
    def run(kind: str = "openai", model: str = "", models: dict[str, Any] | None = None, **settings: Any) -> Verdict:
        provider = {"kind": kind, "base_url": upstream.url, "api_key": KEY} | settings
        file = tmp_path / "t.yaml"
        file.write_text(yaml.safe_dump({"providers": {"p": provider}, "models": models or {}}))
        snapshot = load(file, {})

        async def main() -> Verdict:
            client = Client(asyncio.get_running_loop(), Sweep(asyncio.get_running_loop()))
            try:
                return await trial(Means(client, {}, Prices.load()), snapshot, "p", model)
            finally:
                client.close()

        return asyncio.run(main())

    return run


def answered(status: int, body: object) -> list[bytes]:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (status, len(text), text)]


def by_path(**answers: list[bytes]) -> Callable[[Seen], list[bytes]]:
    """Answers by the last word of the path."""
    return lambda seen: answers[seen.head.split(b" ")[1].decode().rpartition("/")[2].partition("?")[0]]


CHAT = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "OK\n"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}
MODELS = {"data": [{"id": "text-embedding-3-small"}, {"id": "gpt-4.1"}, {"id": "gpt-4.1-nano"}, {"id": "unheard-of"}]}


def test_a_provider_that_works(tried: Callable[..., Verdict], upstream: Upstream) -> None:
    """A person wants to see that the key counts, what there is, how quick it is, and what the trial cost."""
    upstream.script(by_path(models=answered(200, MODELS), completions=answered(200, CHAT)))
    verdict = tried()
    assert (verdict.works, verdict.model, verdict.answer, verdict.problem) == (True, "gpt-4.1-nano", "OK", "")
    assert verdict.models == ("text-embedding-3-small", "gpt-4.1", "gpt-4.1-nano", "unheard-of")
    assert (verdict.usage.input, verdict.usage.output, verdict.cost_nano) == (9, 2, 9 * 100 + 2 * 400)
    assert verdict.list_time is not None
    assert verdict.answer_time is not None
    assert 0 < verdict.list_time < 5
    assert 0 < verdict.answer_time < 5
    listed, asked = upstream.requests
    assert listed.head.startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert f"\r\nauthorization: bearer {KEY}\r\n".encode() in listed.head.lower()
    assert json.loads(asked.body)["model"] == "gpt-4.1-nano"


@pytest.mark.parametrize(
    ("given", "models", "asked"),
    [
        ("", {"m": {"targets": ["p/configured"]}}, "configured"),
        ("named", {"m": {"targets": ["p/configured"]}}, "named"),
        ("", {"m": {"targets": ["echo/echo"]}}, "unheard-of"),
    ],
)
def test_which_model_is_asked(
    tried: Callable[..., Verdict], upstream: Upstream, given: str, models: dict[str, Any], asked: str
) -> None:
    """The trial would say nothing about the model that will be used."""
    upstream.script(by_path(models=answered(200, {"data": [{"id": "unheard-of"}]}), completions=answered(200, CHAT)))
    verdict = tried(model=given, models=models)
    assert (verdict.works, verdict.model, verdict.cost_nano) == (True, asked, None)


def test_a_server_without_a_list(tried: Callable[..., Verdict], upstream: Upstream) -> None:
    """Many compatible servers have none, and still answer."""
    upstream.script(by_path(models=answered(404, b"nothing here"), completions=answered(200, CHAT)))
    verdict = tried(model="m")
    assert (verdict.works, verdict.models, verdict.list_time) == (True, None, None)
    verdict = tried()
    assert (verdict.works, verdict.problem) == (False, "No model to ask is known.")
    assert "--model" in verdict.remedy


def test_a_key_that_may_not_list_models(tried: Callable[..., Verdict], upstream: Upstream) -> None:
    """A key that is restricted to what it is for would be called broken, though every request with it is answered."""
    upstream.script(by_path(models=answered(403, {"error": {"message": "x"}}), completions=answered(200, CHAT)))
    verdict = tried(model="m")
    assert (verdict.works, verdict.models, verdict.answer) == (True, None, "OK")
    assert not tried().works


@pytest.mark.parametrize(
    ("status", "body", "remedy"),
    [
        (401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}, "Check api_key"),
        (402, {"error": {"message": "x"}}, "add some"),
        (403, {"error": {"message": "x"}}, "rights"),
        (429, {"error": {"message": "x"}}, "quota"),
        (500, {"error": {"message": "x"}}, "try again later"),
        (418, {"error": {"message": "x"}}, "provider's words"),
        (200, b"<html>", "not this API"),
    ],
)
def test_what_to_mend(tried: Callable[..., Verdict], upstream: Upstream, status: int, body: object, remedy: str) -> None:
    """A person would have to guess what a status means; and the key would be on the screen."""
    upstream.script(by_path(models=answered(status, body)))
    verdict = tried()
    assert not verdict.works
    assert remedy in verdict.remedy
    assert verdict.problem
    assert KEY not in verdict.problem


def test_a_model_that_is_not_there(tried: Callable[..., Verdict], upstream: Upstream) -> None:
    """The names that there are say more than a 404."""
    upstream.script(by_path(models=answered(200, MODELS), completions=answered(404, {"error": {"message": "no such model"}})))
    verdict = tried(model="gpt-4.l")
    assert (verdict.works, verdict.problem) == (False, "no such model")
    assert "p lists no model 'gpt-4.l'; it has gpt-4.1, gpt-4.1-nano" in verdict.remedy


def test_nobody_is_there(tried: Callable[..., Verdict], upstream: Upstream) -> None:
    """A server that is down is the first thing a trial is for."""
    upstream.stop()
    verdict = tried(model="m")
    assert (verdict.works, verdict.models) == (False, None)
    assert "base_url" in verdict.remedy


def test_a_dialects_own_headers_go_with_it(tried: Callable[..., Verdict], upstream: Upstream) -> None:
    """Anthropic refuses what names no version."""
    answer = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "OK"}], "stop_reason": "end_turn"}
    answer |= {"id": "x", "model": "m", "usage": {"input_tokens": 1, "output_tokens": 1}}
    upstream.script(by_path(models=answered(200, {"data": []}), messages=answered(200, answer)))
    assert tried("anthropic", "claude-sonnet-4-5").works
    assert [seen.head.lower().count(b"\r\nanthropic-version: 2023-06-01") for seen in upstream.requests] == [1, 1]


def test_the_built_in_provider_is_there(tmp_path: Path) -> None:
    """There is nobody to ask."""
    snapshot = load(None, {})
    assert asyncio.run(trial(Means(None, {}, Prices.load()), snapshot, "echo")).works  # type: ignore[arg-type]
