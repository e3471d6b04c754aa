"""How far a request can be gone with that is not to be sent."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from trunkline.config.load import load
from trunkline.dialects.dialect import NOT_NAMED
from trunkline.dialects.table import DIALECTS
from trunkline.edge.request import Request
from trunkline.ledger.prices import Prices
from trunkline.pipeline.exchange import Door
from trunkline.pipeline.rehearsal import Question, Rehearsal, Scene, rehearse, shown
from trunkline.policy.keys import Principal
from trunkline.routing.course import Standings

PICTURE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]
HELLO = [{"role": "user", "content": "hi"}]


def rehearsed(folder: Path, standings: Standings | None = None, server: dict[str, Any] | None = None, **body: Any) -> Rehearsal:
    providers = {
        "lab": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "sk-lab-0123456789"},
        "aws": {"kind": "bedrock", "region": "us-east-1", "aws": {"access_key_id": "AKIAX", "secret_access_key": "s" * 40}},
    }
    models = {
        "m": {"targets": ["lab/tiny"], "hedge": {"after": "1ms"}, "fallbacks": ["lab/small"]},
        "b": {"targets": ["aws/anthropic.claude-sonnet-4-5-20250929-v1:0"]},
    }
    file = folder / "trunkline.yaml"
    ledger = {"required": True}
    file.write_text(yaml.safe_dump({"server": server or {}, "ledger": ledger, "providers": providers, "models": models}))
    scene = Scene(load(file, {}), Prices.load(), time.time_ns, time.monotonic, lambda: 0.5, standings)
    request = Request("127.0.0.1", time.monotonic())
    request.method, request.path = "POST", "/v1/chat/completions"
    request.body = json.dumps({"model": "m", "messages": HELLO, **body}).encode()
    door = Door("chat.completions", DIALECTS["openai_chat"], NOT_NAMED)
    return asyncio.run(rehearse(scene, Question(Principal("", b""), door, "chat", request)))


@pytest.mark.parametrize("stream", [True, False])
def test_it_stops_where_bytes_would_leave(tmp_path: Path, stream: bool) -> None:
    """Nothing is sent, and what would be is known to the last byte."""
    came = rehearsed(tmp_path, stream=stream)
    assert came.error is None
    assert came.sent is not None
    assert isinstance(came.sent.body, bytes)
    assert json.loads(came.sent.body)["model"] == "tiny"
    assert came.exchange.reply.status == 0


def test_what_is_known_of_targets_is_used_and_left_alone(tmp_path: Path) -> None:
    """A rehearsal that counted as a request would change where the next one goes."""
    standings = Standings(lambda _: None)
    first = rehearsed(tmp_path, standings)
    assert standings.all() == {}
    assert first.parts.standings.turns == 0
    target = first.exchange.target
    assert target is not None
    assert first.parts.standings.of(target) is first.parts.standings.of(target)


def test_nothing_is_logged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A line for a request that never was would be counted as one."""
    rehearsed(tmp_path).parts.log.event("error", "anything")
    assert capfd.readouterr() == ("", "")


def test_what_would_be_fetched_is_named(tmp_path: Path) -> None:
    """Whoever may ask for an explanation could else make the gateway call any address."""
    came = rehearsed(tmp_path, model="b", messages=PICTURE)
    assert came.fetched == ("https://example.com/a.png",)
    assert came.sent is not None
    assert isinstance(came.sent.body, bytes)
    assert b"(what is at https://example.com/a.png)" in shown(came.sent.body, came.fetched)


def test_where_fetching_is_forbidden_it_is_refused(tmp_path: Path) -> None:
    """As the client would be."""
    came = rehearsed(tmp_path, server={"media": {"enabled": False}}, model="b", messages=PICTURE)
    assert came.error is not None
    assert (came.error.code, came.sent, came.fetched) == ("url_refused", None, ())


def test_an_unknown_key_of_a_restricted_gateway_is_no_matter(tmp_path: Path) -> None:
    """The one who is asked about is taken to be valid."""
    assert rehearsed(tmp_path).error is None


def test_content_is_shown_in_words() -> None:
    """Base64 of what was not fetched would be read as the picture."""
    urls = ("https://a/1", 'https://a/"2"')
    body = b'{"a":"%b","b":"%b"}' % tuple(base64.b64encode(url.encode()) for url in urls)
    assert json.loads(shown(body, urls)) == {"a": "(what is at https://a/1)", "b": '(what is at https://a/"2")'}
