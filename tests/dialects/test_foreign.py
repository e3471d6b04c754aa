"""What rides in `vendor`: its own dialect's, or a loss."""

from __future__ import annotations

import pytest

from trunkline.canon.chat import NOTHING, Chat
from trunkline.canon.errors import GatewayError
from trunkline.canon.loss import Loss
from trunkline.dialects.foreign import own_fields, own_part

VENDOR = {"store": True, "prediction": {}, "later": 1}
CHAT = Chat("openai_chat", "m", (), vendor=VENDOR, hints=frozenset({"store"}))


def test_its_own_dialect_gets_everything_back() -> None:
    """Strict or not: nothing is lost."""
    loss = Loss(strict=True)
    assert own_fields(CHAT, "openai_chat", loss) is VENDOR
    assert own_part(VENDOR, CHAT, "openai_chat", loss, "messages[0]") is VENDOR
    assert list(loss.names) == []


def test_another_dialect_gets_nothing_and_every_field_is_named() -> None:
    """Hints are noted, the rest is dropped."""
    loss = Loss(strict=False)
    assert own_fields(CHAT, "anthropic", loss) is NOTHING
    assert list(loss.names) == ["store", "prediction", "later"]


def test_a_strict_model_refuses_fields_but_no_hints() -> None:
    """`store` decides nothing; `prediction` may."""
    with pytest.raises(GatewayError) as raised:
        own_fields(CHAT, "anthropic", Loss(strict=True))
    assert raised.value.param == "prediction"
    assert "(anthropic)" in raised.value.message


def test_what_happens_anyway_is_no_loss() -> None:
    """Every program that keeps its conversation itself says that nothing shall be stored: nobody stores it."""
    loss = Loss(strict=True)
    chat = Chat("openai_responses", "m", (), vendor={"store": False}, hints=frozenset({"store"}))
    assert own_fields(chat, "anthropic", loss) is NOTHING
    assert own_fields(chat, "openai_responses", loss) == {"store": False}
    assert not loss.names


def test_a_part_says_where_its_fields_stood() -> None:
    """They never decide what is asked, so that no model is strict about them."""
    loss = Loss(strict=True)
    assert own_part(VENDOR, CHAT, "gemini", loss, "messages[3].content[1]") is NOTHING
    assert list(loss.names) == [f"messages[3].content[1].{name}" for name in VENDOR]


def test_how_another_dialect_files_a_part_is_no_loss() -> None:
    """Codex sends ids and states with every item of a long history: nobody wants to be told of each."""
    loss = Loss(strict=True)
    filed = {"id": "fc_1", "status": "completed", "type": "custom_tool_call", "namespace": "n", "additional_tools": True}
    assert own_part(filed, CHAT, "gemini", loss, "messages[3].content[1]") is NOTHING
    assert not loss.names


def test_what_the_question_needs_is_refused() -> None:
    """A cached prompt that is left out makes another question of it: nobody wants that answer, strict or not."""
    chat = Chat("gemini", "m", (), vendor={"cachedContent": "x"}, needed=frozenset({"cachedContent"}))
    with pytest.raises(GatewayError) as raised:
        own_fields(chat, "anthropic", Loss(strict=False))
    assert raised.value.param == "cachedContent"
    assert own_fields(chat, "gemini", Loss(strict=True)) is chat.vendor
