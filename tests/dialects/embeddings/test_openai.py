"""OpenAI's embeddings: as bytes, of a client, of a provider."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.canon.chat import Media
from trunkline.canon.embeddings import Embed, Embeddings, Item
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.dialect import Ask, Frame
from trunkline.dialects.embeddings import openai
from trunkline.dialects.embeddings.vectors import pack


def ask(**fields: Any) -> Ask:
    """A client's request."""
    return openai.read_request(json.dumps({"model": "m", "input": "a", **fields}).encode())


def body(*vectors: Any, **more: Any) -> bytes:
    """A provider's answer."""
    data = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    return json.dumps({"object": "list", "data": data, "model": "big", **more}).encode()


USAGE = {"prompt_tokens": 7, "total_tokens": 7}


def test_bytes_pass_but_for_the_model() -> None:
    """Nothing else of a request between two sides of one dialect may change."""
    asked = b'{"model":"m","input":[[1, 2]],"dimensions":8,"x":1.50}'
    out = openai.write_request(openai.read_request(asked), "big", NO_FACTS, Loss(strict=True))
    assert (out.path, out.body) == ("/embeddings", asked.replace(b'"m"', b'"big"'))


def test_what_a_model_refuses_stays_here() -> None:
    """The format is no loss, as the answer is respelled; the dimensions are."""
    loss = Loss(strict=False)
    facts = Facts(refuses=frozenset({"dimensions", "encoding_format"}))
    out = openai.write_request(ask(dimensions=8, encoding_format="base64"), "big", facts, loss)
    assert (json.loads(out.body), list(loss.names)) == ({"model": "big", "input": "a"}, ["dimensions"])
    with pytest.raises(GatewayError):
        openai.write_request(ask(dimensions=8), "big", facts, Loss(strict=True))


@pytest.mark.parametrize("told", [b"{}", b'{"model":"m"}', b'{"input":"a"}', b"[]", b""])
def test_what_is_no_request(told: bytes) -> None:
    """A 400 before anybody is asked."""
    with pytest.raises(GatewayError) as raised:
        openai.read_request(told)
    assert raised.value.status == 400


@pytest.mark.parametrize(
    ("value", "tokens"), [("abcdefgh", 2), (["abcd", "efgh"], 4), ([1, 2, 3], 3), ([[1, 2], [3]], 3), ([], 0)]
)
def test_tokens_are_guessed(value: Any, tokens: int) -> None:
    """A provider that tells no usage is not for free."""
    assert openai.estimate_input(ask(input=value)) == tokens


def test_a_picture_is_not_guessed_by_its_size() -> None:
    """A megabyte of base64 is no quarter of a million tokens."""
    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBOR" + "a" * 1_000_000}}
    assert 1000 < openai.estimate_input(ask(input=[{"content": [url]}])) < 1100


@pytest.mark.parametrize("wanted", ["float", "base64", None])
def test_an_answer_as_it_was_asked_for_passes(wanted: str | None) -> None:
    """Byte for byte."""
    fields = {} if wanted is None else {"encoding_format": wanted}
    told = body(pack([1.0]) if wanted == "base64" else [1.0], usage=USAGE)
    whole, given = openai.read_reply(ask(**fields), told)
    assert given is told
    assert (whole.usage, json.loads(whole.raw_usage)) == (Usage(input=7, basis="reported"), USAGE)


@pytest.mark.parametrize(("wanted", "made", "given"), [("base64", [1.0], pack([1.0])), ("float", pack([1.0]), [1.0])])
def test_an_answer_in_the_other_spelling_is_respelled(wanted: str, made: Any, given: Any) -> None:
    """The SDK for JavaScript asks for base64 unasked, and reads numbers as nonsense."""
    told = body(made, [2.0] if wanted == "base64" else pack([2.0]), usage=USAGE, x={"y": 1})
    _, out = openai.read_reply(ask(encoding_format=wanted), told)
    expected = json.loads(told)
    expected["data"][0]["embedding"] = given
    expected["data"][1]["embedding"] = pack([2.0]) if wanted == "base64" else [2.0]
    assert json.loads(out) == expected


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("base64", body(5)), ("float", body({"int8": []})), ("float", body("!")), ("base64", body([1.0, "a"])),
        ("base64", body([1e300])), ("float", b"{}"), ("float", b""),
    ],
)  # fmt: skip
def test_an_answer_of_nonsense(told: bytes, wanted: str) -> None:
    """A 502, never a 500."""
    with pytest.raises(GatewayError) as raised:
        openai.read_reply(ask(encoding_format=wanted), told)
    assert raised.value.kind is Kind.UPSTREAM_PROTOCOL


