"""The rows of the catalogue."""

from __future__ import annotations

import pytest

from trunkline.config import values
from trunkline.providers.catalog import catalog, ollama_base_url

KINDS = [
    "openai",
    "anthropic",
    "gemini",
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
    "azure",
    "vertex",
    "bedrock",
    "cohere",
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
    assert all(default == values.header_value(default) for default in row.forward.values())
    if not row.cloud:
        assert bool(row.env) == (row.auth != "none")
        assert not row.env or row.env[0] == f"{kind.upper()}_API_KEY"
    assert row.dialects
    if row.cloud and not row.base_url:
        assert row.settings, "where it is, a person must be able to say"
    elif kind == "echo":
        assert (row.builtin, row.base_url) == (True, "")
    else:
        endpoint = values.endpoint(row.base_url)
        assert endpoint.scheme == ("http" if kind == "ollama" else "https")
        assert not row.base_url.endswith("/")


def test_who_speaks_what_of_themselves():
    """A provider would be asked in a language it does not know."""
    first = {kind: next(iter(row.dialects)) for kind, row in catalog().items()}
    assert {kind: name for kind, name in first.items() if name != "openai_chat"} == {
        "anthropic": "anthropic",
        "gemini": "gemini",
        "ollama": "ollama",
        "cohere": "cohere",
        "vertex": "gemini",
        "bedrock": "bedrock",
    }


@pytest.mark.parametrize(
    ("kind", "dialect", "given", "path"),
    [
        ("openai", "openai_chat", "/v1", "/v1"),
        ("openai", "openai_chat", "", ""),
        ("openai", "openai_chat", "/openai/deployments/x", "/openai/deployments/x"),
        ("anthropic", "anthropic", "", ""),
        ("anthropic", "anthropic", "/v1", ""),
        ("anthropic", "anthropic", "/anthropic", "/anthropic"),
        ("anthropic", "anthropic", "/anthropic/v1", "/anthropic"),
        ("gemini", "gemini", "", "/v1beta"),
        ("cohere", "cohere", "", "/v2"),
        ("cohere", "cohere", "/v2", "/v2"),
        ("gemini", "gemini", "/v1", "/v1"),
        ("gemini", "gemini", "/v1beta", "/v1beta"),
        ("gemini", "gemini", "/v1beta1", "/v1beta1"),
        ("gemini", "gemini", "/proxy", "/proxy/v1beta"),
        ("gemini", "gemini", "/v1x", "/v1x/v1beta"),
        ("ollama", "ollama", "", ""),
        ("ollama", "ollama", "/v1", ""),
        ("ollama", "openai_chat", "", "/v1"),
        ("ollama", "openai_chat", "/v1", "/v1"),
        ("ollama", "openai_chat", "/box", "/box/v1"),
    ],
)
def test_the_version_in_a_base_url_may_be_there_or_not(kind: str, dialect: str, given: str, path: str):
    """Half of all documentation writes a base URL with its version, the other half without: either would be a 404."""
    assert catalog()[kind].base_path(given, dialect) == path


def test_no_client_credential_is_forwarded():
    """A client's own key would be shown to a provider."""
    forwarded = {name for row in catalog().values() for name in row.forward}
    assert not forwarded & {"authorization", "x-api-key", "cookie", "x-goog-api-key", "proxy-authorization"}


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        (" ", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:1234", "http://127.0.0.1:1234"),
        (":1234", "http://127.0.0.1:1234"),
        ("[::]:1234", "http://127.0.0.1:1234"),
        ("box", "http://box:11434"),
        ("box:1234", "http://box:1234"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:1234", "http://[::1]:1234"),
        ("http://box", "http://box:80"),
        ("https://box", "https://box:443"),
        ("https://box:1234/", "https://box:1234"),
        ("http://box:1234/ollama", "http://box:1234/ollama"),
    ],
)
def test_where_ollama_is(host: str, url: str):
    """An Ollama that every other program finds would not be found."""
    assert ollama_base_url(host) == url
    values.endpoint(url)
