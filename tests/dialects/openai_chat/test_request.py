"""Chat requests: what is judged here, what is changed, and that nothing else is."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.dialect import Outgoing
from trunkline.dialects.openai_chat.request import estimate_input, read_request, write_request

REFUSED = [
    (b'{"messages":[]}', "model", "is required"),
    (b'{"model":null,"messages":[]}', "model", "must be a string"),
    (b'{"model":7,"messages":[]}', "model", "must be a string"),
    (b'{"model":["m"],"messages":[]}', "model", "must be a string"),
    (b'{"model":"","messages":[]}', "model", "1 to 256"),
    (b'{"model":"' + b"m" * 257 + b'","messages":[]}', "model", "1 to 256"),
    (b'{"model":"m\\r\\nx-evil: 1","messages":[]}', "model", "control characters"),
    (b'{"model":"m\\u2028","messages":[]}', "model", "control characters"),
    (b'{"model":"m\\u001b[2J","messages":[]}', "model", "control characters"),
    (b'{"model":"good","model":"","messages":[]}', "model", "1 to 256"),
    (b'{"model":"m"}', "messages", "is required"),
    (b'{"model":"m","messages":null}', "messages", "must be an array"),
    (b'{"model":"m","messages":{"role":"user"}}', "messages", "must be an array"),
    (b'{"model":"m","messages":"hi"}', "messages", "must be an array"),
    (b'{"model":"m","messages":[],"stream":"true"}', "stream", "must be a boolean"),
    (b'{"model":"m","messages":[],"stream":1}', "stream", "must be a boolean"),
    (b'{"model":"m","messages":[],"stream_options":[]}', "stream_options", "must be an object"),
    (b'{"model":"m","messages":[],"stream_options":true}', "stream_options", "must be an object"),
    (b'{"model":"m","messages":[],"stream_options":{"include_usage":1}}', "stream_options.include_usage", "must be a boolean"),
]


@pytest.mark.parametrize(("body", "param", "problem"), REFUSED, ids=[str(at) for at in range(len(REFUSED))])
def test_what_cannot_be_routed_is_refused_by_name(body: bytes, param: str, problem: str) -> None:
    """A caller must learn which field is wrong; a model name with control characters would forge log lines."""
    with pytest.raises(GatewayError, match=problem) as caught:
        read_request(body)
    assert (caught.value.kind, caught.value.param) == (Kind.BAD_REQUEST, param)
    assert f"'{param}'" in caught.value.message


def test_a_body_that_is_no_json_is_refused() -> None:
    """The same error kind as for a wrong field: never a 500."""
    with pytest.raises(GatewayError, match="not valid JSON"):
        read_request(b"model=m")


@pytest.mark.parametrize(
    ("extra", "stream", "include_usage"),
    [
        ("", False, False),
        (',"stream":null', False, False),
        (',"stream":false', False, False),
        (',"stream":true', True, False),
        (',"stream":true,"stream_options":null', True, False),
        (',"stream":true,"stream_options":{}', True, False),
        (',"stream":true,"stream_options":{"include_usage":null}', True, False),
        (',"stream":true,"stream_options":{"include_usage":false}', True, False),
        (',"stream":true,"stream_options":{"include_usage":true}', True, True),
        (',"stream":false,"stream":true', True, False),
    ],
)
def test_stream_and_usage_are_read_as_the_client_means_them(extra: str, stream: bool, include_usage: bool) -> None:
    """Whether a usage chunk is kept from the client hangs on this."""
    ask = read_request(b'{"model":"gpt-4.1 (x)","messages":[]' + extra.encode() + b"}")
    assert (ask.model, ask.stream, ask.include_usage) == ("gpt-4.1 (x)", stream, include_usage)


@pytest.mark.parametrize(
    ("body", "ask_usage", "sent"),
    [
        (b'{"model":"m","messages":[]}', False, b'{"model":"n\\"\xc3\xa9","messages":[]}'),
        (
            b'{"x":{"a" : 1.0},"messages":[ ],"model":"m","y":"\\u0041"}',
            False,
            b'{"x":{"a" : 1.0},"messages":[ ],"model":"n\\"\xc3\xa9","y":"\\u0041"}',
        ),
        (b'{"model":"m","messages":[]}', True, b'{"model":"n\\"\xc3\xa9","messages":[]}'),
        (
            b'{"model":"m","messages":[],"stream":false,"stream_options":{}}',
            True,
            b'{"model":"n\\"\xc3\xa9","messages":[],"stream":false,"stream_options":{}}',
        ),
        (b'{"model":"m","stream":true,"messages":[]}', False, b'{"model":"n\\"\xc3\xa9","stream":true,"messages":[]}'),
        (
            b'{"model":"m","stream":true,"messages":[]}',
            True,
            b'{"model":"n\\"\xc3\xa9","stream":true,"messages":[],"stream_options":{"include_usage":true}}',
        ),
        (
            b'{"stream_options":null,"model":"m","stream":true,"messages":[]}',
            True,
            b'{"stream_options":{"include_usage":true},"model":"n\\"\xc3\xa9","stream":true,"messages":[]}',
        ),
        (
            b'{"model":"m","stream":true,"stream_options":{"include_obfuscation":false,"z": 1},"messages":[]}',
            True,
            b'{"model":"n\\"\xc3\xa9","stream":true,"stream_options":{"include_obfuscation":false,"z":1,"include_usage":true},"messages":[]}',
        ),
        (
            b'{"model":"m","stream":true,"stream_options":{"include_usage":false,"include_usage":true},"messages":[]}',
            True,
            b'{"model":"n\\"\xc3\xa9","stream":true,"stream_options":{"include_usage":true},"messages":[]}',
        ),
    ],
)
def test_only_the_model_and_the_usage_option_change(body: bytes, ask_usage: bool, sent: bytes) -> None:
    """All other bytes are the client's: order, unknown fields, number forms and escapes included."""
    ask = read_request(body)
    before = dict(ask.fields)
    assert write_request(ask, 'n"é', ask_usage=ask_usage) == Outgoing("/chat/completions", sent)
    assert ask.fields == before  # a retry at another target writes it again


