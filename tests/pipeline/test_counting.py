"""Counting tokens: by who knows best, said in a header, and for free."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.script import whole
from harness.upstream import Upstream
from pipeline.inside import Inside

MESSAGES = [{"role": "user", "content": "How many tokens are in this sentence?"}]


def _count(inside: Inside, model: str, **headers: str) -> Any:
    told = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return inside.ask("/v1/messages/count_tokens?beta=true", {"model": model, "messages": MESSAGES}, headers=told)


def test_the_providers_own_count(inside: Inside, upstream: Upstream) -> None:
    """Anthropic counts its own tokens best; the request passes as it is."""
    upstream.then([whole(200, b'{"input_tokens":15}')])
    reply = _count(inside, "anthropic", anthropic_beta="token-counting-2024-11-01")
    seen = upstream.requests[0]
    assert (seen.target, seen.fields["model"]) == ("/v1/messages/count_tokens", "claude-sonnet-4-5")
    assert seen.header("anthropic-beta") == "token-counting-2024-11-01"
    assert (json.loads(reply.body), reply.header("x-trunkline-count-basis")) == ({"input_tokens": 15}, "provider")


def test_another_providers_count(inside: Inside, upstream: Upstream) -> None:
    """An Anthropic client in front of Gemini: Gemini's count, asked for in Gemini's words."""
    upstream.then([whole(200, b'{"totalTokens":9}')])
    reply = _count(inside, "gemini")
    assert upstream.requests[0].target.startswith("/v1beta/models/gemini-2.5-flash:countTokens")
    assert (json.loads(reply.body), reply.header("x-trunkline-count-basis")) == ({"input_tokens": 9}, "provider")


@pytest.mark.parametrize("model", ["m", "ollama", "echo/echo"])
def test_a_tokenizer_elsewhere(inside: Inside, upstream: Upstream, model: str) -> None:
    """Claude Code asks for any model; who cannot count is not asked, and the basis is said."""
    reply = _count(inside, model)
    assert upstream.requests == []
    assert 8 <= json.loads(reply.body)["input_tokens"] <= 20
    assert reply.header("x-trunkline-count-basis") == "tokenizer"


def test_a_server_that_does_not_count(inside: Inside, upstream: Upstream) -> None:
    """Anthropic-compatible servers often lack the endpoint: the tokenizer answers, not their 404."""
    upstream.then([whole(404, b'{"type":"error","error":{"type":"not_found_error","message":"no"}}')])
    reply = _count(inside, "anthropic")
    assert (reply.status, reply.header("x-trunkline-count-basis")) == (200, "tokenizer")


def test_a_real_error_is_told(inside: Inside, upstream: Upstream) -> None:
    """A refused credential must not look like a count."""
    upstream.then([whole(401, b'{"type":"error","error":{"type":"authentication_error","message":"no"}}')])
    assert _count(inside, "anthropic").status == 401


def test_geminis_clients_count_too(inside: Inside) -> None:
    """The same in the other dialect that has the question."""
    reply = inside.ask("/v1beta/models/m:countTokens", {"contents": [{"parts": [{"text": "hello there"}]}]})
    assert json.loads(reply.body)["totalTokens"] > 0


def test_counting_costs_nothing(inside: Inside, upstream: Upstream) -> None:
    """The ledger has the request, no tokens, and a price of zero, not an unknown one."""
    upstream.then([whole(200, b'{"input_tokens":15}')])
    _count(inside, "anthropic")
    record = inside.last()
    assert (record.opened.endpoint, record.outcome, record.usage.basis, record.cost_nano) == (
        "messages.count_tokens",
        "ok",
        "none",
        0,
    )


def test_another_dialects_error_is_told_in_the_clients(inside: Inside, upstream: Upstream) -> None:
    """Anthropic's SDK could not read Gemini's words for a model that is not there."""
    upstream.then([whole(429, b'{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}')])
    reply = _count(inside, "gemini")
    error = json.loads(reply.body)
    assert (reply.status, error["type"], error["error"]["type"]) == (429, "error", "rate_limit_error")
    assert "slow down" in error["error"]["message"]
