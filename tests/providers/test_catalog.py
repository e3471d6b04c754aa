"""The rows of the catalogue."""

from __future__ import annotations

import pytest

from trunkline.config import values
from trunkline.providers.catalog import catalog, ollama_base_url

KINDS = [
    "openai",
    "deepseek",
    "xai",
    "openrouter",
    "mistral",
    "groq",
    "blackbox",
    "ollama",
    "together",
    "fireworks",
    "perplexity",
    "cerebras",
    "echo",
]


def test_every_kind_is_there():
    """A provider that the documentation names could not be configured."""
    assert list(catalog()) == KINDS
    assert catalog() is catalog()


@pytest.mark.parametrize("kind", KINDS)
def test_rows_can_be_used(kind: str):
    """The mistake in the data would show only at the first request."""
    row = catalog()[kind]
    assert row.source
    assert all(name == values.header_name(name) for name in row.forward)
    assert bool(row.env) == (row.auth == "bearer")
    assert not row.env or row.env == f"{kind.upper()}_API_KEY"
    if kind == "echo":
        assert (row.dialect, row.base_url) == ("echo", "")
    else:
        endpoint = values.endpoint(row.base_url)
        assert row.dialect == "openai_chat"
        assert endpoint.scheme == ("http" if kind == "ollama" else "https")
        assert not row.base_url.endswith("/")


def test_no_client_credential_is_forwarded():
    """A client's own key would be shown to a provider."""
    forwarded = {name for row in catalog().values() for name in row.forward}
    assert not forwarded & {"authorization", "x-api-key", "cookie", "x-goog-api-key", "proxy-authorization"}


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434/v1"),
        (" ", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0:1234", "http://127.0.0.1:1234/v1"),
        (":1234", "http://127.0.0.1:1234/v1"),
        ("[::]:1234", "http://127.0.0.1:1234/v1"),
        ("box", "http://box:11434/v1"),
        ("box:1234", "http://box:1234/v1"),
        ("[::1]", "http://[::1]:11434/v1"),
        ("[::1]:1234", "http://[::1]:1234/v1"),
        ("http://box", "http://box:80/v1"),
        ("https://box", "https://box:443/v1"),
        ("https://box:1234/", "https://box:1234/v1"),
        ("http://box:1234/ollama", "http://box:1234/ollama/v1"),
    ],
)
def test_where_ollama_is(host: str, url: str):
    """An Ollama that every other program finds would not be found."""
    assert ollama_base_url(host) == url
    values.endpoint(url)
