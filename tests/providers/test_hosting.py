"""Where a cloud keeps another's paths."""

from __future__ import annotations

import json

import pytest

from trunkline.canon.wire import Origin
from trunkline.dialects.dialect import Outgoing
from trunkline.providers.hosting import place
from trunkline.providers.provider import Provider

ORIGIN = Origin("https", "h", 443)
PLAIN = Provider("p", "openai", ORIGIN, {"openai_chat": "/v1", "openai_responses": "/v1"})
QUERIED = Provider("p", "azure", ORIGIN, {"openai_chat": "/openai/v1"}, query="api-version=preview")
DATED = Provider(
    "p", "azure", ORIGIN, {"openai_chat": "/openai", "openai_responses": "/openai"}, "deployments", "api-version=2024-10-21"
)
VERTEX = Provider(
    "p", "vertex", ORIGIN, {"gemini": "/v1/p/google", "anthropic": "/v1/p/anthropic", "openai_chat": "/v1/openapi"}, "vertex"
)


@pytest.mark.parametrize(
    ("provider", "dialect", "model", "path", "placed"),
    [
        (PLAIN, "openai_chat", "m", "/chat/completions", "/v1/chat/completions"),
        (PLAIN, "openai_chat", "m", "/files?limit=1", "/v1/files?limit=1"),
        (QUERIED, "openai_chat", "m", "/chat/completions", "/openai/v1/chat/completions?api-version=preview"),
        (QUERIED, "openai_chat", "m", "/files?limit=1", "/openai/v1/files?limit=1&api-version=preview"),
        (DATED, "openai_chat", "dep", "/chat/completions", "/openai/deployments/dep/chat/completions?api-version=2024-10-21"),
        (DATED, "openai_chat", "dep", "/completions", "/openai/deployments/dep/completions?api-version=2024-10-21"),
        (DATED, "openai_chat", "dep", "/embeddings", "/openai/deployments/dep/embeddings?api-version=2024-10-21"),
        (DATED, "openai_chat", "d", "/images/generations", "/openai/deployments/d/images/generations?api-version=2024-10-21"),
        (DATED, "openai_chat", "d", "/audio/speech", "/openai/deployments/d/audio/speech?api-version=2024-10-21"),
        (DATED, "openai_chat", "a/b c?", "/embeddings", "/openai/deployments/a%2Fb%20c%3F/embeddings?api-version=2024-10-21"),
        (DATED, "openai_chat", "dep", "/files?after=f1", "/openai/files?after=f1&api-version=2024-10-21"),
        (
            DATED,
            "openai_chat",
            "dep",
            "/realtime?model=dep&x=model",
            "/openai/realtime?deployment=dep&x=model&api-version=2024-10-21",
        ),
        (DATED, "openai_responses", "dep", "/responses", "/openai/responses?api-version=2024-10-21"),
        (VERTEX, "gemini", "g", "/models/g:generateContent", "/v1/p/google/models/g:generateContent"),
        (VERTEX, "openai_chat", "meta/l", "/chat/completions", "/v1/openapi/chat/completions"),
    ],
)
def test_the_whole_path(provider: Provider, dialect: str, model: str, path: str, placed: str) -> None:
    """The provider would answer 404."""
    outgoing = Outgoing(path, b"{}", b"a: b\r\n", {"x": "y"})
    assert place(provider, dialect, model, outgoing) == Outgoing(placed, b"{}", b"a: b\r\n", {"x": "y"})


@pytest.mark.parametrize(
    ("model", "body", "path", "sent"),
    [
        (
            "claude-x@2025",
            b'{"model":"claude-x@2025","max_tokens":1.50}',
            "/models/claude-x@2025:rawPredict",
            b'{"anthropic_version":"vertex-2023-10-16","max_tokens":1.50}',
        ),
        (
            "a/../b:c?",
            b'{"model":"m","stream": false}',
            "/models/a%2F..%2Fb%3Ac%3F:rawPredict",
            b'{"anthropic_version":"vertex-2023-10-16","stream":false}',
        ),
        (
            "c",
            b'{"stream":true,"model":"c"}',
            "/models/c:streamRawPredict",
            b'{"anthropic_version":"vertex-2023-10-16","stream":true}',
        ),
        ("c", b'{"model":"c","anthropic_version":"newer"}', "/models/c:rawPredict", b'{"anthropic_version":"newer"}'),
    ],
)
def test_claude_on_vertex(model: str, body: bytes, path: str, sent: bytes) -> None:
    """Vertex takes the model in the path, and Anthropic's version in the body, only; the rest goes byte for byte."""
    head = b"anthropic-version: 2023-06-01\r\nAnthropic-Beta: b\r\n"
    placed = place(VERTEX, "anthropic", model, Outgoing("/v1/messages", body, head, {"x": "y"}))
    assert placed == Outgoing(f"/v1/p/anthropic{path}", sent, b"Anthropic-Beta: b\r\n", {"x": "y"})


def test_claudes_count_on_vertex() -> None:
    """The model stands in the body there, and in the body only."""
    body = b'{"model":"c","messages":[]}'
    placed = place(VERTEX, "anthropic", "c", Outgoing("/v1/messages/count_tokens", body))
    assert placed.path == "/v1/p/anthropic/models/count-tokens:rawPredict"
    assert json.loads(placed.body) == {"anthropic_version": "vertex-2023-10-16", "model": "c", "messages": []}


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b'{"contents":[ 1.50 ],"safetySettings":[]}', b'{"contents":[ 1.50 ]}'),
        (
            b'{"generateContentRequest":{"model":"models/g","contents":[],"systemInstruction":{},"toolConfig":{},"tools":[]}}',
            b'{"contents":[],"systemInstruction":{},"tools":[]}',
        ),
        (b'{"generate_content_request":{"contents":[],"generation_config":{}}}', b'{"contents":[],"generation_config":{}}'),
    ],
)
def test_geminis_count_on_vertex(body: bytes, sent: bytes) -> None:
    """Vertex refuses the envelope, and what it does not count."""
    placed = place(VERTEX, "gemini", "g", Outgoing("/models/g:countTokens", body))
    assert (placed.path, placed.body) == ("/v1/p/google/models/g:countTokens", sent)
