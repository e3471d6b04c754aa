"""All contracts, in the order in which they are shown, and asking them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection

from trunkline.canon.errors import GatewayError
from trunkline.doctor import anthropic, gemini, ollama, openai_chat, openai_responses
from trunkline.doctor.call import Call
from trunkline.doctor.finding import Broken, Finding

Contract = Callable[[Call], Awaitable[list[str]]]
"""Asks, and returns what is not as it should be though the client can work; raises `Broken` where it cannot."""

#: client, as `trunkline connect` calls it -> what it relies on
CONTRACTS: dict[str, dict[str, Contract]] = {
    "claude-code": {
        "stream with thinking and betas": anthropic.streamed,
        "tools": anthropic.tools,
        "count_tokens": anthropic.counted,
        "model discovery": anthropic.listed,
    },
    "codex": {
        "stream": openai_responses.streamed,
        "functions and namespaces": openai_responses.functions,
        "custom tools": openai_responses.custom,
        "additional tools": openai_responses.additional,
    },
    "gemini-cli": {
        "structured answer": gemini.whole,
        "tools in a stream": gemini.tools,
        "countTokens": gemini.counted,
        "list": gemini.listed,
    },
    "openai-sdk": {
        "whole": openai_chat.whole,
        "stream": openai_chat.streamed,
        "tools": openai_chat.tools,
        "structured answer": openai_chat.structured,
        "pictures": openai_chat.pictures,
        "errors": openai_chat.errors,
        "list": openai_chat.listed,
    },
    "anthropic-sdk": {"whole": anthropic.whole, "errors": anthropic.errors},
    "ollama": {
        "list and show": ollama.listed,
        "stream": ollama.streamed,
        "generate": ollama.generated,
        "tools": ollama.tools,
    },
}


async def examine(call: Call, clients: Collection[str]) -> AsyncIterator[Finding]:
    """Ask the contracts of `clients`, one after the other; each finding as soon as it is there."""
    for client in clients:
        for name, contract in CONTRACTS[client].items():
            call.dropped.clear()
            try:
                remarks = await contract(call)
            except Broken as broken:
                yield Finding(client, name, "broken", str(broken))
                continue
            except GatewayError as error:
                yield Finding(client, name, "broken", error.message)
                continue
            except (LookupError, TypeError, AttributeError) as error:
                yield Finding(client, name, "broken", f"the answer has another shape than the API's ({error!r})")
                continue
            if call.dropped:
                remarks = [*remarks, f"the model cannot be told {', '.join(call.dropped)}"]
            yield Finding(client, name, "degraded" if remarks else "works", "; ".join(remarks))
