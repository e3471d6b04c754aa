"""Losses: named, and refused where a model is strict."""

from __future__ import annotations

import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.loss import Loss


def test_losses_are_named_once_and_in_order() -> None:
    """The caller reads them in a header."""
    loss = Loss(strict=False)
    loss.drop("seed", "no such field")
    loss.note("user")
    loss.drop("n")
    loss.drop("seed")
    loss.note("n")
    assert list(loss.names) == ["seed", "user", "n"]


@pytest.mark.parametrize(("why", "end"), [("", "to this model."), ("it has none", "to this model: it has none.")])
def test_a_strict_model_refuses_what_shapes_the_answer(why: str, end: str) -> None:
    """Whoever asked for strictness wants an error, not another answer."""
    with pytest.raises(GatewayError) as raised:
        Loss(strict=True).drop("seed", why)
    error = raised.value
    assert (error.kind, error.code, error.param) == (Kind.BAD_REQUEST, "unsupported_parameter", "seed")
    assert error.message == f"The field 'seed' cannot be sent {end}"


def test_a_strict_model_takes_what_the_answer_does_not_depend_on() -> None:
    """A hint is no reason to fail."""
    loss = Loss(strict=True)
    loss.note("user")
    assert list(loss.names) == ["user"]


@pytest.mark.parametrize("strict", [True, False])
def test_content_is_refused_either_way(strict: bool) -> None:
    """Without its picture the model would answer another question."""
    loss = Loss(strict=strict)
    error = loss.refuse("messages[2].content[1]", "Ollama takes no audio")
    assert isinstance(error, GatewayError)
    assert (error.status, error.param) == (400, "messages[2].content[1]")
    assert error.message.endswith(": Ollama takes no audio.")
    assert list(loss.names) == []
