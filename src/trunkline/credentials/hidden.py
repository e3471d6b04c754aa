"""In place of credentials that are renewed or signed with: what they would add to a request, nothing of it made or fetched."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.canon.wire import WireRequest
from trunkline.credentials.aws import AwsSpec
from trunkline.credentials.credential import Spec
from trunkline.credentials.google import GoogleSpec

_LINES: dict[type[Spec], bytes] = {
    AwsSpec: b"X-Amz-Date: ***\r\nAuthorization: AWS4-HMAC-SHA256 ***\r\n",  # lent keys add X-Amz-Security-Token
    GoogleSpec: b"Authorization: Bearer ***\r\n",
}


class Hidden:
    """A credential for looking at."""

    secrets: tuple[bytes, ...] = ()

    def __init__(self, spec: Spec) -> None:
        self._lines = _LINES[type(spec)]

    async def lines(self, request: WireRequest) -> bytes:  # noqa: ARG002 - as for any credential
        """The header lines, their values as `***`."""
        return self._lines

    def close(self) -> None:
        """Nothing to give up."""


def hide_credentials(specs: Mapping[str, Spec | None]) -> dict[str, Hidden]:
    """In place of `open_credentials`."""
    return {name: Hidden(spec) for name, spec in specs.items() if spec is not None}
