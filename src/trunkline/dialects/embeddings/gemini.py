"""`:embedContent` and `:batchEmbedContents` of Gemini's API, as clients and providers speak it; of a provider also `:predict`,
in which Vertex AI has its older models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from trunkline.canon.chat import Media
from trunkline.canon.embeddings import Embed, Embeddings, Item, Purpose
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.canon.usage import Usage
from trunkline.dialects import guess
from trunkline.dialects.counts import MOST_TOKENS, input_alone
from trunkline.dialects.dialect import NOT_NAMED, Ask, Frame, Named, Outgoing, Whole
from trunkline.dialects.embeddings.saying import batches, lose, parts, texts
from trunkline.dialects.embeddings.vectors import matched
from trunkline.dialects.errors import protocol
from trunkline.dialects.google_shape.fields import Fields
from trunkline.dialects.google_shape.resource import path, resource
from trunkline.dialects.google_shape.usage import read_usage
from trunkline.dialects.shallow import bad, checked_model, encode, fields, values_of
from trunkline.dialects.whole import Told, collected, decoded

BATCH = "batch"
"""The form of `:batchEmbedContents`; that of `:embedContent` is empty."""
MOST = 100
"""Requests in one batch (ai.google.dev/api/embeddings)."""
_WHAT = "an embeddings answer"
_PICTURE = 1000
_ACTIONS = {"": "embedContent", BATCH: "batchEmbedContents"}
_PURPOSES: dict[str, Purpose] = {
    "RETRIEVAL_QUERY": "query", "RETRIEVAL_DOCUMENT": "document", "SEMANTIC_SIMILARITY": "similarity",
    "CLASSIFICATION": "classification", "CLUSTERING": "clustering", "QUESTION_ANSWERING": "question",
    "FACT_VERIFICATION": "fact", "CODE_RETRIEVAL_QUERY": "code",
}  # fmt: skip
_TASKS = {purpose: word for word, purpose in _PURPOSES.items()}
_URL_SAFE = str.maketrans("-_", "+/")


class _Vector(msgspec.Struct, gc=False):
    values: list[float]


class _Answer(Told, rename="camel", gc=False):
    """Either form's."""

    embedding: _Vector | None = None
    embeddings: list[_Vector] | None = None
    usage_metadata: Any = None


class _Statistics(msgspec.Struct, frozen=True, gc=False):
    token_count: float = 0


class _Embedded(msgspec.Struct, gc=False):
    values: list[float]
    statistics: _Statistics = _Statistics()


class _Prediction(msgspec.Struct, gc=False):
    embeddings: _Embedded


class _Predicted(Told, gc=False):
    predictions: list[_Prediction]


_answer = msgspec.json.Decoder(_Answer).decode
_predicted = msgspec.json.Decoder(_Predicted).decode
_requests = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode


# Same dialect ----------------------------------------------------------------------------------------------------------


def read_request(body: bytes, named: Named = NOT_NAMED) -> Ask:
    """Decode a client's body one level deep; the path has told model and form. Raises `GatewayError(BAD_REQUEST)`."""
    found = fields(body)
    model = checked_model(named.model.removeprefix("models/"))
    name = "requests" if named.form == BATCH else "content"
    if name not in found:
        raise bad(name, "is required", code="missing_required_parameter")
    return Ask(found, model, stream=False, include_usage=True, form=named.form)


def estimate_input(ask: Ask) -> int:
    """Tokens of the contents: one for every four bytes, a thousand for a picture."""
    texts = (bytes(ask.fields.get(name, b"")) for name in ("content", "requests"))
    return guess.prompt(texts, (b'"data"',), _PICTURE)


def write_request(ask: Ask, model: str, facts: Facts, loss: Loss) -> Outgoing:  # noqa: ARG001 - Google says what it refuses
    """`model` replaced, in the path and wherever the body names it; the rest byte for byte."""
    out, name = dict(ask.fields), msgspec.Raw(encode(resource(model)))
    if "model" in out:
        out["model"] = name
    if "requests" in out:
        try:
            inner = _requests(out["requests"])
        except msgspec.ValidationError:
            raise bad("requests", "must be an array of objects") from None
        out["requests"] = msgspec.Raw(encode([one | {"model": name} for one in inner]))
    return Outgoing(path(model, _ACTIONS[ask.form]), encode(out))


def read_reply(ask: Ask, body: bytes) -> tuple[Whole, bytes]:  # noqa: ARG001 - there is one spelling
    """What is told in passing: not much, most models tell no usage."""
    told = decoded(body, _answer, _WHAT)
    if told.embedding is None and told.embeddings is None:
        raise protocol(f"The provider's answer is not {_WHAT}.", body)
    usage, raw_usage = read_usage(told.usage_metadata)
    return Whole(usage, raw_usage, ""), body


# Of a client -----------------------------------------------------------------------------------------------------------


def read(ask: Ask) -> Embed:
    """The whole question. In a batch every request must ask for the same kind of vector."""
    top = Fields(values_of(ask.fields), "")
    if ask.form != BATCH:
        return _one(top, ask.model)
    found = [_one(Fields(one, f"requests[{at}]"), ask.model) for at, one in enumerate(top.items("requests"))]
    if not found:
        raise bad("requests", "must not be empty")
    first = found[0]
    for at, one in enumerate(found):
        if (one.purpose, one.dimensions) != (first.purpose, first.dimensions):
            raise bad(f"requests[{at}]", "must have the taskType and the outputDimensionality of the first here")
    items = tuple(item for one in found for item in one.items)
    extras = tuple(dict.fromkeys(name for one in found for name in one.extras))
    return msgspec.structs.replace(first, items=items, extras=extras)


