"""Which of a client's request headers go on to a provider, and which of their values.

Only headers that a provider's row names are looked at; what they mean is the provider's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from trunkline.providers.provider import Provider

_BETA = b"anthropic-beta"
"""A list of opt-ins; one that a server does not know is an error there, so each is let through by name."""


def unused(headers: Mapping[bytes, bytes]) -> tuple[str, ...]:
    """What a client opted into that a provider of another dialect cannot be told, as a list of losses names it."""
    return ("anthropic-beta",) if headers.get(_BETA) else ()


def forwarded(provider: Provider, headers: Mapping[bytes, bytes]) -> tuple[bytes, tuple[str, ...]]:
    """The header lines to send on, and the values that were held back, as `header: value`."""
    lines, held = b"", []
    for name, default in provider.forward:
        value = headers.get(name, default)
        if name == _BETA:
            betas = [beta for beta in value.decode("latin-1").replace(" ", "").split(",") if beta]
            passing = [beta for beta in betas if any(fnmatchcase(beta, glob) for glob in provider.betas)]
            held += [f"anthropic-beta: {beta}" for beta in betas if beta not in passing]
            value = ",".join(passing).encode("latin-1")
        if value:
            lines += name + b": " + value + b"\r\n"
    return lines, tuple(held)
