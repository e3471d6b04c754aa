"""The conformance matrix of what is not chat: embeddings and pictures, by asking their dialects, and what only passes.

As for chat every cell is computed: a question is written as a client writes it, read, written for the provider, and sought
there; an answer of the provider's is read and written for the client. What only passes is told by the catalogue.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.dialect import Ask, Frame, Named
from trunkline.dialects.task import ClientSide
from trunkline.dialects.tasks import EMBEDDINGS, PICTURES
from trunkline.providers.catalog import catalog

Json = dict[str, Any]
PASSES, OTHERWISE, REFUSED, UNSAID, LOST = "✓", "≈", "refused", "-", "LOST"
TITLES = {"openai_chat": "OpenAI", "gemini": "Gemini", "ollama": "Ollama"}
_PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n a picture of nothing").decode()
_VECTOR = [0.5, 0.25]
_PACKED = base64.b64encode(struct.pack("<2f", *_VECTOR)).decode()
_ASPECTS = ("1:1", "3:2")


class Feature(NamedTuple):
    """One of requests. `words`, in small letters, must stand in what is sent."""

    name: str
    bodies: dict[str, Json]
    """By the client's dialect, what it says beside its model; those that cannot say it have none."""
    words: tuple[str, ...]


class Column(NamedTuple):
    """One kind of provider."""

    title: str
    dialect: str
    facts: Facts
    answer: Json
    """To one question; it tells of 7 tokens, or of none."""


