"""Gemini's embeddings: as bytes, of a client, of a provider, and Vertex AI's older form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.canon.chat import Media
from trunkline.canon.embeddings import Embed, Embeddings, Item
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.dialect import Ask, Frame, Named
from trunkline.dialects.embeddings import gemini

HELLO = {"parts": [{"text": "hello"}]}
PREDICT = Facts(form="predict")


def ask(form: str = "", **fields: Any) -> Ask:
    """A client's request."""
    return gemini.read_request(json.dumps(fields).encode(), Named(form, "models/m"))


def written(asked: Embed, facts: Facts = NO_FACTS, loss: Loss | None = None) -> list[Any]:
    """The bodies that a provider is asked with."""
    return [json.loads(out.body) for out in gemini.write(asked, "big", facts, loss or Loss(strict=True))]


def test_bytes_pass_but_for_the_model() -> None:
    """The path and the body name it; the rest stays."""
    out = gemini.write_request(ask(content=HELLO, x=1), "big", NO_FACTS, Loss(strict=True))
    assert (out.path, json.loads(out.body)) == ("/models/big:embedContent", {"content": HELLO, "x": 1})
    out = gemini.write_request(ask(content=HELLO, model="models/m"), "big", NO_FACTS, Loss(strict=True))
    assert json.loads(out.body)["model"] == "models/big"
    requests = [{"model": "models/m", "content": HELLO}, {"content": HELLO}]
    out = gemini.write_request(ask("batch", requests=requests), "big", NO_FACTS, Loss(strict=True))
    assert out.path == "/models/big:batchEmbedContents"
    assert [one["model"] for one in json.loads(out.body)["requests"]] == ["models/big", "models/big"]


@pytest.mark.parametrize("requests", [{}, 5, [5], "a"])
def test_a_batch_of_nonsense(requests: Any) -> None:
    """A 400, as the model could not be put in."""
    with pytest.raises(GatewayError) as raised:
        gemini.write_request(ask("batch", requests=requests), "big", NO_FACTS, Loss(strict=True))
    assert raised.value.param == "requests"


@pytest.mark.parametrize(("form", "param"), [("", "content"), ("batch", "requests")])
def test_a_request_without_content(form: str, param: str) -> None:
    """A 400 before anybody is asked."""
    with pytest.raises(GatewayError) as raised:
        ask(form)
    assert raised.value.param == param


def test_tokens_are_guessed() -> None:
    """Most models tell no usage."""
    assert gemini.estimate_input(ask(content=HELLO)) == len(json.dumps(HELLO)) // 4
    picture = {"parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBOR" + "a" * 1_000_000}}]}
    assert 1000 < gemini.estimate_input(ask(content=picture)) < 1100


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b'{"embedding":{"values":[1]}}', NO_USAGE),
        (b'{"embeddings":[{"values":[1]}],"usageMetadata":{"promptTokenCount":3}}', Usage(input=3, basis="reported")),
    ],
)
def test_an_answer_passes(body: bytes, usage: Usage) -> None:
    """Byte for byte, its usage read where there is any."""
    whole, given = gemini.read_reply(ask(content=HELLO), body)
    assert given is body
    assert whole.usage == usage


def one(*parts: Any, **fields: Any) -> dict[str, Any]:
    """One request."""
    return {"content": {"parts": list(parts)}, **fields}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (one({"text": "a"}), Embed("m", (Item(("a",)),))),
        ({"content": {"parts": {"text": "a"}}}, Embed("m", (Item(("a",)),))),
        (
            one({"text": "a"}, {"inline_data": {"mime_type": "image/png", "data": "a-_a"}}),
            Embed("m", (Item(("a", Media("image", "image/png", "a+/a"))),)),
        ),
        (
            one({"text": "a"}, task_type="RETRIEVAL_QUERY", outputDimensionality=8, title="t", autoTruncate=True, x=1),
            Embed("m", (Item(("a",), title="t"),), 8, "query", True, extras=("x",)),
        ),
        (one({"text": "a"}, embedContentConfig={"taskType": "CLUSTERING"}), Embed("m", (Item(("a",)),), None, "clustering")),
        (one({"text": "a"}, taskType="TASK_TYPE_UNSPECIFIED"), Embed("m", (Item(("a",)),))),
        (one({"text": "a"}, taskType="NEW"), Embed("m", (Item(("a",)),), extras=("taskType",))),
    ],
)
def test_a_question_is_read(fields: dict[str, Any], expected: Embed) -> None:
    """In either of Google's spellings, alone and in a batch."""
    assert gemini.read(ask(**fields)) == expected
    assert gemini.read(ask("batch", requests=[fields, fields])).items == expected.items * 2


