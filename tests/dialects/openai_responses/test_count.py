"""How many tokens a request has."""

from __future__ import annotations

import json

from dialects.openai_responses.asking import LOOK, chat
from trunkline.canon.facts import NO_FACTS
from trunkline.dialects.counts import read_count
from trunkline.dialects.openai_responses.count import write_count, write_count_answer


def test_only_what_is_in_the_prompt_is_counted() -> None:
    """The provider refuses fields that have no part in it."""
    asked = chat({"role": "user", "content": "hi"}, tools=[LOOK], max_output_tokens=5, store=True, temperature=0.5, stream=True)
    sent = write_count(asked, "m", NO_FACTS)
    assert sent is not None
    assert sent.path == "/responses/input_tokens"
    assert json.loads(sent.body).keys() == {"model", "input", "tools"}


def test_a_count_is_read_and_told() -> None:
    """In the same form."""
    assert read_count(write_count_answer(7)) == 7