def test_a_model_named_twice_is_sent_as_it_was_checked() -> None:
    """A key allowed only the cheap model must not reach the dear one by naming both."""
    ask = read_request(b'{"model":"cheap","messages":[],"mod\\u0065l":"dear"}')
    assert ask.model == "dear"
    assert write_request(ask, ask.model, ask_usage=False).body == b'{"model":"dear","messages":[]}'


SCALARS = st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), SCALARS | st.lists(SCALARS)), st.booleans())
def test_any_other_field_survives(extra: dict[str, Any], ask_usage: bool) -> None:
    """A parameter invented next year must pass without a new release."""
    told = {**extra, "model": "m", "messages": [{"role": "user"}], "stream": True}
    told.pop("stream_options", None)
    sent = json.loads(write_request(read_request(json.dumps(told).encode()), "n", ask_usage=ask_usage).body)
    options = {"stream_options": {"include_usage": True}} if ask_usage else {}
    assert sent == {**told, "model": "n", **options}


def ask_with(**fields: Any) -> Any:
    """A request with these fields."""
    return read_request(json.dumps({"model": "m", "messages": [], **fields}).encode())


def test_input_is_guessed_from_text_and_tools() -> None:
    """A broken answer is charged by this guess: it must be of the right size, not exact."""
    text = "The quick brown fox jumps over the lazy dog. " * 100
    assert 900 < estimate_input(ask_with(messages=[{"role": "user", "content": text}])) < 1300
    assert estimate_input(ask_with(tools=[{"type": "function", "function": {"name": "f" * 400}}])) > 100
    assert estimate_input(ask_with()) == 0


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBOR" + "A" * 400_000}},
        {"type": "input_audio", "input_audio": {"data": "UklGR" + "A" * 400_000, "format": "wav"}},
        {"type": "input_audio", "input_audio": {"format": "wav", "data": "SUQz" + "A" * 400_000}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBER" + "A" * 30_000}},
    ],
)
def test_encoded_media_are_not_counted_as_text(part: dict[str, Any]) -> None:
    """A 300 KB photograph would else be guessed at 100,000 tokens and charged so."""
    assert 1000 <= estimate_input(ask_with(messages=[{"role": "user", "content": [part]}])) < 1100
    assert 2000 <= estimate_input(ask_with(messages=[{"role": "user", "content": [part, part]}])) < 2200


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,\\datbse64; ').map(str.encode), st.integers(0, 400))
def test_no_message_breaks_the_guess(text: bytes, times: int) -> None:
    """It runs while a failure is being accounted for: it must not fail itself, and never be negative."""
    content = (text * times).decode("latin-1")
    assert estimate_input(ask_with(messages=[{"role": "user", "content": content}])) >= 0
    assert estimate_input(ask_with(messages=[";base64,", {"data": content}, '"data"'])) >= 0


@pytest.mark.parametrize(
    "fields",
    [
        b'"messages":[{"role":"user","content":"hi","data":5}]',
        b'"messages":[],"tools":[{"function":{"parameters":{"required":["data"]}}}]',
        b'"messages":["x;base64,"]',
    ],
)
def test_a_mark_without_a_value_ends_the_search(fields: bytes) -> None:
    """A guess that never ends would stop the whole gateway."""
    assert estimate_input(read_request(b'{"model":"m",' + fields + b"}")) >= 0


@settings(deadline=2000)
@given(st.lists(st.sampled_from([b'"data"', b";base64,", b'"', b":", b"5", b"x" * 300]), max_size=12))
def test_any_bytes_are_measured_in_the_end(pieces: list[bytes]) -> None:
    """Marks, quotes and media in any order."""
    text = b"".join(pieces)
    ask = read_request(b'{"model":"m","messages":[]}')
    ask.fields["messages"] = msgspec.Raw(b"[" + text + b"]")
    assert estimate_input(ask) >= 0
