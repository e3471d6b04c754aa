"""Names that are folded, and texts that custom tools are given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.openai_responses.words import custom_arguments, custom_input, folded


@given(st.text())
def test_a_custom_tools_text_survives(text: str) -> None:
    """A program that a model wrote must not change by a letter."""
    assert custom_input(custom_arguments(text)) == text


@pytest.mark.parametrize("arguments", ["", "ls", "5", "[]", "{}", '{"input":5}', '{"cmd":"ls"}', "[" * 5000])
def test_what_is_no_text_of_ours_goes_as_it_is(arguments: str) -> None:
    """A model of another family may not keep to the schema: the client then sees what it wrote."""
    assert custom_input(arguments) == arguments


def test_a_namespace_stands_before_the_name() -> None:
    """Other APIs take one name only; one without a namespace stays as it is."""
    assert folded("agents", "spawn") == "agents__spawn"
    assert folded("", "spawn") == "spawn"