@pytest.mark.parametrize(
    ("form", "fields", "param"),
    [
        ("", {"content": None}, "content"), ("", one(), "content.parts"), ("", one({}), "content.parts[0].text"),
        ("", one({"text": ""}), "content.parts"),
        ("", one({"inlineData": {"mimeType": "audio/wav", "data": "aaaa"}}), "content.parts[0].inlineData"),
        ("", one({"text": "a"}, outputDimensionality=0), "outputDimensionality"),
        ("batch", {"requests": []}, "requests"), ("batch", {"requests": [5]}, "requests[0]"),
        ("batch", {"requests": [{}]}, "requests[0].content"),
        ("batch", {"requests": [one({"text": "a"}), one({"text": "a"}, taskType="CLUSTERING")]}, "requests[1]"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_told_where(form: str, fields: dict[str, Any], param: str) -> None:
    """With the path of the field."""
    with pytest.raises(GatewayError) as raised:
        gemini.read(ask(form, **fields))
    assert (raised.value.status, raised.value.param) == (400, param)


def test_an_answer_is_written() -> None:
    """In the form that was asked for."""
    asked, answer = Embed("m", (Item(("a",)),)), Embeddings(([1.0],), usage=Usage(input=7, basis="reported"))
    usage = {"promptTokenCount": 7, "totalTokenCount": 7}
    single = gemini.write_answer(answer, asked, Frame(ask(content=HELLO), "id", 1))
    assert json.loads(single) == {"embedding": {"values": [1.0]}, "usageMetadata": usage}
    batch = gemini.write_answer(answer, asked, Frame(ask("batch", requests=[]), "id", 1))
    assert json.loads(batch) == {"embeddings": [{"values": [1.0]}], "usageMetadata": usage}


def test_a_provider_is_asked_in_batches() -> None:
    """Google takes at most a hundred in one."""
    asked = Embed("m", tuple(Item((str(at),)) for at in range(101)), 8, "code")
    bodies = written(asked)
    assert [len(body["requests"]) for body in bodies] == [100, 1]
    told = {"model": "models/big", "taskType": "CODE_RETRIEVAL_QUERY", "outputDimensionality": 8}
    assert bodies[1]["requests"] == [{"content": {"parts": [{"text": "100"}]}, **told}]


def test_a_provider_is_asked_for_pictures_and_titles() -> None:
    """Newer models take pictures; a title belongs to a document."""
    asked = Embed("m", (Item(("a", Media("image", "", "aaaa")), title="t"),), truncate=True)
    loss = Loss(strict=False)
    (body,) = written(asked, loss=loss)
    parts = [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "aaaa"}}]
    assert body["requests"] == [{"model": "models/big", "content": {"parts": parts}, "title": "t"}]
    assert list(loss.names) == ["truncate"]
    with pytest.raises(GatewayError):
        written(Embed("m", (Item((Media("image", url="https://x"),)),)))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Embed("m", (Item(("a",)),)), {"content": {"parts": [{"text": "a"}]}}),
        (
            Embed("m", (Item(("a",), title="t"),), 8, "query", False),
            {
                "content": {"parts": [{"text": "a"}]},
                "embedContentConfig": {
                    "taskType": "RETRIEVAL_QUERY",
                    "outputDimensionality": 8,
                    "autoTruncate": False,
                    "title": "t",
                },
            },
        ),
    ],
)
def test_vertex_has_settings_apart(asked: Embed, expected: dict[str, Any]) -> None:
    """It refuses fields that it does not know."""
    (out,) = gemini.write(asked, "big", Facts(form="config"), Loss(strict=True))
    assert (out.path, json.loads(out.body)) == ("/models/big:batchEmbedContents", {"requests": [expected]})


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Embed("m", (Item(("a",)),)), {"instances": [{"content": "a"}]}),
        (
            Embed("m", (Item(("a",), title="t"),), 8, "document", True),
            {
                "instances": [{"content": "a", "title": "t", "task_type": "RETRIEVAL_DOCUMENT"}],
                "parameters": {"outputDimensionality": 8, "autoTruncate": True},
            },
        ),
    ],
)
def test_older_models_of_vertex_predict(asked: Embed, expected: dict[str, Any]) -> None:
    """They know no other action."""
    (out,) = gemini.write(asked, "big", PREDICT, Loss(strict=True))
    assert (out.path, json.loads(out.body)) == ("/models/big:predict", expected)


def test_answers_are_read() -> None:
    """Several batches as one; usage only where every one tells it."""
    told = b'{"embeddings":[{"values":[1]}],"usageMetadata":{"promptTokenCount":3}}'
    answer = gemini.read_answer([told, told])
    assert (answer.vectors, answer.usage) == (([1.0], [1.0]), Usage(input=6, basis="reported"))
    answer = gemini.read_answer([told, b'{"embeddings":[{"values":[2]}]}'])
    assert (answer.vectors, answer.usage, answer.raw_usage) == (([1.0], [2.0]), NO_USAGE, "")
    assert gemini.read_answer([b"{}"]).vectors == ()


@pytest.mark.parametrize(
    ("statistics", "usage"),
    [({"token_count": 4}, Usage(input=4, basis="reported")), ({}, NO_USAGE), ({"token_count": 1e300}, NO_USAGE)],
)
def test_predictions_are_read(statistics: dict[str, Any], usage: Usage) -> None:
    """Vertex AI tells the tokens of each."""
    body = json.dumps({"predictions": [{"embeddings": {"values": [1], "statistics": statistics}}]}).encode()
    answer = gemini.read_answer([body])
    assert (answer.vectors, answer.usage) == (([1.0],), usage)


def test_an_answer_of_another_kind_does_not_pass() -> None:
    """A server that answers something else is not taken at its word."""
    with pytest.raises(GatewayError) as raised:
        gemini.read_reply(ask(content=HELLO), b'{"choices":[]}')
    assert raised.value.status == 502
