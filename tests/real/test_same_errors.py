"""What a program catches when it asks for the wrong thing: the same class and status, through the gateway or directly."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from harness.gateway import NARROW_KEY
from real.llama import MODEL
from real.sides import WRONG_KEY, Side, Sides, failure

HELLO = [{"role": "user", "content": "Hello"}]
GOOD: dict[str, Any] = {"model": MODEL, "messages": HELLO, "max_tokens": 2, "temperature": 0}
PROVIDERS: dict[str, dict[str, Any]] = {
    "temperature is a text": {"temperature": "hot"},
    "max_tokens is a text": {"max_tokens": "many"},
    "messages is empty": {"messages": []},
    "a message is a text": {"messages": ["hello"]},
    "a message without a role": {"messages": [{"content": "hello"}]},
    "content is a number": {"messages": [{"role": "user", "content": 7}]},
    "a part of no known type": {"messages": [{"role": "user", "content": [{"type": "smell"}]}]},
    "tools is an object": {"tools": {}},
    "a tool without a function": {"tools": [{"type": "function"}]},
    "tool_choice of a wrong type": {"tools": [], "tool_choice": 7},
    "response_format of no known type": {"response_format": {"type": "poem"}},
    "a schema that is none": {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "nothing"}}}},
    "stop is a number": {"stop": 7},
    "a grammar that is none": {"grammar": "root ::= ("},
    "n is negative": {"n": -1},
    "more choices than slots": {"n": 99},
    "a prompt longer than the context": {"messages": [{"role": "user", "content": "long " * 10_000}]},
    "an image for a model without eyes": {
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]
    },
}
"""Mistakes that the provider judges: its own answer must come through."""
OURS: dict[str, dict[str, Any]] = {
    "messages is missing": {"messages": None},
    "messages is a text": {"messages": "hello"},
    "stream is a text": {"stream": "yes"},
}
"""Mistakes that stop at the gateway, in its own words."""


def told(client: openai.OpenAI, body: dict[str, Any]) -> Any:
    """How a request fails, or what it returns without what is random in it."""
    body = {name: value for name, value in {**GOOD, **body}.items() if value is not None}
    try:
        answer: Any = client.post("/chat/completions", body=body, cast_to=object)
    except openai.APIStatusError as error:
        return failure(error)
    return [choice["message"] for choice in answer["choices"]], answer["usage"]["completion_tokens"]


@pytest.mark.parametrize("stream", [None, False], ids=["as it is", "stream: false"])
@pytest.mark.parametrize("body", PROVIDERS.values(), ids=PROVIDERS)
def test_the_providers_own_refusals_come_through(body: dict[str, Any], stream: bool | None, sides: Sides) -> None:
    """Class, status and error object to the letter; and what the provider forgives, the gateway must not refuse."""
    direct = told(sides.direct, {**body, "stream": stream})
    assert told(sides.through, {**body, "stream": stream}) == direct


@pytest.mark.parametrize("body", PROVIDERS.values(), ids=PROVIDERS)
def test_a_refused_stream_is_an_error_too(body: dict[str, Any], sides: Sides) -> None:
    """An SDK that asked for a stream must raise at once, not iterate over nothing."""

    def begin(client: openai.OpenAI) -> Any:
        try:
            stream: Any = client.post(
                "/chat/completions",
                body={**GOOD, **body, "stream": True},
                cast_to=object,
                stream=True,
                stream_cls=openai.Stream[object],
            )
            with stream:
                return [chunk["choices"] for chunk in stream]
        except openai.APIStatusError as error:
            return failure(error)

    assert begin(sides.through) == begin(sides.direct)


@pytest.mark.parametrize("body", OURS.values(), ids=OURS)
def test_the_gateways_own_refusals_are_caught_the_same_way(body: dict[str, Any], sides: Sides) -> None:
    """What stops at the gateway is the same exception, names the field, and looks as OpenAI's own errors do."""
    direct, through = told(sides.direct, body), told(sides.through, body)
    assert through[:2] == ("BadRequestError", 400)
    assert through[:2] == direct[:2]
    assert list(through[2]) == ["message", "type", "param", "code"]
    assert through[2]["type"] == "invalid_request_error"
    assert through[2]["param"] in {"messages", "stream"}


def test_stream_options_of_a_wrong_type_are_refused(sides: Sides) -> None:
    """A declared difference: llama.cpp passes over them; the gateway needs to read them and says what is wrong."""
    with pytest.raises(openai.BadRequestError) as raised:
        sides.through.chat.completions.create(**GOOD, stream=True, extra_body={"stream_options": "usage"})
    assert raised.value.param == "stream_options"


def test_an_unknown_model_is_not_found(sides: Sides) -> None:
    """A declared difference: llama.cpp answers for any model's name, the gateway says that there is none, as OpenAI does."""
    with pytest.raises(openai.NotFoundError) as raised:
        sides.through.chat.completions.create(model="no-such-model", messages=[{"role": "user", "content": "Hello"}])
    assert raised.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        sides.through.models.retrieve("no-such-model")


@pytest.mark.parametrize("side", ["direct", "through"])
def test_a_wrong_key_is_an_authentication_error(side: Side, sides: Sides) -> None:
    """The same class, so that a program can ask its user for another key; and the key is in no message."""
    with sides.client(WRONG_KEY, side=side) as client, pytest.raises(openai.AuthenticationError) as raised:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hello"}])
    assert WRONG_KEY not in str(raised.value)


def test_a_model_that_is_not_allowed_is_a_permission_error(sides: Sides) -> None:
    """A team that may not use a model must learn that, and not that its key is wrong."""
    with sides.client(NARROW_KEY) as client:
        assert client.chat.completions.create(model="renamed", messages=HELLO, max_tokens=1).choices
        with pytest.raises(openai.PermissionDeniedError) as raised:
            client.chat.completions.create(model=MODEL, messages=HELLO)
    assert raised.value.code == "model_not_allowed"


def test_the_operators_wrong_credential_is_told_and_not_shown(sides: Sides) -> None:
    """The provider's own 401 comes through with its words, and without the credential."""
    with sides.client(WRONG_KEY, side="direct") as client:
        direct = told(client, {})
    through = told(sides.through, {"model": "locked"})
    assert through == direct
    assert WRONG_KEY not in str(through)


@pytest.mark.parametrize("raised", [openai.BadRequestError, openai.NotFoundError, openai.AuthenticationError])
def test_async_errors_are_the_same(raised: type[openai.APIStatusError], sides: Sides) -> None:
    """The async SDK has its own way to an exception."""
    key = {openai.AuthenticationError: WRONG_KEY}.get(raised)
    body = {openai.BadRequestError: {"temperature": "hot"}, openai.NotFoundError: {"model": "none"}}.get(raised, {})
    with pytest.raises(raised):
        sides.run(
            "through",
            lambda client: client.chat.completions.create(**{**GOOD, **body, "stream": True}),
            **({"key": key} if key else {}),
        )
