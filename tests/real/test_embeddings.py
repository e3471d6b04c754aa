"""Vectors of a real llama.cpp server: through the gateway or directly, by its own clients and by others, they are the same."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import ollama
import openai
import pytest
from google import genai
from google.genai import types

from harness.gateway import KEY, Gateway
from real.llama import API_KEY, MODEL, Llama
from real.sides import settings

TEXTS = ["Hällo 漢字 👩‍🚀", "another text", "a"]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Llama]:
    """The server. Skipped where a part is not installed."""
    for part in ("xllamacpp", "gguf", "numpy"):
        if importlib.util.find_spec(part) is None:
            pytest.skip(f"{part} is not installed")
    with Llama(tmp_path_factory.mktemp("llama"), embeds=True) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(llama: Llama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The gateway before it."""
    with Gateway(settings(llama.url), tmp_path_factory.mktemp("gateway")) as running:
        yield running


def _url(gateway: Gateway) -> str:
    return "http://{}:{}".format(*gateway.listen)


def _ask(url: str, key: str, **fields: Any) -> Any:
    with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
        return client.embeddings.create(model=MODEL, **{"input": TEXTS, **fields})


@pytest.mark.parametrize(
    "fields", [{}, {"encoding_format": "float"}, {"input": "one"}, {"input": [5, 6, 7]}, {"input": [[5], [6, 7]]}]
)
def test_the_sdk_gets_the_same_vectors(fields: dict[str, Any], llama: Llama, gateway: Gateway) -> None:
    """An index that was filled directly must be searchable through the gateway."""
    direct, through = _ask(llama.url, API_KEY, **fields), _ask(_url(gateway), KEY, **fields)
    assert [one.embedding for one in through.data] == [one.embedding for one in direct.data]
    assert through.usage == direct.usage
    assert len(through.data[0].embedding) > 1


def test_clients_of_other_dialects_get_them_too(llama: Llama, gateway: Gateway) -> None:
    """Translated there and back, to the last bit that the server tells."""
    expected = [one.embedding for one in _ask(llama.url, API_KEY, encoding_format="float").data]
    with ollama.Client(host=_url(gateway), headers={"authorization": f"Bearer {KEY}"}) as client:
        assert [list(one) for one in client.embed(MODEL, TEXTS).embeddings] == expected
        assert list(client.embeddings(MODEL, TEXTS[0]).embedding) == expected[0]
    with genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=_url(gateway))) as google:
        told = google.models.embed_content(model=MODEL, contents=TEXTS)
    assert [one.values for one in told.embeddings or []] == expected


def test_an_error_is_the_servers_own(llama: Llama, gateway: Gateway) -> None:
    """Same status, same words."""
    errors = []
    for url, key in ((llama.url, API_KEY), (_url(gateway), KEY)):
        with pytest.raises(openai.APIStatusError) as raised:
            _ask(url, key, input=[])
        errors.append((raised.value.status_code, raised.value.message))
    assert errors[0] == errors[1]


def test_the_ledger_has_the_servers_count(llama: Llama, gateway: Gateway) -> None:
    """To the token."""
    told = _ask(_url(gateway), KEY)
    gateway.stop()
    row = gateway.ledger()[-1]
    assert (row["endpoint"], row["input_tokens"], row["output_tokens"], row["basis"]) == (
        "embeddings",
        told.usage.prompt_tokens,
        0,
        "reported",
    )