_ONE = {"content": {"parts": [{"text": "red wall"}]}}
_PICTURED = [{"content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_PNG}"}}]}]
EMBED_FEATURES = (
    Feature("a text", {"openai_chat": {"input": "red wall"}, "gemini": _ONE, "ollama": {"input": "red wall"}}, ("red wall",)),
    Feature(
        "several texts",
        {
            "openai_chat": {"input": ["red wall", "blue sky"]},
            "gemini": {"requests": [_ONE, {"content": {"parts": [{"text": "blue sky"}]}}]},
            "ollama": {"input": ["red wall", "blue sky"]},
        },
        ("red wall", "blue sky"),
    ),
    Feature("numbers of tokens", {"openai_chat": {"input": [1111, 2222]}}, ("1111", "2222")),
    Feature(
        "a picture",
        {
            "openai_chat": {"input": _PICTURED},
            "gemini": {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": _PNG}}]}},
        },
        (_PNG.lower(),),
    ),
    Feature(
        "`dimensions`",
        {
            "openai_chat": {"input": "red wall", "dimensions": 256},
            "gemini": {**_ONE, "outputDimensionality": 256},
            "ollama": {"input": "red wall", "dimensions": 256},
        },
        ("256",),
    ),
    Feature(
        "purpose: a query",
        {"openai_chat": {"input": "red wall", "input_type": "query"}, "gemini": {**_ONE, "taskType": "RETRIEVAL_QUERY"}},
        ("query",),
    ),
    Feature("title of a document", {"gemini": {**_ONE, "title": "walls"}}, ("walls",)),
    Feature(
        "cut what is too long",
        {
            "gemini": {**_ONE, "embedContentConfig": {"autoTruncate": True}},
            "ollama": {"input": "red wall", "truncate": True},
        },
        ("truncate",),
    ),
    Feature("`user`", {"openai_chat": {"input": "red wall", "user": "user-123"}}, ("user-123",)),
)
_OPENAI_VECTORS: Json = {"data": [{"embedding": _VECTOR, "index": 0}], "usage": {"prompt_tokens": 7, "total_tokens": 7}}
_PREDICTED = {"embeddings": {"values": _VECTOR, "statistics": {"token_count": 7}}}
EMBED_COLUMNS = (
    Column("OpenAI", "openai_chat", Facts(), _OPENAI_VECTORS),
    Column("Gemini", "gemini", Facts(), {"embeddings": [{"values": _VECTOR}], "usageMetadata": {"promptTokenCount": 7}}),
    Column("Vertex AI's `:predict`", "gemini", Facts(form="predict"), {"predictions": [_PREDICTED]}),
    Column("Ollama", "ollama", Facts(), {"embeddings": [_VECTOR], "prompt_eval_count": 7}),
    Column(
        "Cohere", "cohere", Facts(), {"embeddings": {"float": [_VECTOR]}, "meta": {"billed_units": {"input_tokens": 7}}}
    ),
    Column("Bedrock: Titan", "bedrock", Facts(form="titan"), {"embedding": _VECTOR, "inputTextTokenCount": 7}),
    Column(
        "Bedrock: Titan with pictures", "bedrock", Facts(form="titan_image"), {"embedding": _VECTOR, "inputTextTokenCount": 7}
    ),
    Column("Bedrock: Cohere", "bedrock", Facts(form="cohere"), {"embeddings": [_VECTOR]}),
)  # fmt: skip


def _drawn(**fields: Any) -> dict[str, Json]:
    return {"openai_chat": {"prompt": "red wall", **fields}}


PICTURE_FEATURES = (
    Feature("a prompt", _drawn(), ("red wall",)),
    Feature("`n`: two pictures", _drawn(n=2), ("red wall",)),
    Feature("`size`: a square", _drawn(size="1024x1024"), ("1:1",)),
    Feature("`size`: oblong", _drawn(size="1536x1024"), ("3:2",)),
    Feature("`quality`", _drawn(quality="high"), ('"high"',)),
    Feature("`background`", _drawn(background="transparent"), ("transparent",)),
    Feature("`output_format`", _drawn(output_format="webp"), ("webp",)),
    Feature("a URL in place of the picture", _drawn(response_format="url"), ('"url"',)),
    Feature("`user`", _drawn(user="user-123"), ("user-123",)),
    Feature("`stream`", _drawn(stream=True), ('"stream"',)),
)
_GENERATED = {"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": _PNG}}]}}]}
_COUNTED = {"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 9, "totalTokenCount": 16}}
PICTURE_COLUMNS = (
    Column("OpenAI", "openai_chat", Facts(), {"data": [{"b64_json": _PNG}], "usage": {"input_tokens": 7, "output_tokens": 9}}),
    Column("Gemini", "gemini", Facts(aspects=_ASPECTS), _GENERATED | _COUNTED),
    Column(
        "Imagen", "gemini", Facts(form="predict", aspects=_ASPECTS), {"predictions": [{"bytesBase64Encoded": _PNG}]}
    ),
)  # fmt: skip


class Table(NamedTuple):
    """What a family is compared by. `answers`: what of an answer is looked at, and its word in a client's body."""

    family: Any
    features: tuple[Feature, ...]
    columns: tuple[Column, ...]
    answers: dict[str, tuple[str, ...]]


TABLES = (
    Table(
        EMBEDDINGS, EMBED_FEATURES, EMBED_COLUMNS, {"vectors": ("0.5,0.25",), "vectors in base64": (_PACKED,), "usage": (":7",)}
    ),
    Table(PICTURES, PICTURE_FEATURES, PICTURE_COLUMNS, {"pictures": (_PNG,), "usage": (":7", ":9")}),
)


def _ask(client: ClientSide[Any, Any], name: str, body: Json) -> Ask:
    named = Named(model="model", form="batch" if "requests" in body else "") if name == "gemini" else Named()
    model = {} if name == "gemini" else {"model": "model"}
    return client.read_request(msgspec.json.encode(model | body), named)


def asked(table: Table, client: str, column: Column, feature: Feature) -> str:
    """One cell of the requests."""
    body = feature.bodies.get(client)
    if body is None:
        return UNSAID
    side, loss = table.family.clients[client], Loss(strict=False)
    ask = _ask(side, client, body)
    if client == column.dialect and not column.facts.form:
        passed = msgspec.json.decode(side.write_request(ask, "model", column.facts, loss).body)
        return PASSES if _holds(passed, body) else LOST
    try:
        sent = table.family.providers[column.dialect].write(side.read(ask), "model", column.facts, loss)
    except GatewayError:
        return REFUSED
    text = b"\n".join(one.body for one in sent).decode().lower()
    several = f" in {len(sent)} requests" if len(sent) > 1 else ""
    if all(word in text for word in feature.words):
        return (OTHERWISE if loss.names else PASSES) + several
    return f"dropped ({', '.join(f'`{name}`' for name in loss.names)})" if loss.names else LOST


def _holds(passed: Any, said: Any) -> bool:
    """All that was said passed; more may stand beside it, as a model's name in each request of a batch."""
    if isinstance(said, dict):
        return all(name in passed and _holds(passed[name], value) for name, value in said.items())
    if isinstance(said, list):
        return len(passed) == len(said) and all(map(_holds, passed, said))
    return bool(passed == said)


def answered(table: Table, client: str, column: Column, what: str) -> str:
    """One cell of the answers."""
    side = table.family.clients[client]
    based = {"encoding_format": "base64"} if what.endswith("base64") else {}
    if based and client != "openai_chat":
        return UNSAID
    ask = _ask(side, client, {**table.features[0].bodies[client], **based})
    raw = msgspec.json.encode(column.answer)
    if client == column.dialect and not column.facts.form:
        whole, body = side.read_reply(ask, raw)
        usage = whole.usage
    else:
        answer = table.family.providers[column.dialect].read_answer([raw])
        body, usage = side.write_answer(answer, side.read(ask), Frame(ask, "id", 1)), answer.usage
    if what == "usage" and usage.basis != "reported":
        return UNSAID
    found = all(word.encode() in body for word in table.answers[what])
    return PASSES if found else "not shown" if what == "usage" else LOST


def rows(table: Table, client: str) -> Iterator[tuple[str, list[str]]]:
    """Feature and cells, by provider."""
    for feature in table.features:
        yield feature.name, [asked(table, client, column, feature) for column in table.columns]
    for what in table.answers:
        yield f"answer: {what}", [answered(table, client, column, what) for column in table.columns]


def passing() -> Iterable[tuple[str, list[str]]]:
    """By kind of provider, the families that pass to it."""
    names = families()
    return (
        (kind, [PASSES if name in row.families else UNSAID for name in names])
        for kind, row in catalog().items()
        if row.families
    )


def families() -> list[str]:
    """Those that some provider has, as the catalogue names them."""
    return list(dict.fromkeys(name for row in catalog().values() for name in row.families))


def _lines(head: list[str], told: Iterable[tuple[str, list[str]]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in told)]) + "\n"


def tables() -> list[str]:
    """The parts of the page."""
    parts = []
    for table in TABLES:
        heads = ["", *(f"to {column.title}" for column in table.columns)]
        for client in table.family.clients:
            title = f"{table.family.noun.capitalize()}, asked for in the form of {TITLES[client]}"
            parts.append(f"## {title}\n\n{_lines(heads, rows(table, client))}")
    native = _lines(["kind", *(f"`{name}`" for name in families())], passing())
    parts.append(
        f"## What only passes\n\nNever translated: a provider has it or it has not ([passing](passing.md)).\n\n{native}"
    )
    return parts
