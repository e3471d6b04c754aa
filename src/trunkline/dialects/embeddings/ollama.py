"""`/api/embed` and the older `/api/embeddings` of Ollama's API, as clients and providers speak it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from trunkline.canon.embeddings import Embed, Embeddings, Item
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects import guess
from trunkline.dialects.counts import input_alone
from trunkline.dialects.dialect import NOT_NAMED, Ask, Frame, Named, Outgoing, Whole
from trunkline.dialects.embeddings.saying import lose, texts
from trunkline.dialects.embeddings.vectors import matched
from trunkline.dialects.errors import protocol
from trunkline.dialects.shallow import bad, encode, fields, model_of, values_of
from trunkline.dialects.taken import Taken
from trunkline.dialects.whole import Told, decoded

OLD = "old"
"""The form of `/api/embeddings`; that of `/api/embed` is empty."""
_PATHS = {"": "/api/embed", OLD: "/api/embeddings"}
_INPUTS = {"": "input", OLD: "prompt"}
_WHAT = "an embeddings answer"


class _Answer(Told, gc=False):
    """Either form's."""

    embeddings: list[list[float]] | None = None
    embedding: list[float] | None = None
    model: Any = None
    prompt_eval_count: Any = None


_answer = msgspec.json.Decoder(_Answer).decode


# Same dialect ----------------------------------------------------------------------------------------------------------


def read_request(body: bytes, named: Named = NOT_NAMED) -> Ask:
    """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)`. No input asks Ollama to load the model."""
    found = fields(body)
    return Ask(found, model_of(found), stream=False, include_usage=True, form=named.form)


def estimate_input(ask: Ask) -> int:
    """Tokens of the input: one for every four bytes."""
    return guess.tokens(len(bytes(ask.fields.get(_INPUTS[ask.form], b""))))


def write_request(ask: Ask, model: str, facts: Facts, loss: Loss) -> Outgoing:  # noqa: ARG001 - Ollama takes what it knows
    """`model` replaced, the rest byte for byte."""
    return Outgoing(_PATHS[ask.form], encode(ask.fields | {"model": msgspec.Raw(encode(model))}))


def read_reply(ask: Ask, body: bytes) -> tuple[Whole, bytes]:  # noqa: ARG001 - there is one spelling
    """What is told in passing; the older form tells no usage."""
    told = decoded(body, _answer, _WHAT)
    if told.embedding is None and told.embeddings is None:
        raise protocol(f"The provider's answer is not {_WHAT}.", body)
    usage, raw_usage = input_alone("prompt_eval_count", told.prompt_eval_count)
    return Whole(usage, raw_usage, ""), body


# Of a client -----------------------------------------------------------------------------------------------------------


def read(ask: Ask) -> Embed:
    """The whole question. `options` steer how the model runs; those that only its server knows have no effect here."""
    top = Taken(values_of(ask.fields), "")
    top.any("model")
    name = _INPUTS[ask.form]
    value = top.any(name)
    several = value if isinstance(value, list) and ask.form != OLD else [value]
    for at, one in enumerate(several):
        place = f"{name}[{at}]" if isinstance(value, list) else name
        if not isinstance(one, str):
            raise bad(place, "must be a string")
        if not one:
            raise bad(place, "must not be empty")
    if not several:
        raise bad(name, "must not be empty")
    dimensions = top.whole("dimensions")
    if dimensions is not None and dimensions < 0:
        raise bad("dimensions", "must not be negative")
    hints = tuple(name for name in ("keep_alive", "options") if top.any(name))
    truncate = top.flag("truncate")
    items = tuple(Item((one,)) for one in several)
    return Embed(ask.model, items, dimensions or None, truncate=truncate, extras=tuple(top.left()), hints=hints)


def write_answer(answer: Embeddings, question: Embed, frame: Frame) -> bytes:
    """The answer, in the form that was asked for. Clients that count time find none."""
    vectors = matched(answer, question)
    if frame.ask.form == OLD:
        return encode({"embedding": vectors[0]})
    return encode(
        {
            "model": frame.ask.model,
            "embeddings": vectors,
            "total_duration": 0,
            "load_duration": 0,
            "prompt_eval_count": answer.usage.input,
        }
    )


# Of a provider ---------------------------------------------------------------------------------------------------------


def write(question: Embed, model: str, facts: Facts, loss: Loss) -> tuple[Outgoing, ...]:
    """One request."""
    dimensions = lose(question, facts, loss, "purpose", "title")
    told: dict[str, Any] = {
        "model": model,
        "input": [texts(item, f"input[{at}]", loss) for at, item in enumerate(question.items)],
    }
    if dimensions is not None:
        told["dimensions"] = dimensions
    if question.truncate is not None:
        told["truncate"] = question.truncate
    return (Outgoing(_PATHS[""], encode(told)),)


def read_answer(bodies: Sequence[bytes]) -> Embeddings:
    """The answer."""
    told = decoded(bodies[0], _answer, _WHAT)
    usage, raw_usage = input_alone("prompt_eval_count", told.prompt_eval_count)
    model = told.model if isinstance(told.model, str) else ""
    return Embeddings(tuple(told.embeddings or ()), model, usage, raw_usage)