def test_an_answer_without_usage() -> None:
    """It is estimated then."""
    assert openai.read_reply(ask(), body([1.0]))[0].usage == NO_USAGE


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/PNG;base64,aaaa"}}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"input": "a"}, Embed("m", (Item(("a",)),))),
        ({"input": ["a", "b"]}, Embed("m", (Item(("a",)), Item(("b",))))),
        ({"input": [1, 2]}, Embed("m", (Item(tokens=(1, 2)),))),
        ({"input": [[1], [2, 3]]}, Embed("m", (Item(tokens=(1,)), Item(tokens=(2, 3))))),
        ({"input": list(range(3000))}, Embed("m", (Item(tokens=tuple(range(3000))),))),
        (
            {"input": [{"content": [{"type": "text", "text": "a"}, PICTURE]}]},
            Embed("m", (Item(("a", Media("image", "image/png", "aaaa"))),)),
        ),
        (
            {"input": [{"content": [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]}]},
            Embed("m", (Item((Media("image", url="https://a/b.png"),)),)),
        ),
        (
            {"encoding_format": "base64", "dimensions": 8.0, "user": "u", "input_type": "passage", "x": 1},
            Embed("m", (Item(("a",)),), 8, "document", None, True, ("x",), ("user",)),
        ),
        ({"input_type": "odd", "user": "", "encoding_format": "float"}, Embed("m", (Item(("a",)),), extras=("input_type",))),
    ],
)
def test_a_question_is_read(fields: dict[str, Any], expected: Embed) -> None:
    """All that another provider can be told of it."""
    assert openai.read(ask(**fields)) == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"), ({"input": []}, "input"), ({"input": ["a", ""]}, "input[1]"), ({"input": [[]]}, "input[0]"),
        ({"input": 5}, "input"), ({"input": None}, "input"), ({"input": {}}, "input"), ({"input": [True]}, "input[0]"),
        ({"input": ["a"] * 2049}, "input"), ({"input": [{"content": []}]}, "input[0]"),
        ({"input": [{"content": [{"type": "x"}]}]}, "input[0].content[0].type"),
        ({"input": [{"content": [{"type": "image_url"}]}]}, "input[0].content[0].image_url.url"),
        ({"input": [{"content": [{"type": "image_url", "image_url": {"url": "data:image/png,aa"}}]}]},
         "input[0].content[0].image_url.url"),
        ({"encoding_format": "hex"}, "encoding_format"), ({"dimensions": 0}, "dimensions"), ({"dimensions": "8"}, "dimensions"),
        ({"user": 5}, "user"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_told_where(fields: dict[str, Any], param: str) -> None:
    """With the path of the field, as OpenAI does."""
    with pytest.raises(GatewayError) as raised:
        openai.read(ask(**fields))
    assert (raised.value.status, raised.value.param) == (400, param)


@pytest.mark.parametrize(("base64", "given"), [(False, [1.0]), (True, pack([1.0]))])
def test_an_answer_is_written(base64: bool, given: Any) -> None:
    """As OpenAI's SDKs read it; the model is the provider's word, else what was asked for."""
    asked = Embed("m", (Item(("a",)),), base64=base64)
    answer = Embeddings(([1.0],), "big", Usage(input=7, basis="reported"))
    expected = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": given}], "usage": USAGE}
    assert json.loads(openai.write_answer(answer, asked, Frame(ask(), "id", 1))) == {**expected, "model": "big"}
    answer = Embeddings(([1.0],), "", Usage(input=7, basis="reported"))
    assert json.loads(openai.write_answer(answer, asked, Frame(ask(), "id", 1)))["model"] == "m"


def test_a_provider_is_asked() -> None:
    """One request, whatever it holds; texts of one input are joined."""
    items = (Item(("a", "b")), Item(("c", Media("image", "", "aaaa"))), Item((Media("image", url="https://x"),)))
    loss = Loss(strict=False)
    (out,) = openai.write(Embed("x", items, 8, "query", True), "big", NO_FACTS, loss)
    content = [{"type": "text", "text": "c"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa"}}]
    url = [{"type": "image_url", "image_url": {"url": "https://x"}}]
    assert out.path == "/embeddings"
    assert json.loads(out.body) == {
        "model": "big", "input": ["a\nb", {"content": content}, {"content": url}], "dimensions": 8
    }  # fmt: skip
    assert list(loss.names) == ["input_type", "truncate"]
    (out,) = openai.write(Embed("x", (Item(("a",)),)), "big", NO_FACTS, loss)
    assert json.loads(out.body) == {"model": "big", "input": ["a"]}


def test_a_providers_answer_is_read() -> None:
    """In the order of its own numbers, in either spelling."""
    data = [{"index": 1, "embedding": pack([2.0])}, {"index": 0, "embedding": [1.0]}]
    told = json.dumps({"data": data, "model": "big", "usage": USAGE}).encode()
    answer = openai.read_answer([told])
    assert (answer.vectors, answer.model, answer.usage) == (([1.0], [2.0]), "big", Usage(input=7, basis="reported"))
    assert openai.read_answer([b'{"data":[{"embedding":[1]}],"model":5}']) == Embeddings(([1.0],))
