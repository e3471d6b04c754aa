"""Lists of models in four dialects: what a key may use, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import KEY, NARROW_KEY, settings
from harness.upstream import Upstream
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


def test_names_of_the_model_and_of_the_key(upstream: Upstream, tmp_path: Path) -> None:
    """A menu would offer names that mean nothing to this key, or hide those that do."""
    models = settings(upstream.url)["models"]
    models["m"]["aliases"] = ["quick", "old-*"]
    models["gpt-*"] = {"targets": ["lab/*"]}
    keys = [
        {"name": "tester", "secret": KEY},
        {"name": "narrow", "secret": NARROW_KEY, "models": ["m"], "aliases": {"default": "m", "dear": "costly"}},
    ]
    with Inside(tmp_path / "house", upstream.url, config={"models": models, "keys": keys}) as inside:
        everything = _names(json.loads(inside.ask("/v1/models").body))
        assert {"m", "quick", "costly", "patient", "echo/echo"} <= everything
        assert not any("*" in name for name in everything)
        assert "default" not in everything
        assert _names(json.loads(inside.ask("/v1/models", key=NARROW_KEY).body)) == {"m", "quick", "default"}
        told = {name: inside.ask(f"/v1/models/{name}", key=NARROW_KEY).status for name in ("default", "dear", "old-1", "gpt-1")}
        assert told == {"default": 200, "dear": 404, "old-1": 200, "gpt-1": 404}
        assert json.loads(inside.ask("/v1/models/default", key=NARROW_KEY).body)["id"] == "default"
        assert inside.ask("/v1/models/gpt-1").status == 200


def test_the_version_is_one(inside: Inside) -> None:
    """Ollama's clients compare it with what they need."""
    told = json.loads(inside.ask("/api/version").body)
    assert [int(part) >= 0 for part in told["version"].split(".")] == [True] * 3


def test_a_list_has_what_the_key_s_providers_have(upstream: Upstream, tmp_path: Path) -> None:
    """A model of another provider fails when it is chosen; who owns a model is whoever would be asked."""
    models = settings(upstream.url)["models"]
    models["both"] = {"targets": ["gemini/gemini-2.5-flash", "lab/tiny"]}
    models["theirs"] = {"targets": ["gemini/gemini-2.5-flash"]}
    models["ruled"] = {"targets": ["gemini/x"], "rules": [{"when": {"tools": True}, "use": "lab/tiny"}]}
    keys = [{"name": "tester", "secret": KEY}, {"name": "narrow", "secret": NARROW_KEY, "providers": ["lab"]}]
    with Inside(tmp_path / "house", upstream.url, config={"models": models, "keys": keys}) as inside:
        told = {row["id"]: row["owned_by"] for row in json.loads(inside.ask("/v1/models", key=NARROW_KEY).body)["data"]}
        assert {"m", "both", "ruled"} <= told.keys()
        assert told.keys().isdisjoint({"theirs", "gemini", "echo/echo"})
        assert {*told.values()} == {"lab"}
        everyone = {row["id"]: row["owned_by"] for row in json.loads(inside.ask("/v1/models").body)["data"]}
        assert (everyone["both"], everyone["theirs"]) == ("gemini", "gemini")
        found = {
            name: inside.ask(f"/v1/models/{name}", key=NARROW_KEY).status for name in ("both", "theirs", "gemini/x", "lab/x")
        }
        assert found == {"both": 200, "theirs": 404, "gemini/x": 404, "lab/x": 200}
