"""What the gateway sees in a client's request, and what it changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.openai_completions.request import estimate_input, read_request, write_request


@pytest.mark.parametrize(
    ("fields", "stream", "usage"),
    [
        ({"prompt": "a"}, False, False),
        ({}, False, False),
        ({"prompt": None, "stream": None, "stream_options": None}, False, False),
        ({"prompt": [[1, 2]], "stream": True}, True, False),
        ({"prompt": "a", "stream": True, "stream_options": {"include_usage": True}}, True, True),
    ],
)
def test_what_is_seen(fields: dict[str, Any], stream: bool, usage: bool) -> None:
    """Anything that a provider may take is let through; only what the gateway steers by is looked at."""
    ask = read_request(json.dumps({"model": "m", **fields}).encode())
    assert (ask.model, ask.stream, ask.include_usage) == ("m", stream, usage)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"prompt":"a"}', "model"),
        (b'{"model":7}', "model"),
        (b'{"model":"m","stream":1}', "stream"),
        (b'{"model":"m","stream_options":[]}', "stream_options"),
        (b'{"model":"m","stream_options":{"include_usage":0}}', "stream_options.include_usage"),
        (b"[]", None),
        (b'{"model":"m"', None),
    ],
)
def test_what_is_wrong_is_named(body: bytes, param: str | None) -> None:
    """The caller must know which field to mend."""
    with pytest.raises(GatewayError) as caught:
        read_request(body)
    assert (caught.value.kind, caught.value.param) == (Kind.BAD_REQUEST, param)


def test_the_rest_goes_out_byte_for_byte() -> None:
    """Prompts are not decoded: token ids, numbers and unknown fields reach the provider as they were written."""
    body = b'{"model": "m","prompt":[ 1,2.50 ],"stream":true,"echo":true,"x":{"y":1e0}}'
    out = write_request(read_request(body), "tiny", ask_usage=True)
    assert (out.path, out.head) == ("/completions", b"")
    assert out.body == (
        b'{"model":"tiny","prompt":[ 1,2.50 ],"stream":true,"echo":true,"x":{"y":1e0},"stream_options":{"include_usage":true}}'
    )


@pytest.mark.parametrize(("stream", "ask_usage"), [(False, True), (True, False)])
def test_usage_is_asked_for_only_in_a_stream_and_where_it_must_be(stream: bool, ask_usage: bool) -> None:
    """A provider that does not know the option may refuse it."""
    ask = read_request(json.dumps({"model": "m", "prompt": "a", "stream": stream}).encode())
    assert b"stream_options" not in write_request(ask, "m", ask_usage=ask_usage).body


def test_other_options_of_the_stream_stay() -> None:
    """They are the client's."""
    ask = read_request(b'{"model":"m","stream":true,"stream_options":{"include_obfuscation":false}}')
    out = json.loads(write_request(ask, "m", ask_usage=True).body)
    assert out["stream_options"] == {"include_obfuscation": False, "include_usage": True}


def test_tokens_are_guessed_by_size() -> None:
    """A stream that broke is still charged."""
    ask = read_request(json.dumps({"model": "m", "prompt": "a" * 398, "suffix": "b" * 398, "user": "c" * 4000}).encode())
    assert estimate_input(ask) == 200
