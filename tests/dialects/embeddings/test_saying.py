"""What cannot be said, and how it is told."""

from __future__ import annotations

import pytest

from trunkline.canon.chat import Media
from trunkline.canon.embeddings import Embed, Item
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.embeddings.saying import batches, cohere_settings, lose, parts, texts

ASKED = Embed("m", (Item(("a",), title="t"),), 8, "query", True, extras=("x",), hints=("user",))


@pytest.mark.parametrize(
    ("facts", "unsaid", "dimensions", "names"),
    [
        (NO_FACTS, (), 8, ["user", "x"]),
        (NO_FACTS, ("purpose", "truncate", "title"), 8, ["user", "x", "input_type", "truncate", "title"]),
        (Facts(refuses=frozenset({"dimensions"})), (), None, ["user", "x", "dimensions"]),
    ],
)
def test_every_loss_has_its_name(facts: Facts, unsaid: tuple[str, ...], dimensions: int | None, names: list[str]) -> None:
    """The header names what the vectors were made without."""
    loss = Loss(strict=False)
    assert lose(ASKED, facts, loss, *unsaid) == dimensions
    assert list(loss.names) == names


def test_what_was_not_asked_is_not_lost() -> None:
    """No header without a loss."""
    loss = Loss(strict=True)
    assert (
        lose(Embed("m", (Item(("a",)),)), Facts(refuses=frozenset({"dimensions"})), loss, "purpose", "truncate", "title")
        is None
    )
    assert not loss.names


@pytest.mark.parametrize("item", [Item(tokens=(1, 2)), Item((Media("image", "image/png", "aaaa"),))])
def test_what_is_no_text_is_refused(item: Item) -> None:
    """Other content would be another question."""
    with pytest.raises(GatewayError) as raised:
        texts(item, "input[0]", Loss(strict=False))
    assert (raised.value.status, raised.value.param) == (400, "input[0]")


def test_texts_of_one_item_stand_in_lines() -> None:
    """They make one vector."""
    assert texts(Item(("a", "b")), "input[0]", Loss(strict=False)) == "a\nb"
    assert parts(Item(("a", "b")), "input[0]", Loss(strict=False)) == ("a", "b")


def test_runs() -> None:
    """Each run knows where it begins, for messages about its inputs."""
    asked = Embed("m", tuple(Item((str(at),)) for at in range(5)))
    assert [(start, len(run)) for start, run in batches(asked, 2)] == [(0, 2), (2, 2), (4, 1)]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (Embed("m", ()), {"input_type": "search_document", "embedding_types": ["float"]}),
        (Embed("m", (), 8, "query", False),
         {"input_type": "search_query", "embedding_types": ["float"], "truncate": "NONE", "output_dimension": 8}),
        (Embed("m", (), None, "similarity", True),
         {"input_type": "clustering", "embedding_types": ["float"], "truncate": "END"}),
    ],
)  # fmt: skip
def test_coheres_settings(asked: Embed, told: dict[str, object]) -> None:
    """Its newer models refuse a request without an input type."""
    assert cohere_settings(asked, NO_FACTS, Loss(strict=True)) == told


def test_a_purpose_that_cohere_does_not_know_is_named() -> None:
    """The nearest is not the same."""
    loss = Loss(strict=True)
    cohere_settings(Embed("m", (), None, "fact"), NO_FACTS, loss)
    assert list(loss.names) == ["input_type"]
