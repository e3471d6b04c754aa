"""What every dialect's writer of embeddings does with what it cannot say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from trunkline.canon.chat import Media
from trunkline.canon.embeddings import Embed, Item, Purpose
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss

#: Canon's fields that not every API has: how the loss of one is called, and whether it was asked for.
_FIELDS: Mapping[str, tuple[str, Callable[[Embed], bool]]] = MappingProxyType(
    {
        "purpose": ("input_type", lambda question: question.purpose != ""),
        "truncate": ("truncate", lambda question: question.truncate is not None),
        "dimensions": ("dimensions", lambda question: question.dimensions is not None),
        "title": ("title", lambda question: any(item.title for item in question.items)),
    }
)

#: What Cohere's newer models cannot do without.
_INPUT_TYPES: dict[Purpose, str] = {
    "": "search_document", "document": "search_document", "query": "search_query", "classification": "classification",
    "clustering": "clustering",
}  # fmt: skip
#: The nearest to what it has no word for.
_NEAREST: dict[Purpose, str] = {
    "question": "search_query", "fact": "search_query", "code": "search_query", "similarity": "clustering",
}  # fmt: skip


def cohere_settings(question: Embed, facts: Facts, loss: Loss) -> dict[str, Any]:
    """All but the inputs, for Cohere's models wherever they are hosted."""
    dimensions = lose(question, facts, loss, "title")
    word = _INPUT_TYPES.get(question.purpose)
    if word is None:
        word = _NEAREST[question.purpose]
        loss.note("input_type")
    told: dict[str, Any] = {"input_type": word, "embedding_types": ["float"]}
    if question.truncate is not None:
        told["truncate"] = "END" if question.truncate else "NONE"
    return told if dimensions is None else told | {"output_dimension": dimensions}


def lose(question: Embed, facts: Facts, loss: Loss, *unsaid: str) -> int | None:
    """Tell what cannot be said: what only the client's dialect knows, and canon's fields `unsaid`.

    The dimensions that can be asked for.
    """
    for name in question.hints:
        loss.note(name)
    for name in question.extras:
        loss.drop(name, "it has no counterpart in the provider's API")
    refused = {"dimensions"} & facts.refuses
    for field in (*unsaid, *refused):
        name, asked = _FIELDS[field]
        if asked(question):
            loss.drop(name, "this model does not take it" if field in refused else "the provider's API has no such field")
    return None if refused else question.dimensions


def texts(item: Item, place: str, loss: Loss) -> str:
    """The item's text. Raises `GatewayError` where it holds anything else; `place` such as `input[2]`."""
    if any(isinstance(part, Media) for part in item.parts):
        raise loss.refuse(place, "this model embeds text only")
    return "\n".join(str(part) for part in parts(item, place, loss))


def parts(item: Item, place: str, loss: Loss) -> tuple[str | Media, ...]:
    """The item's texts and pictures. Raises `GatewayError` for tokens: they are the numbers of one model's tokenizer."""
    if item.tokens:
        raise loss.refuse(place, "token arrays mean something to the model of their tokenizer only; send the text")
    return item.parts


def batches(question: Embed, most: int) -> Iterator[tuple[int, tuple[Item, ...]]]:
    """The items in runs of at most so many, each with the number of its first."""
    for start in range(0, len(question.items), most):
        yield start, question.items[start : start + most]
