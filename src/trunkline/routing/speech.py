"""In which dialect a target is spoken to, where its provider speaks several.

What a dialect can say belongs in `dialects`, which a model takes in `Facts`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trunkline.canon.chat import Chat
from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.task import Family
from trunkline.providers.catalog import catalog
from trunkline.providers.provider import Target

CHAT = "openai_chat"
RESPONSES = "openai_responses"


def choose(target: Target, client: str) -> str:
    """The client's own dialect where the model is spoken to in it, so that bytes can pass; else the provider's best."""
    spoken, alone = target.provider.speaks, target.facts.speaks
    if client in spoken and (not alone or client in alone):
        return client
    able = _narrowed(target, spoken)
    return client if client in able else able[0]


def choose_for(family: Family[Any, Any], target: Target, client: str) -> str:
    """As `choose`, for a family beside chat. Raises `GatewayError` (400) where the provider has no such family."""
    provider = target.provider
    able = _narrowed(target, () if provider.builtin else filter(family.spoken, provider.speaks))
    if client in able:
        return client
    asked = next((name for name in able if name in family.providers), None)
    if asked is None:
        kinds = [kind for kind, row in catalog().items() if any(map(family.spoken, row.dialects)) and not row.builtin]
        raise GatewayError(
            Kind.BAD_REQUEST,
            f"The provider {provider.name!r} makes no {family.noun}. Providers of these kinds may: {', '.join(kinds)}.",
            code="unsupported_endpoint",
            param="model",
        )
    return asked


def _narrowed(target: Target, spoken: Iterable[str]) -> list[str]:
    """Of these dialects those in which alone the model is spoken to; all of them where it says nothing of any."""
    able = list(spoken)
    return [name for name in able if name in target.facts.speaks] or able


def may_turn(target: Target, spoken: str) -> bool:
    """Whether `turn` may choose another dialect, for a request that holds tools."""
    return spoken == CHAT and not target.facts.effort_with_tools and RESPONSES in target.provider.speaks


def turn(target: Target, spoken: str, chat: Chat) -> str:
    """Responses instead of chat completions for a model that thinks beside tools only there (GPT-5.4 and later). From 5.6 on
    it thinks unless it is told not to, and then refuses the tools of a request that says nothing of it.
    """
    off = chat.reasoning is not None and chat.reasoning.mode == "off" and target.facts.thinking_off
    return RESPONSES if may_turn(target, spoken) and chat.tools and not off else spoken
