"""Lists of models in Ollama's form."""

from __future__ import annotations

import json
import re

import pytest

from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.dialects.dialect import Listed
from trunkline.dialects.ollama.models import read_show, write_model, write_models, write_version

PLAIN = Listed("smart", "anthropic", NO_FACTS)


def test_the_version_is_one_that_clients_take() -> None:
    """VS Code's Copilot refuses a server older than 0.6.4, comparing numbers."""
    version = json.loads(write_version())["version"]
    assert tuple(map(int, version.split("."))) >= (0, 6, 4)


def test_tags() -> None:
    """`ollama list` cuts the digest at twelve digits and computes with date and size."""
    told = json.loads(write_models([PLAIN, Listed("b", "lab", NO_FACTS)]))["models"]
    assert [model["name"] for model in told] == [model["model"] for model in told] == ["smart", "b"]
    assert all(re.fullmatch("[0-9a-f]{64}", model["digest"]) for model in told)
    assert told[0]["digest"] != told[1]["digest"]
    assert (told[0]["size"], told[0]["modified_at"]) == (0, "1970-01-01T00:00:00Z")
    assert told[0]["details"]["family"] == "anthropic"
    assert json.loads(write_models([])) == {"models": []}


def test_show() -> None:
    """Clients find the context length under the architecture's name."""
    told = json.loads(write_model(Listed("smart", "anthropic", Facts(context=200_000))))
    assert told["model_info"]["general.architecture"] == "anthropic"
    assert told["model_info"]["anthropic.context_length"] == 200_000
    assert "anthropic.context_length" not in json.loads(write_model(PLAIN))["model_info"]


@pytest.mark.parametrize(
    ("facts", "capabilities"),
    [
        (NO_FACTS, ["completion", "tools", "vision"]),
        (Facts(thinks="switch", media=frozenset({"image"})), ["completion", "tools", "vision", "thinking"]),
        (Facts(tools=False, media=frozenset()), ["completion"]),
    ],
)
def test_capabilities(facts: Facts, capabilities: list[str]) -> None:
    """A client withholds pictures and tools from a model that does not list them."""
    assert json.loads(write_model(Listed("m", "lab", facts)))["capabilities"] == capabilities


@pytest.mark.parametrize("body", [b'{"model":"m"}', b'{"name":"m"}', b'{"model":"m","name":"n","verbose":true}'])
def test_show_names_its_model(body: bytes) -> None:
    """Clients before 2024 called it `name`."""
    assert read_show(body) == "m"


@pytest.mark.parametrize("body", [b"{}", b'{"model":1}', b"[]", b""])
def test_show_without_a_model_is_refused(body: bytes) -> None:
    """An error of ours, not a crash."""
    with pytest.raises(GatewayError) as raised:
        read_show(body)
    assert raised.value.status == 400