def _one(top: Fields, model: str) -> Embed:
    top.any("model")
    content = top.fields("content")
    if content is None:
        raise bad(top.place("content"), "is required", code="missing_required_parameter")
    found = tuple(_part(Fields(one, f"{content.place('parts')}[{at}]")) for at, one in enumerate(content.items("parts")))
    if not any(found):
        raise bad(content.place("parts"), "must not be empty")
    settings = top.fields("embedContentConfig") or top  # the newer API's place for them
    task, dimensions = settings.text("taskType"), settings.whole("outputDimensionality")
    if dimensions is not None and dimensions < 1:
        raise bad("outputDimensionality", "must be at least 1")
    item, truncate = Item(found, title=settings.text("title")), settings.flag("autoTruncate")
    known = _PURPOSES.get(task, "")
    extras = (*settings.left(), *(["taskType"] if task and not known and task != "TASK_TYPE_UNSPECIFIED" else []))
    return Embed(model, (item,), dimensions, known, truncate, extras=extras)


def _part(part: Fields) -> str | Media:
    if "text" in part:
        return part.text("text")
    inline = part.fields("inlineData")
    if inline is None:
        raise bad(part.place("text"), "is required: other parts cannot be sent to this model")
    media_type, data = inline.text("mimeType").lower(), inline.text("data").translate(_URL_SAFE)
    if not media_type.startswith("image/") or not data:
        raise bad(part.place("inlineData"), "must be a picture for this model")
    return Media("image", media_type, data)


def write_answer(answer: Embeddings, question: Embed, frame: Frame) -> bytes:
    """The answer, in the form that was asked for."""
    vectors = [{"values": vector} for vector in matched(answer, question)]
    told: dict[str, Any] = {"embeddings": vectors} if frame.ask.form == BATCH else {"embedding": vectors[0]}
    return encode({**told, "usageMetadata": {"promptTokenCount": answer.usage.input, "totalTokenCount": answer.usage.input}})


# Of a provider ---------------------------------------------------------------------------------------------------------


def write(question: Embed, model: str, facts: Facts, loss: Loss) -> tuple[Outgoing, ...]:
    """Batches of at most a hundred; for models that are asked by `:predict` as many as Vertex AI takes of them."""
    if facts.form == "predict":
        return _predict(question, model, facts, loss)
    settings, nested = _settings(question, facts, loss), facts.form == "config"
    if question.truncate is not None:
        if nested:
            settings["autoTruncate"] = question.truncate
        else:
            loss.drop("truncate", "the provider's API has no such field")
    own = {} if nested else {"model": resource(model)}
    action = path(model, _ACTIONS[BATCH])
    return tuple(
        Outgoing(
            action,
            encode({"requests": [own | _request(item, settings, f"input[{start + at}]", facts, loss)
                                 for at, item in enumerate(run)]}),
        )
        for start, run in batches(question, MOST)
    )  # fmt: skip


def _settings(question: Embed, facts: Facts, loss: Loss) -> dict[str, Any]:
    dimensions = lose(question, facts, loss)
    told: dict[str, Any] = {"taskType": _TASKS[question.purpose]} if question.purpose else {}
    return told if dimensions is None else told | {"outputDimensionality": dimensions}


def _request(item: Item, settings: dict[str, Any], place: str, facts: Facts, loss: Loss) -> dict[str, Any]:
    """One of a batch. Vertex AI has the settings in an object of their own, and no model (google-genai 3.4.0)."""
    told = {"content": {"parts": [_said(part, place, loss) for part in parts(item, place, loss)]}}
    if item.title:
        settings = settings | {"title": item.title}
    if facts.form != "config":
        return told | settings
    return told | {"embedContentConfig": settings} if settings else told


def _said(part: str | Media, place: str, loss: Loss) -> dict[str, Any]:
    if isinstance(part, str):
        return {"text": part}
    if not part.data:
        raise loss.refuse(place, "the provider does not fetch pictures; send the picture itself")
    return {"inlineData": {"mimeType": part.media_type or "image/png", "data": part.data}}


def _predict(question: Embed, model: str, facts: Facts, loss: Loss) -> tuple[Outgoing, ...]:
    settings = _settings(question, facts, loss)
    task = {"task_type": settings.pop("taskType")} if question.purpose else {}
    if question.truncate is not None:
        settings["autoTruncate"] = question.truncate
    return tuple(
        Outgoing(
            path(model, "predict"),
            encode({"instances": [_instance(item, f"input[{start + at}]", loss) | task for at, item in enumerate(run)]}
                   | ({"parameters": settings} if settings else {})),
        )
        for start, run in batches(question, MOST)
    )  # fmt: skip


def _instance(item: Item, place: str, loss: Loss) -> dict[str, str]:
    told = {"content": texts(item, place, loss)}
    return told | {"title": item.title} if item.title else told


def read_answer(bodies: Sequence[bytes]) -> Embeddings:
    """The answers of either form, told apart by their own structure."""
    vectors, usage, raw_usage = collected(bodies, _read)
    return Embeddings(vectors, usage=usage, raw_usage=raw_usage)


def _read(body: bytes) -> tuple[list[list[float]], tuple[Usage, str]]:
    return _predictions(body) if b'"predictions"' in body else _batch(body)


def _batch(body: bytes) -> tuple[list[list[float]], tuple[Usage, str]]:
    told = decoded(body, _answer, _WHAT)
    return [one.values for one in told.embeddings or []], read_usage(told.usage_metadata)


def _predictions(body: bytes) -> tuple[list[list[float]], tuple[Usage, str]]:
    found = [one.embeddings for one in decoded(body, _predicted, _WHAT).predictions]
    tokens = sum(one.statistics.token_count for one in found)
    return [one.values for one in found], input_alone("token_count", int(tokens) if 0 < tokens <= MOST_TOKENS else None)
