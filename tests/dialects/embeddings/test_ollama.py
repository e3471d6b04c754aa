"""Ollama's embeddings, in both forms: as bytes, of a client, of a provider."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.canon.embeddings import Embed, Embeddings, Item
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS
from trunkline.canon.loss import Loss
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.dialect import Ask, Frame, Named
from trunkline.dialects.embeddings import ollama


def ask(form: str = "", **fields: Any) -> Ask:
    """A client's request."""
    return ollama.read_request(json.dumps({"model": "m", **fields}).encode(), Named(form))


@pytest.mark.parametrize(("form", "path"), [("", "/api/embed"), ("old", "/api/embeddings")])
def test_bytes_pass_but_for_the_model(form: str, path: str) -> None:
    """Each form to its own path, also without an input: that loads the model."""
    out = ollama.write_request(ask(form, keep_alive=0), "big", NO_FACTS, Loss(strict=True))
    assert (out.path, json.loads(out.body)) == (path, {"model": "big", "keep_alive": 0})


@pytest.mark.parametrize(("form", "name"), [("", "input"), ("old", "prompt")])
def test_tokens_are_guessed(form: str, name: str) -> None:
    """The older form tells none."""
    assert ollama.estimate_input(ask(form, **{name: "abcdefgh"})) == 2
    assert ollama.estimate_input(ask(form)) == 0


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b'{"embeddings":[[1]],"prompt_eval_count":3}', Usage(input=3, basis="reported")),
        (b'{"embedding":[1]}', NO_USAGE),
        (b'{"embeddings":[[1]],"prompt_eval_count":-3}', NO_USAGE),
        (b'{"embeddings":[[1]],"prompt_eval_count":"3"}', NO_USAGE),
    ],
)
def test_an_answer_passes(body: bytes, usage: Usage) -> None:
    """Byte for byte, its usage read where there is any."""
    whole, given = ollama.read_reply(ask(), body)
    assert given is body
    assert whole.usage == usage


@pytest.mark.parametrize(
    ("form", "fields", "expected"),
    [
        ("", {"input": "a"}, Embed("m", (Item(("a",)),))),
        ("", {"input": ["a", "b"], "dimensions": 8, "truncate": False, "keep_alive": "5m", "options": {"num_ctx": 5}, "x": 1},
         Embed("m", (Item(("a",)), Item(("b",))), 8, truncate=False, extras=("x",), hints=("keep_alive", "options"))),
        ("", {"input": "a", "dimensions": 0, "options": {}}, Embed("m", (Item(("a",)),))),
        ("old", {"prompt": "a"}, Embed("m", (Item(("a",)),))),
    ],
)  # fmt: skip
def test_a_question_is_read(form: str, fields: dict[str, Any], expected: Embed) -> None:
    """Options of a server are hints: another provider has none."""
    assert ollama.read(ask(form, **fields)) == expected


@pytest.mark.parametrize(
    ("form", "fields", "param"),
    [
        ("", {}, "input"), ("", {"input": []}, "input"), ("", {"input": ""}, "input"), ("", {"input": ["a", 5]}, "input[1]"),
        ("", {"input": "a", "dimensions": -1}, "dimensions"), ("old", {"prompt": ["a"]}, "prompt[0]"), ("old", {}, "prompt"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_told_where(form: str, fields: dict[str, Any], param: str) -> None:
    """With the path of the field."""
    with pytest.raises(GatewayError) as raised:
        ollama.read(ask(form, **fields))
    assert raised.value.status == 400
    assert str(raised.value.param).startswith(param.partition("[")[0])


def test_an_answer_is_written() -> None:
    """In the form that was asked for, as the official client reads it."""
    asked, answer = Embed("m", (Item(("a",)),)), Embeddings(([1.0],), "big", Usage(input=7, basis="reported"))
    assert json.loads(ollama.write_answer(answer, asked, Frame(ask("old"), "id", 1))) == {"embedding": [1.0]}
    assert json.loads(ollama.write_answer(answer, asked, Frame(ask(), "id", 1))) == {
        "model": "m", "embeddings": [[1.0]], "total_duration": 0, "load_duration": 0, "prompt_eval_count": 7
    }  # fmt: skip


def test_a_provider_is_asked() -> None:
    """One request for all inputs."""
    loss = Loss(strict=False)
    (out,) = ollama.write(Embed("x", (Item(("a",)), Item(("b",))), 8, "query", True), "big", NO_FACTS, loss)
    assert out.path == "/api/embed"
    assert json.loads(out.body) == {"model": "big", "input": ["a", "b"], "dimensions": 8, "truncate": True}
    assert list(loss.names) == ["input_type"]
    (out,) = ollama.write(Embed("x", (Item(("a",)),)), "big", NO_FACTS, Loss(strict=True))
    assert json.loads(out.body) == {"model": "big", "input": ["a"]}


def test_a_providers_answer_is_read() -> None:
    """With its model and its count."""
    answer = ollama.read_answer([b'{"model":"big","embeddings":[[1],[2]],"prompt_eval_count":3}'])
    assert answer == Embeddings(([1.0], [2.0]), "big", Usage(input=3, basis="reported"), '{"prompt_eval_count":3}')
    assert ollama.read_answer([b'{"model":5}']) == Embeddings(())


def test_an_answer_of_another_kind_does_not_pass() -> None:
    """A server that answers something else is not taken at its word."""
    with pytest.raises(GatewayError) as raised:
        ollama.read_reply(ask(), b'{"choices":[]}')
    assert raised.value.status == 502
