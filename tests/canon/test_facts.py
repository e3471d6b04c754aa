"""Facts of models: what stands where nothing is known."""

from __future__ import annotations

import pytest

from trunkline.canon.facts import NO_FACTS, Facts


def test_where_nothing_is_known_a_model_is_like_any_other() -> None:
    """An unknown model must not lose its tools, its pictures or its parameters to our ignorance."""
    assert Facts() == NO_FACTS
    assert (NO_FACTS.refuses, NO_FACTS.exclusive, NO_FACTS.efforts) == (frozenset(), (), ())
    assert (NO_FACTS.tools, NO_FACTS.schema, NO_FACTS.thinking_off, NO_FACTS.media_urls) == (True, True, True, True)
    assert (NO_FACTS.media, NO_FACTS.context, NO_FACTS.max_output) == (None, None, None)
    assert (NO_FACTS.forced_tools, NO_FACTS.max_tokens_field, NO_FACTS.call_ids) == ("always", "max_tokens", "any")


def test_nothing_is_claimed_that_a_model_might_not_have() -> None:
    """What would be an error at a model that lacks it is not sent on a guess."""
    assert (NO_FACTS.thinks, NO_FACTS.between_tools, NO_FACTS.system_midway, NO_FACTS.signatures) == ("", False, False, False)


def test_facts_are_frozen() -> None:
    """One row serves every request at once."""
    with pytest.raises(AttributeError):
        NO_FACTS.tools = False  # type: ignore[misc]
    assert {NO_FACTS: 1}[Facts()] == 1


def test_facts_are_named() -> None:
    """Two dozen values in a row could not be read."""
    with pytest.raises(TypeError):
        Facts(5)  # type: ignore[misc]
