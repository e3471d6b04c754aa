"""One level of JSON: what is checked is what is sent, and hostile bodies are a plain 400."""

from __future__ import annotations

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.shallow import bad, encode, fields, flag_of, model_of, values_of

REFUSED = [
    (b"", "not valid JSON"),
    (b"   ", "not valid JSON"),
    (b"null", "must be a JSON object"),
    (b"[1]", "must be a JSON object"),
    (b'"x"', "must be a JSON object"),
    (b'{"a":1', "not valid JSON"),
    (b'{"a":1} x', "not valid JSON"),
    (b'{"a":1}{"a":2}', "not valid JSON"),
    (b'{"a":1,}', "not valid JSON"),
    (b"{'a':1}", "not valid JSON"),
    (b'{"a":NaN}', "not valid JSON"),
    (b'{"a":Infinity}', "not valid JSON"),
    (b'{"a":01}', "not valid JSON"),
    (b'{"a":"x\ny"}', "not valid JSON"),
    (b'{"a":"\x00"}', "not valid JSON"),
    (b"\xef\xbb\xbf{}", "not valid JSON"),
    ('{"a":1}'.encode("utf-16"), "not valid JSON"),
    (b'{"a":"\xff"}', "not valid UTF-8"),
    (b'{"\xff":1}', "not valid UTF-8"),
    (b'{"a":"\xed\xa0\x80"}', "not valid UTF-8"),
    (b'{"a":["\xc0\xaf"]}', "not valid UTF-8"),
    (b'{"a":"\\ud800"}', "half of a surrogate pair"),
    (b'{"a":["x\\ud83d y"]}', "half of a surrogate pair"),
    (b'{"a":"\\udc00"}', "half of a surrogate pair"),
    (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    (b'{"a":' * 100_000, "nested too deeply"),
    (b"[" * 100_000, "must be a JSON object"),
]


@pytest.mark.parametrize(("body", "reason"), REFUSED, ids=[str(at) for at in range(len(REFUSED))])
def test_hostile_bodies_are_refused_with_the_reason(body: bytes, reason: str) -> None:
    """Anything else would be a 500, a crash, or a body that provider and gateway read differently."""
    with pytest.raises(GatewayError, match=reason) as caught:
        fields(body)
    assert (caught.value.kind, caught.value.status, caught.value.code) == (Kind.BAD_REQUEST, 400, "invalid_json")
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    "value",
    [
        b"1e400",
        b"1" * 30,
        b"-0",
        b'"\\ud83d\\ude00"',
        b'"\x7f"',
        b"[ 1 , 2 ]",
        b'{"x":1,"x":2}',
        '"é\u2028"'.encode(),
        b'"\\u0041\\/"',
        b"1.0",
    ],
)
def test_values_stay_the_bytes_they_were(value: bytes) -> None:
    """Numbers no float holds, escapes and spaces inside values are the client's own; re-encoding would change them."""
    assert encode(fields(b' {"b":true, "a" : ' + value + b" }\n")) == b'{"b":true,"a":' + value + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"cheap","model":"dear"}',
        b'{"model":"cheap","mod\\u0065l":"dear"}',
        b'{"\\u006d\\u006f\\u0064\\u0065\\u006c":"cheap","n":1,"model":"dear"}',
    ],
)
def test_a_key_that_stands_twice_is_there_once_with_its_last_value(body: bytes) -> None:
    """Else one model is checked and another is sent: a provider that takes the first key would serve the dear one free."""
    found = fields(body)
    assert bytes(found["model"]) == b'"dear"'
    sent = encode(found)
    assert sent.count(b"model") == 1
    first_wins: dict[str, object] = {}
    for key, value in json.loads(sent, object_pairs_hook=list):
        first_wins.setdefault(key, value)
    assert first_wins["model"] == json.loads(sent)["model"] == "dear"


def test_a_million_keys_are_only_slow() -> None:
    """A body of many keys is bounded by its size alone."""
    assert len(fields(b"{" + b",".join(b'"%d":1' % at for at in range(100_000)) + b"}")) == 100_000


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"{}", "is required"),
        (b'{"model":7}', "must be a string"),
        (b'{"model":""}', "must have 1 to 256 characters"),
        (b'{"model":"%b"}' % (b"m" * 257), "must have 1 to 256 characters"),
        (b'{"model":"m\\r\\nx: 1"}', "must not contain control characters"),
        (b'{"model":"m","Model":"dear"}', "stands in another spelling"),
        (b'{"MODEL":"dear"}', "stands in another spelling"),
    ],
)
def test_a_model_that_cannot_be_one_is_refused(body: bytes, problem: str) -> None:
    """It will stand in logs, metrics and perhaps a URL: one with control characters would forge a line."""
    with pytest.raises(GatewayError, match=problem) as raised:
        model_of(fields(body))
    assert (raised.value.kind, raised.value.param) == (Kind.BAD_REQUEST, "model")


def test_a_flag_is_true_false_or_not_said() -> None:
    """What not saying it means is each dialect's own affair."""
    found = fields(b'{"a":true,"b":false,"c":null,"d":1}')
    assert [flag_of(found, name, name) for name in "abcx"] == [True, False, None, None]
    with pytest.raises(GatewayError) as raised:
        flag_of(found, "d", "options.d")
    assert str(raised.value) == str(bad("options.d", "must be a boolean"))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON), st.booleans(), st.sampled_from([None, 2]))
def test_reading_and_writing_changes_no_value(told: dict[str, object], ascii_only: bool, indent: int | None) -> None:
    """Any object any encoder writes comes out as the same object, in the same order."""
    out = encode(fields(json.dumps(told, ensure_ascii=ascii_only, indent=indent).encode()))
    assert json.loads(out) == told
    assert list(json.loads(out)) == list(told)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,\\ud8dce01tfn \n').map(str.encode))
def test_any_bytes_are_an_object_or_a_bad_request(body: bytes) -> None:
    """No body may end in anything but these two, and what passes is an object for every other reader too."""
    found = None
    with contextlib.suppress(GatewayError):
        found = fields(body)
    if found is not None:
        assert list(json.loads(body)) == list(found)
        assert all(isinstance(value, msgspec.Raw) for value in found.values())


def test_values_are_decoded_one_by_one() -> None:
    """The field that no one can hold is named, not the whole body."""
    assert values_of(fields(b'{"a":1,"b":[null]}')) == {"a": 1, "b": [None]}
    for odd in (b"1e999", b"[" * 100_000 + b"]" * 100_000):
        with pytest.raises(GatewayError) as raised:
            values_of({"a": msgspec.Raw(b"1"), "b": msgspec.Raw(odd)})
        assert (raised.value.status, raised.value.param) == (400, "b")
