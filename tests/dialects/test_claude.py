"""What Claude takes of a request's parameters."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.canon.chat import Chat, OutputFormat, Sampling
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects import claude


def asked(**fields: Any) -> Chat:
    """A request without a message."""
    return Chat("d", "m", (), **fields)


def test_only_three_parameters_shape_an_answer() -> None:
    """What else was asked for is named, unless it asks for nothing."""
    loss = Loss(strict=False)
    told = claude.sampling(asked(sampling=Sampling(temperature=0.5, seed=1, min_p=0, logprobs=False)), loss, "X")
    assert (told, list(loss.names)) == ({"temperature": 0.5}, ["seed"])


@pytest.mark.parametrize(
    ("wanted", "none", "kept"),
    [
        ({"temperature": 1, "top_p": 0.95}, False, {"temperature": 1, "top_p": 0.95}),
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 5}, False, {}),
        ({"temperature": 1}, True, {}),
    ],
)
def test_thinking_leaves_little_room(wanted: dict[str, Any], none: bool, kept: dict[str, Any]) -> None:
    """A request with more is refused whole."""
    loss = Loss(strict=False)
    assert claude.beside_thinking(wanted, loss, none=none) == kept
    assert sorted(loss.names) == sorted(wanted.keys() - kept.keys())


@pytest.mark.parametrize(("given", "sent"), [(0.3, 0.3), (1, 1), (1.5, 1.0)])
def test_no_temperature_is_above_one(given: float, sent: float) -> None:
    """Others' scales go to two."""
    loss = Loss(strict=False)
    assert claude.cooled({"temperature": given}, loss) == {"temperature": sent}
    assert bool(loss.names) is (given > 1)


def test_an_answer_does_not_stop_at_white_space() -> None:
    """It is an error there, as the parameter itself is for some models."""
    loss = Loss(strict=False)
    assert claude.stops(asked(stop=("a",)), NO_FACTS, loss, "why") == ["a"]
    assert not loss.names
    assert claude.stops(asked(stop=("a", "\n")), NO_FACTS, loss, "why") == ["a"]
    assert list(loss.names) == ["stop"]
    assert claude.stops(asked(stop=("a",)), Facts(refuses=frozenset({"stop"})), loss, "why") == []


def test_an_output_is_asked_for_in_words() -> None:
    """A schema that is only asked for is no promise; plain JSON needs none."""
    loss = Loss(strict=False)
    assert "JSON object only" in claude.asked_in_words(OutputFormat("json"), loss)
    assert list(loss.names) == ["response_format"]
    with pytest.raises(GatewayError):
        claude.asked_in_words(OutputFormat("schema"), Loss(strict=True))
    assert claude.asked_in_words(OutputFormat("schema", schema={"a": 1}), loss).endswith('Schema: {"a":1}')
