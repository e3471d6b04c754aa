"""Requests as they pass: what is judged, what is changed, and that nothing else is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.dialect import Named
from trunkline.dialects.openai_responses.request import estimate_input, read_request, write_request


@pytest.mark.parametrize(
    ("body", "param", "problem"),
    [
        (b'{"input":"a"}', "model", "is required"),
        (b'{"model":5,"input":"a"}', "model", "must be a string"),
        (b'{"model":"m"}', "input", "is required"),
        (b'{"model":"m","input":null}', "input", "is required"),
        (b'{"model":"m","input":{}}', "input", "must be a string or an array"),
        (b'{"model":"m","input":5}', "input", "must be a string or an array"),
        (b'{"model":"m","input":"a","stream":1}', "stream", "must be a boolean"),
    ],
)
def test_what_cannot_be_routed_is_refused_by_name(body: bytes, param: str, problem: str) -> None:
    """A caller must learn which field is wrong."""
    with pytest.raises(GatewayError, match=problem) as caught:
        read_request(body)
    assert (caught.value.kind, caught.value.param) == (Kind.BAD_REQUEST, param)


@pytest.mark.parametrize("instead", ['"previous_response_id":"r"', '"conversation":{"id":"c"}', '"prompt":{"id":"p"}'])
def test_what_the_provider_keeps_may_stand_for_the_input(instead: str) -> None:
    """Such a request is whole without one, for a provider that keeps what it names."""
    assert read_request(f'{{"model":"m",{instead}}}'.encode()).model == "m"


def test_what_is_asked_is_read() -> None:
    """Usage is always told; a count is never a stream."""
    ask = read_request(b'{"model":"m","input":"a","stream":true}')
    assert (ask.model, ask.stream, ask.include_usage, ask.form) == ("m", True, True, "")
    count = read_request(b'{"model":"m","input":[],"stream":true}', Named("count"))
    assert (count.stream, count.form) == (False, "count")


def test_only_the_model_is_changed() -> None:
    """What a client asked for beside it is the provider's to judge."""
    body = b'{"model":"m","input":[{"type": "new"}],"background":true,"stream":true}'
    sent = write_request(read_request(body), "n", ask_usage=True)
    assert (sent.path, sent.body) == ("/responses", body.replace(b'"m"', b'"n"'))
    count = write_request(read_request(body, Named("count")), "n", ask_usage=False)
    assert count.path == "/responses/input_tokens"


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none(), max_size=5))
def test_every_other_field_survives(fields: dict[str, object]) -> None:
    """None of them is looked at."""
    told = {**fields, "model": "m", "input": "a", "stream": False}
    assert json.loads(write_request(read_request(json.dumps(told).encode()), "n", ask_usage=True).body) == {
        **told,
        "model": "n",
    }


def test_a_prompts_size_is_guessed() -> None:
    """Of an answer that broke before it told its usage the books still say something; a picture is no text."""
    image = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 40_000}
    told = {"model": "m", "instructions": "b" * 400, "input": [image], "tools": []}
    assert 1100 < estimate_input(read_request(json.dumps(told).encode())) < 1200
