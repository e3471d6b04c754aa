"""What a credential is, as written in a provider's compiled form, and as the pipeline uses it."""

from __future__ import annotations

from typing import Protocol

import msgspec

from trunkline.canon.wire import WireRequest


class Spec(msgspec.Struct, frozen=True):
    """What a credential is made from. Each kind has its own; `repr` of none shows a secret."""


class Credential(Protocol):
    """One provider's credential, alive."""

    async def lines(self, request: WireRequest) -> bytes:
        """Header lines for `request`, each ending CRLF. Waits only where there is no valid token at all; renewing one that
        is about to expire goes on beside. Raises `GatewayError` where none can be had.
        """
        ...

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """What of the lines just handed out must never appear in an answer, an error or a log."""
        ...

    def close(self) -> None:
        """Give up whatever is being renewed."""
        ...
