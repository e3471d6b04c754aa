"""A request for a provider as it goes out: the provider's own head before it, its credential behind.

What it says belongs in the dialects, its place there in `providers.hosting`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from trunkline.canon.wire import Deadlines, WireRequest
from trunkline.credentials.credential import Credential
from trunkline.dialects.dialect import Outgoing
from trunkline.providers.provider import Provider


async def wire(
    provider: Provider, credentials: Mapping[str, Credential], placed: Outgoing, lines: bytes, bounds: tuple[Deadlines, int]
) -> WireRequest:
    """The request, ready to send. `placed`: its path is complete; `lines`: header lines of the client's own; `bounds`: its
    deadlines, and bytes the answer may have. Raises `GatewayError` where no credential can be had.
    """
    head = provider.head + placed.head + lines
    request = WireRequest(provider.origin, placed.path, head, placed.body, *bounds, method=placed.method)
    if provider.credential is None:
        return request
    return msgspec.structs.replace(request, head=head + await credentials[provider.name].lines(request))
