"""In which dialect a provider that speaks several is spoken to."""

from __future__ import annotations

import pytest

from trunkline.canon.chat import Chat, Message, Reasoning, Text, Tool
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.wire import Origin
from trunkline.dialects.tasks import EMBEDDINGS
from trunkline.providers.models import facts
from trunkline.providers.provider import Provider, Target
from trunkline.routing.speech import choose, choose_for, may_turn, turn

CHAT, RESPONSES = "openai_chat", "openai_responses"
BOTH = (CHAT, RESPONSES)


def target(*speaks: str, known: Facts = NO_FACTS) -> Target:
    """A model of a provider that speaks these."""
    return Target(Provider("p", "openai", Origin("http", "p", 80), dict.fromkeys(speaks, "/v1")), "m", facts=known)


@pytest.mark.parametrize(
    ("speaks", "only", "client", "spoken"),
    [
        (BOTH, (), CHAT, CHAT),
        (BOTH, (), RESPONSES, RESPONSES),
        (BOTH, (), "anthropic", CHAT),
        ((RESPONSES, CHAT), (), "anthropic", RESPONSES),
        (BOTH, (RESPONSES,), CHAT, RESPONSES),
        (BOTH, (RESPONSES,), "gemini", RESPONSES),
        ((CHAT,), (RESPONSES,), CHAT, CHAT),
        ((CHAT,), (), RESPONSES, CHAT),
    ],
)
def test_a_client_s_own_dialect_where_the_model_has_it(
    speaks: tuple[str, ...], only: tuple[str, ...], client: str, spoken: str
) -> None:
    """Bytes pass where they can; a model that is only had elsewhere is asked there, whatever the client speaks."""
    assert choose(target(*speaks, known=Facts(speaks=only)), client) == spoken


@pytest.mark.parametrize(
    ("speaks", "only", "client", "spoken"),
    [
        ((CHAT, "gemini"), (), "gemini", "gemini"),
        ((RESPONSES, "gemini"), (), CHAT, "gemini"),
        ((CHAT, "gemini"), ("gemini",), CHAT, "gemini"),
        ((CHAT,), (RESPONSES,), CHAT, CHAT),
    ],
)
def test_a_family_in_a_dialect_that_has_it(speaks: tuple[str, ...], only: tuple[str, ...], client: str, spoken: str) -> None:
    """Responses knows no embeddings: a provider that speaks it too is asked in what does."""
    assert choose_for(EMBEDDINGS, target(*speaks, known=Facts(speaks=only)), client) == spoken


def test_a_family_that_a_provider_has_not() -> None:
    """The client is told who may have it."""
    with pytest.raises(GatewayError) as caught:
        choose_for(EMBEDDINGS, target(RESPONSES), RESPONSES)
    assert (caught.value.status, caught.value.param) == (400, "model")
    assert caught.value.message.startswith("The provider 'p' makes no embeddings. Providers of these kinds may: ")


def chat(reasoning: Reasoning | None, *, tools: bool = True) -> Chat:
    """A request with a tool, or without."""
    return Chat(CHAT, "m", (Message("user", (Text("Hi"),)),), tools=(Tool("f"),) if tools else (), reasoning=reasoning)


NOT_BESIDE = Facts(thinks="effort", effort_with_tools=False)
ALWAYS = Facts(thinks="effort", effort_with_tools=False, thinking_off=False)


@pytest.mark.parametrize(
    ("known", "asked", "spoken"),
    [
        (NOT_BESIDE, chat(Reasoning(effort="low")), RESPONSES),
        (NOT_BESIDE, chat(None), RESPONSES),
        (NOT_BESIDE, chat(Reasoning("off")), CHAT),
        (NOT_BESIDE, chat(Reasoning(effort="low"), tools=False), CHAT),
        (ALWAYS, chat(Reasoning("off")), RESPONSES),
        (ALWAYS, chat(None, tools=False), CHAT),
        (Facts(thinks="effort"), chat(Reasoning(effort="low")), CHAT),
    ],
)
def test_a_model_that_thinks_beside_tools_in_one_api_only(known: Facts, asked: Chat, spoken: str) -> None:
    """In the other a request with tools is an error, from GPT-5.6 on even where it says nothing of thinking."""
    assert turn(target(*BOTH, known=known), CHAT, asked) == spoken


def test_nobody_is_turned_to_what_is_not_there() -> None:
    """A server that has one API only is asked in it, and its own error is the answer."""
    assert turn(target(CHAT, known=NOT_BESIDE), CHAT, chat(None)) == CHAT
    assert not may_turn(target(CHAT, known=NOT_BESIDE), CHAT)
    assert may_turn(target(*BOTH, known=NOT_BESIDE), CHAT)
    assert not may_turn(target(*BOTH, known=NOT_BESIDE), RESPONSES)


@pytest.mark.parametrize(
    ("model", "spoken"),
    [
        ("gpt-5-pro", RESPONSES),
        ("gpt-5.5-pro-2026-04-23", RESPONSES),
        ("o3-pro", RESPONSES),
        ("o1-pro-2025-03-19", RESPONSES),
        ("gpt-5-codex", RESPONSES),
        ("gpt-5.3-codex", RESPONSES),
        ("codex-mini-latest", RESPONSES),
        ("o4-mini-deep-research", RESPONSES),
        ("computer-use-preview", RESPONSES),
        ("gpt-6-cyber", RESPONSES),
        ("gpt-5", CHAT),
        ("gpt-5.4", CHAT),
        ("gpt-6-sol", CHAT),
        ("gpt-4o", CHAT),
        ("o3", CHAT),
        ("my-own-model", CHAT),
    ],
)
@pytest.mark.parametrize("kind", ["openai", "azure"])
def test_which_models_are_only_had_in_one(kind: str, model: str, spoken: str) -> None:
    """A chat with a model that OpenAI only has elsewhere must not be a 404."""
    assert choose(target(*BOTH, known=facts(kind, model, ())), CHAT) == spoken


@pytest.mark.parametrize(
    "model", ["gpt-5.4", "gpt-5.5", "gpt-5.6-luna", "gpt-6-sol", "gpt-6-astra", "gpt-6.1-sol", "gpt-6.2-astra"]
)
def test_which_models_do_not_think_beside_tools_in_a_chat(model: str) -> None:
    """Every one since GPT-5.4."""
    assert turn(target(*BOTH, known=facts("openai", model, ())), CHAT, chat(None)) == RESPONSES
