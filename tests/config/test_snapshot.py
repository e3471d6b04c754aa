"""What a model name means at request time, and what is never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.config import snapshot as module
from trunkline.config.load import load
from trunkline.config.snapshot import Snapshot

FILE = """\
providers:
  lab: {kind: openai, base_url: "http://127.0.0.1:1/v1", api_key: lab-secret-1, timeouts: {idle: 7s},
    headers: {x-api-key: lab-secret-12}}
models:
  small: {targets: [lab/tiny, echo/x], timeouts: {total: 9s}}
  org/big: {targets: [lab/org/big], aliases: [large, "old-*-big"]}
  claude-*: {targets: ["lab/claude-*-v1", echo/x], fallbacks: ["echo/*"], facts: {context: 77}}
  claude-*-mini: {targets: ["lab/mini"]}
keys:
  - {name: k, secret: client-secret-0123}
"""


@pytest.fixture
def snapshot(tmp_path) -> Snapshot:
    file = tmp_path / "t.yaml"
    file.write_text(FILE)
    return load(file, {})


@pytest.mark.parametrize(
    ("name", "provider", "model"),
    [
        ("small", "lab", "tiny"),
        ("org/big", "lab", "org/big"),
        ("lab/tiny", "lab", "tiny"),
        ("lab/org/tiny", "lab", "org/tiny"),
        ("lab//", "lab", "/"),
        ("echo/echo", "echo", "echo"),
        ("lab/" + "x" * 256, "lab", "x" * 256),
        ("large", "lab", "org/big"),
        ("old-1-big", "lab", "org/big"),
        ("claude-opus", "lab", "claude-opus-v1"),
        ("claude-opus/4", "lab", "claude-opus/4-v1"),
        ("claude-opus-mini", "lab", "mini"),
    ],
)
def test_names_that_mean_something(snapshot: Snapshot, name: str, provider: str, model: str):
    """A client's model name would be answered by the wrong provider."""
    route = snapshot.route(name)
    assert route is not None
    assert (route.name, route.targets[0].provider.name, route.targets[0].model) == (name, provider, model)
    assert snapshot.route(name) is route


@pytest.mark.parametrize(
    "name",
    [
        "",
        "tiny",
        "lab",
        "lab/",
        "/tiny",
        "other/tiny",
        "lab/ ",
        "lab/a\nb",
        "lab/\x00",
        "lab/\ud800",
        "lab/" + "x" * 257,
        "LAB/x",
        "claude-",
        "old--big",
        "claude-" + "x" * 249,
        "claude-" + "x" * 250,
        "claude-\n",
    ],
)
def test_names_that_mean_nothing(snapshot: Snapshot, name: str):
    """A broken name would reach a provider, a header or a log."""
    assert snapshot.route(name) is None
    assert not snapshot.remembered


def test_deadlines_are_the_models_over_the_providers(snapshot: Snapshot):
    """A model's own timeouts would not hold."""
    small, direct = snapshot.route("small"), snapshot.route("lab/tiny")
    assert small is not None
    assert direct is not None
    assert (small.deadlines.idle, small.deadlines.total) == (7.0, 9.0)
    assert (direct.deadlines.idle, direct.deadlines.total) == (7.0, 600.0)


def test_remembered_routes_are_bounded(snapshot: Snapshot, monkeypatch):
    """A client that asks for ever new names would fill the memory."""
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    for number in range(9):
        assert snapshot.route(f"lab/{number}") is not None
    assert list(snapshot.remembered) == ["lab/6", "lab/7", "lab/8"]


@given(name=st.text(max_size=300))
def test_any_name_is_answered(name: str):
    """A client could stop a request's worker with a name."""
    route = ECHO.route(name)
    assert route is None or route.name == name


ECHO = load(None, {})


def test_what_stands_for_a_star(snapshot: Snapshot):
    """A name with a star would bring its targets, but not what is known of them, what follows, or who may use it."""
    route = snapshot.route("claude-opus")
    assert route is not None
    assert [target.model for target in (*route.targets, *route.fallbacks)] == ["claude-opus-v1", "x", "opus"]
    assert [target.facts.context for target in (*route.targets, *route.fallbacks)] == [77, 77, 77]
    assert (route.entry, route.made, route.name) == ("claude-*", True, "claude-opus")
    written = snapshot.route("large")
    assert written is not None
    assert (written.entry, written.made, written.name) == ("org/big", False, "large")


def test_models_that_can_be_listed(snapshot: Snapshot):
    """`GET /v1/models` would hide what may be asked for."""
    assert snapshot.models() == [("small", "lab"), ("org/big", "lab"), ("large", "lab"), ("echo/echo", "echo")]


def test_secrets_for_the_mask_longest_first(snapshot: Snapshot):
    """Half of a longer secret would stay in the log."""
    assert snapshot.secrets() == (b"client-secret-0123", b"lab-secret-12", b"lab-secret-1")


def test_nothing_shows_a_secret(snapshot: Snapshot):
    """A traceback or a debug log would hold every key."""
    shown = repr(snapshot) + str(snapshot) + repr(snapshot.providers) + repr(snapshot.routes) + repr(snapshot.server)
    assert "-secret-" not in shown
    assert "2 providers, 3 models, 1 keys" in repr(snapshot)
