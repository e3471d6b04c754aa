"""The shallow request: what is seen and what goes out."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.ollama.samples import ask
from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.dialect import Named
from trunkline.dialects.ollama.request import estimate_input, read_request, write_request

GENERATE = Named("generate")


@pytest.mark.parametrize(
    ("stream", "asked"), [('"stream":true,', True), ('"stream":false,', False), ('"stream":null,', True), ("", True)]
)
def test_a_stream_is_the_default(stream: str, asked: bool) -> None:
    """`ollama run` and the SDKs leave `stream` out and read lines."""
    found = read_request(b'{%b"model":"m","messages":[]}' % stream.encode())
    assert (found.model, found.stream, found.include_usage, found.form) == ("m", asked, True, "")


@pytest.mark.parametrize("body", [b'{"model":"m","messages":[]}', b'{"model":"m"}', b'{"model":"m","messages":null}'])
def test_no_messages_load_the_model(body: bytes) -> None:
    """Clients warm a model up that way; it is right."""
    assert read_request(body).model == "m"


@pytest.mark.parametrize(
    "body", [b'{"model":"m","prompt":""}', b'{"model":"m"}', b'{"model":"m","prompt":null,"keep_alive":0}']
)
def test_no_prompt_loads_the_model(body: bytes) -> None:
    """As `ollama run` does before the first question."""
    assert read_request(body, GENERATE).form == "generate"


@pytest.mark.parametrize(
    ("body", "named", "param"),
    [
        ("{}", Named(), "model"),
        ('{"model":1}', Named(), "model"),
        ('{"model":""}', Named(), "model"),
        ('{"model":"%s"}' % ("x" * 257), Named(), "model"),
        ('{"model":"a\\u0000"}', Named(), "model"),
        ('{"model":"m","messages":{}}', Named(), "messages"),
        ('{"model":"m","messages":"hi"}', Named(), "messages"),
        ('{"model":"m","prompt":["hi"]}', GENERATE, "prompt"),
        ('{"model":"m","stream":"yes"}', Named(), "stream"),
        ("[]", Named(), None),
        ("", Named(), None),
    ],
)
def test_what_is_wrong_is_named(body: str, named: Named, param: str | None) -> None:
    """The caller must know which field to mend."""
    with pytest.raises(GatewayError) as raised:
        read_request(body.encode(), named)
    assert (raised.value.kind, raised.value.param) == (Kind.BAD_REQUEST, param)


@given(
    st.binary(max_size=60) | st.just(b'{"model":"m","messages":[1,') | st.just(b'{"model":"\xff"}'),
    st.sampled_from([Named(), GENERATE]),
)
def test_any_bytes_are_read_or_refused(body: bytes, named: Named) -> None:
    """Nothing a client sends may be an error of ours."""
    with suppress(GatewayError):
        assert read_request(body, named).model


def test_only_the_model_is_replaced() -> None:
    """Fields nobody knows, spellings nobody would choose: all of it is the provider's to judge."""
    body = b'{"model":"alias" , "n" : 1.50,"messages":[ {"content":"\\u00e9"} ],"big":123456789012345678901234567890}'
    out = write_request(read_request(body), "llama3:8b", ask_usage=True)
    assert out.path == "/api/chat"
    assert (
        out.body == b'{"model":"llama3:8b","n":1.50,"messages":[ {"content":"\\u00e9"} ],"big":123456789012345678901234567890}'
    )


def test_each_form_has_its_path() -> None:
    """A generate request at the chat endpoint has no messages: Ollama would load the model and say nothing."""
    assert write_request(ask({"prompt": "x"}, "generate"), "m", ask_usage=False).path == "/api/generate"


@pytest.mark.parametrize(
    ("fields", "form", "tokens"),
    [
        ({"messages": [{"role": "user", "content": "x" * 4000 + " "}]}, "", range(1000, 1020)),
        (
            {"messages": [{"role": "user", "content": "x", "images": ["A" * 100_000, "B" * 2000]}]},
            "",
            range(2 * 768, 2 * 768 + 20),
        ),
        ({"messages": [{"role": "user", "content": "\u6f22" * 4000}]}, "", range(3000, 6100)),
        ({"prompt": "a b " * 1000, "system": "c d " * 100, "images": ["A" * 5000]}, "generate", range(1868, 1880)),
        ({}, "", range(1)),
    ],
)
def test_input_is_guessed(fields: dict[str, Any], form: str, tokens: range) -> None:
    """A broken answer is charged for its prompt; a picture's base64 must not count as text."""
    found = read_request(json.dumps({"model": "m", **fields}, ensure_ascii=False).encode(), Named(form))
    assert estimate_input(found) in tokens
