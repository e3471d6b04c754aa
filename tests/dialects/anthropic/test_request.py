"""Requests on the shallow path: what is judged, what is changed, and that nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.chat import Seal
from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects import state
from trunkline.dialects.anthropic.request import estimate_input, read_request, write_request
from trunkline.dialects.dialect import Named

COUNT = Named(form="count")
FOREIGN = state.wrap(Seal("gemini", "c2ln"))
REFUSED = [
    (b'{"messages":[]}', "model", "is required"),
    (b'{"model":7,"messages":[]}', "model", "must be a string"),
    (b'{"model":"","messages":[]}', "model", "1 to 256"),
    (b'{"model":"m\\r\\nx: 1","messages":[]}', "model", "control characters"),
    (b'{"model":"m"}', "messages", "is required"),
    (b'{"model":"m","messages":"hi"}', "messages", "must be an array"),
    (b'{"model":"m","messages":[],"stream":1}', "stream", "must be a boolean"),
]


def sent(messages: list[dict[str, Any]]) -> Any:
    """The messages that reach the provider."""
    body = json.dumps({"model": "m", "messages": messages}).encode()
    return json.loads(write_request(read_request(body), "m", ask_usage=True).body)["messages"]


@pytest.mark.parametrize(("body", "param", "problem"), REFUSED, ids=[str(at) for at in range(len(REFUSED))])
def test_what_cannot_be_routed_is_refused_by_name(body: bytes, param: str, problem: str) -> None:
    """A caller must learn which field is wrong; a model name with control characters would forge log lines."""
    with pytest.raises(GatewayError, match=problem) as caught:
        read_request(body)
    assert (caught.value.kind, caught.value.param) == (Kind.BAD_REQUEST, param)


@pytest.mark.parametrize(
    ("body", "named", "stream", "path"),
    [
        (b'{"model":"m","max_tokens":1,"messages":[],"stream":true}', Named(), True, "/v1/messages"),
        (b'{"model":"m","max_tokens":1,"messages":[],"stream":null}', Named(), False, "/v1/messages"),
        (b'{"model":"m","messages":[]}', COUNT, False, "/v1/messages/count_tokens"),
        (b'{"model":"m","messages":[],"stream":true}', COUNT, False, "/v1/messages/count_tokens"),
    ],
)
def test_a_request_goes_where_its_form_belongs(body: bytes, named: Named, stream: bool, path: str) -> None:
    """Claude Code sends 34 counts in a burst: none of them may become a completion."""
    ask = read_request(body, named)
    out = write_request(ask, "m", ask_usage=True)
    assert (ask.stream, ask.include_usage, out.path, out.head) == (stream, True, path, b"")


def test_only_the_model_changes() -> None:
    """Unknown fields, their order and the spelling of numbers are the client's and the provider's affair."""
    body = b'{"model":"alias","max_tokens":1e2,"messages":[{"role":"user","content":"\\u00e9"}],"new":{"b":1,"a":2.50}}'
    out = write_request(read_request(body), "claude", ask_usage=False)
    assert out.body == body.replace(b'"alias"', b'"claude"')


@pytest.mark.parametrize(
    "message", [f'"{FOREIGN}"', f'{{"role":7,"content":"{FOREIGN}"}}', f'{{"role":"assistant","content":["{FOREIGN}"]}}']
)
def test_what_cannot_be_read_is_left_to_the_provider(message: str) -> None:
    """It judges its own requests; the gateway must not fail where it only looks."""
    body = f'{{"model":"m","messages":[{message}]}}'.encode()
    assert write_request(read_request(body), "m", ask_usage=False).body == body


def test_a_guess_counts_text_by_bytes_and_media_flat() -> None:
    """A picture of a megabyte is not 250,000 tokens."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 100_000}}
    small = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    ask = read_request(
        json.dumps({"model": "m", "system": "x" * 400, "messages": [{"role": "user", "content": [image, small]}]}).encode()
    )
    assert 1600 <= estimate_input(ask) <= 1700
    for odd in (b'["data",1,"data"]', b'[{"data":1}]'):
        assert estimate_input(read_request(b'{"model":"m","messages":' + odd + b"}")) < 10


@given(st.binary())
def test_any_bytes_are_a_request_or_a_bad_one(body: bytes) -> None:
    """A client's nonsense is a 400, never a 500."""
    status = 200
    try:
        write_request(read_request(body), "m", ask_usage=False)
    except GatewayError as error:
        status = error.status
    assert status in {200, 400}
