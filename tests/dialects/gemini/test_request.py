"""A request that passes: what is seen of it, what is changed, and that all else is byte for byte the client's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conformance.recordings import Recording, parameters, recordings
from dialects.gemini.samples import ask
from trunkline.canon.errors import GatewayError
from trunkline.dialects.dialect import Named
from trunkline.dialects.gemini.request import estimate_input, path, read_request, resource, write_request

BODY = b'{ "contents" : [ {"parts":[{"text":"Hi \\u00e9"}]} ],"x":{ "y" : 1.0 } }'


@pytest.mark.parametrize(("form", "stream"), [("", False), ("sse", True), ("array", True), ("count", False)])
def test_the_path_tells_model_and_form(form: str, stream: bool) -> None:
    """Other dialects tell it in the body."""
    found = read_request(BODY, Named(form, "models/gemini-x"))
    assert (found.model, found.form, found.stream, found.include_usage) == ("gemini-x", form, stream, True)


@pytest.mark.parametrize(
    ("body", "named", "param"),
    [
        (b"[]", Named("", "m"), None),
        (b"{}", Named("", "m"), "contents"),
        (b"{}", Named("count", "m"), "contents"),
        (b'{"generateContentRequest": {}}', Named("", "m"), "contents"),
        (b'{"generateContentRequest": 7}', Named("count", "m"), "generateContentRequest"),
        (BODY, Named("", ""), "model"),
        (BODY, Named("", "m" * 257), "model"),
        (BODY, Named("", "m\r\nx: y"), "model"),
    ],
)
def test_what_is_wrong_is_refused(body: bytes, named: Named, param: str | None) -> None:
    """Before anybody is asked, and by name."""
    with pytest.raises(GatewayError) as wrong:
        read_request(body, named)
    assert (wrong.value.status, wrong.value.param) == (400, param)


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ("", "/models/gemini-y:generateContent"),
        ("sse", "/models/gemini-y:streamGenerateContent?alt=sse"),
        ("array", "/models/gemini-y:streamGenerateContent?alt=sse"),
        ("count", "/models/gemini-y:countTokens"),
    ],
)
def test_the_body_goes_byte_for_byte(form: str, found: str) -> None:
    """What the gateway does not know is the provider's to judge."""
    sent = write_request(read_request(BODY, Named(form, "a")), "gemini-y", ask_usage=True)
    assert (sent.path, sent.body) == (found, b'{"contents":[ {"parts":[{"text":"Hi \\u00e9"}]} ],"x":{ "y" : 1.0 }}')


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("models/gemini-x", "/models/gemini-x:generateContent"),
        ("tunedModels/mine", "/tunedModels/mine:generateContent"),
        ("a/b:c?d=e#f", "/models/a%2Fb%3Ac%3Fd%3De%23f:generateContent"),
        ("models/../x", "/models/..%2Fx:generateContent"),
    ],
)
def test_a_models_name_is_one_segment_of_the_path(model: str, found: str) -> None:
    """A name that a client made up must not reach another of the provider's endpoints."""
    assert path(model, "") == found
    assert resource("x") == "models/x"


def test_the_model_in_a_body_is_the_targets() -> None:
    """Google demands one in a question for a count, and refuses one that is not the path's."""
    told = {"generate_content_request": {"model": "models/alias", "contents": [], "x": 1}}
    sent = write_request(ask(told, "count"), "gemini-y", ask_usage=False)
    assert json.loads(sent.body) == {"generate_content_request": {"model": "models/gemini-y", "contents": [], "x": 1}}
    assert json.loads(write_request(ask({"contents": [], "model": "models/alias"}), "gemini-y", ask_usage=False).body) == {
        "contents": []
    }


def model(*parts: Any) -> dict[str, Any]:
    """A content of the model's."""
    return {"role": "model", "parts": list(parts)}


CALL = {"functionCall": {"name": "f"}}
USER = {"parts": [{"text": "Hi"}]}


def test_input_is_guessed_by_its_size() -> None:
    """A picture is not charged by the letter."""
    text = ask({"contents": [{"parts": [{"text": "x" * 400}]}], "systemInstruction": {"parts": [{"text": "y" * 400}]}})
    assert 200 < estimate_input(text) < 240
    picture = ask(
        {
            "contents": [
                {
                    "parts": [
                        {"inlineData": {"mimeType": "image/png", "data": "/9j/" + "A" * 40_000}},
                        {"inlineData": {"data": "B" * 300}},
                    ]
                }
            ]
        }
    )
    assert 2000 < estimate_input(picture) < 2100
    assert estimate_input(read_request(b'{"contents": [{"data": "short"}, {"data": 1}]}', Named("", "m"))) == 8
    assert estimate_input(read_request(b'{"contents": ["data"]}', Named("", "m"))) == 2


@pytest.mark.parametrize("recording", parameters([one for one in recordings("gemini.generate_content") if one.request]))
def test_recorded_requests_pass(recording: Recording) -> None:
    """What real clients send."""
    sent = write_request(ask(recording.request), "m", ask_usage=False)
    assert json.loads(sent.body) == recording.request


@pytest.mark.parametrize("recording", parameters(recordings("gemini.count_tokens")))
def test_recorded_counts_pass(recording: Recording) -> None:
    """With the model that is really asked."""
    sent = write_request(ask(recording.request, "count"), "gemini-3.5-flash", ask_usage=False)
    assert (sent.path, json.loads(sent.body)) == ("/models/gemini-3.5-flash:countTokens", recording.request)
