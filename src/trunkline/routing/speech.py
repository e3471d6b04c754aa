"""In which dialect a target is spoken to, where its provider speaks several.

What a dialect can say belongs in `dialects`, which a model takes in `Facts`.
"""

from __future__ import annotations

from trunkline.canon.chat import Chat
from trunkline.providers.provider import Target

CHAT = "openai_chat"
RESPONSES = "openai_responses"


def choose(target: Target, client: str) -> str:
    """The client's own dialect where the model is spoken to in it, so that bytes can pass; else the provider's best."""
    only = target.facts.speaks
    able = [name for name in target.provider.speaks if not only or name in only] or list(target.provider.speaks)
    return client if client in able else able[0]


def may_turn(target: Target, spoken: str) -> bool:
    """Whether `turn` may choose another dialect, for a request that holds tools."""
    return spoken == CHAT and not target.facts.effort_with_tools and RESPONSES in target.provider.speaks


def turn(target: Target, spoken: str, chat: Chat) -> str:
    """Responses instead of chat completions for a model that thinks beside tools only there (GPT-5.4 and later). From 5.6 on
    it thinks unless it is told not to, and then refuses the tools of a request that says nothing of it.
    """
    off = chat.reasoning is not None and chat.reasoning.mode == "off" and target.facts.thinking_off
    return RESPONSES if may_turn(target, spoken) and chat.tools and not off else spoken
