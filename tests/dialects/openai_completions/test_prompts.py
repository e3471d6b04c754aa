"""One prompt or several: read, taken apart, and their answers joined."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.chat import Choice, Reply, Text
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import Usage
from trunkline.dialects.dialect import Ask
from trunkline.dialects.openai_completions.prompts import MOST, before, decoded, echoes, joined, prompts_of, split
from trunkline.dialects.openai_completions.request import read_request


def asked(**fields: Any) -> Ask:
    """A request."""
    return read_request(json.dumps({"model": "m", **fields}).encode())


@pytest.mark.parametrize(
    ("prompt", "found"),
    [("", ("",)), ("a", ("a",)), (["a"], ("a",)), (["a", "b", "a"], ("a", "b", "a")), (["漢"], ("漢",))],
)
def test_prompts(prompt: Any, found: tuple[str, ...]) -> None:
    """Both ways of writing one are one."""
    assert prompts_of(asked(prompt=prompt)) == found


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        (None, "required"),
        ([], "must hold a prompt"),
        ([1, 2], "send the text"),
        ([[1], [2]], "send the text"),
        (["a", 1], "send the text"),
        ([None], "array of strings"),
        ([{"a": 1}, "b"], "array of strings"),
        ({"a": 1}, "array of strings"),
        (7, "array of strings"),
    ],
)
def test_what_cannot_be_sent_to_another_model(prompt: Any, problem: str) -> None:
    """Token ids of one model are noise to another; the caller is told to send text."""
    with pytest.raises(GatewayError, match=problem) as caught:
        prompts_of(asked(prompt=prompt))
    assert (caught.value.kind, caught.value.param) == (Kind.BAD_REQUEST, "prompt")


@pytest.mark.parametrize("raw", [b"[" * 100_000 + b"]" * 100_000, b'"\\ud83d"'])
def test_what_cannot_be_read_is_the_callers_fault(raw: bytes) -> None:
    """A body of a client's never ends in a 500."""
    with pytest.raises(GatewayError) as caught:
        decoded(msgspec.Raw(raw), "prompt")
    assert caught.value.kind is Kind.BAD_REQUEST


@pytest.mark.parametrize(
    ("fields", "head"),
    [
        ({"prompt": "a"}, ""),
        ({"prompt": "a", "echo": False}, ""),
        ({"prompt": "a", "echo": None}, ""),
        ({"prompt": "a", "echo": True}, "a"),
        ({"prompt": ["a"], "echo": True}, "a"),
        ({"prompt": ["a", "b"], "echo": True}, ""),
    ],
)
def test_what_stands_before_an_answer(fields: dict[str, Any], head: str) -> None:
    """Of several prompts each answer has its own before it already."""
    assert before(asked(**fields)) == head


def test_echo_must_be_a_boolean() -> None:
    """Anything else is the caller's mistake."""
    with pytest.raises(GatewayError) as caught:
        echoes(asked(prompt="a", echo="yes"))
    assert caught.value.param == "echo"


def test_one_is_not_taken_apart() -> None:
    """It goes its ordinary way, streams too."""
    assert split(asked(prompt="a", stream=True)) == ()


def test_several_are_taken_apart() -> None:
    """Each is asked with all that was asked of them together, for a whole answer."""
    asks = split(asked(prompt=["a", "漢"], stream=True, stream_options={"include_usage": True}, n=2, echo=True))
    assert [prompts_of(one) for one in asks] == [("a",), ("漢",)]
    for one in asks:
        assert (one.model, one.stream, one.include_usage) == ("m", False, False)
        assert set(one.fields) == {"model", "prompt", "n", "echo"}


def test_there_is_a_bound() -> None:
    """One request must not become a thousand."""
    assert len(split(asked(prompt=["a"] * MOST))) == MOST
    with pytest.raises(GatewayError, match=str(MOST + 1)):
        split(asked(prompt=["a"] * (MOST + 1)))


def reply(text: str, *, n: int = 1, raw: str = "{}") -> Reply:
    """An answer to one prompt."""
    usage = Usage(input=2, output=3, basis="reported") if raw else Usage()
    return Reply("openai_chat", f"id-{text}", "m", tuple(Choice((Text(f"{text}{at}"),), "stop") for at in range(n)), usage, raw)


@given(prompts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=5), n=st.integers(1, 4))
def test_answers_are_numbered_prompt_by_prompt(prompts: list[str], n: int) -> None:
    """Answer j to prompt i is number i * n + j: clients cut the list in pieces of n."""
    for echo in (False, True):
        one = joined(asked(prompt=prompts, n=n, echo=echo), tuple(reply(str(at), n=n) for at in range(len(prompts))))
        texts = ["".join(part.text for part in choice.parts if isinstance(part, Text)) for choice in one.choices]
        expected = [(prompt if echo else "") + f"{at}{j}" for at, prompt in enumerate(prompts) for j in range(n)]
        assert texts == expected
        assert (one.usage.input, one.usage.output) == (2 * len(prompts), 3 * len(prompts))


def test_what_was_used_is_that_of_all() -> None:
    """The provider's own words are kept, as a list; where it said none there are none."""
    ask = asked(prompt=["a", "b"])
    assert joined(ask, (reply("a", raw='{"x":1}'), reply("b", raw='{"x":2}'))).raw_usage == '[{"x":1},{"x":2}]'
    none = joined(ask, (reply("a", raw=""), reply("b", raw="")))
    assert (none.raw_usage, none.usage.basis, none.id) == ("", "none", "id-a")
