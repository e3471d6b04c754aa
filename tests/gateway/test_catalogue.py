"""Lists of models in four dialects: what a key may use, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.gateway import NARROW_KEY
from pipeline.inside import Inside

ANTHROPIC = [("anthropic-version", "2023-06-01")]


def _names(told: Any) -> set[str]:
    rows = told.get("data") or told["models"]
    return {row.get("id") or row["name"] for row in rows}


@pytest.mark.parametrize(
    ("path", "headers", "shown"),
    [
        ("/v1/models", [], "m"),
        ("/v1/models", ANTHROPIC, "m"),
        ("/v1beta/models", [], "models/m"),
        ("/api/tags", [], "m"),
    ],
)
def test_a_list_shows_what_the_key_may_use(inside: Inside, path: str, headers: list[tuple[str, str]], shown: str) -> None:
    """A name in a list that the key may not use is one that fails when it is chosen from a menu."""
    everything = inside.ask(path, headers=headers)
    narrow = inside.ask(path, key=NARROW_KEY, headers=headers)
    assert (everything.status, narrow.status) == (200, 200)
    assert _names(json.loads(narrow.body)) == {shown}
    assert len(_names(json.loads(everything.body))) > 3


@pytest.mark.parametrize(
    ("path", "headers", "asked", "where"),
    [
        ("/v1/models/{}", [], False, "id"),
        ("/v1/models/{}", ANTHROPIC, False, "id"),
        ("/v1beta/models/{}", [], False, "name"),
        ("/api/show", [], True, "capabilities"),
    ],
)
def test_one_model(inside: Inside, path: str, headers: list[tuple[str, str]], asked: bool, where: str) -> None:
    """SDKs look a model up before they use it; one that is not the caller's must look as one that does not exist."""
    for name in ("m", "costly", "nothing"):
        reply = inside.ask(path.format(name), {"model": name} if asked else None, key=NARROW_KEY, headers=headers)
        told = json.loads(reply.body)
        if name == "m":
            assert (reply.status, where in told) == (200, True)
        else:
            assert reply.status == 404
            assert name in json.dumps(told["error"])


def test_the_version_is_one(inside: Inside) -> None:
    """Ollama's clients compare it with what they need."""
    told = json.loads(inside.ask("/api/version").body)
    assert [int(part) >= 0 for part in told["version"].split(".")] == [True] * 3
