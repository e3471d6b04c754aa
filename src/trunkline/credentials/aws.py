"""AWS's signature (version 4) over a request, by keys that are given or that the machine has.

The signing itself is botocore's, which is imported only where a provider signs. Where the keys come from is botocore's own
chain (environment, profile, container and instance metadata); when they are looked up again, and who waits for it, is in
`renewed`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import WireRequest
from trunkline.credentials.credential import Credential, Spec
from trunkline.credentials.renewed import Renewed, Token

SERVICE = "bedrock"
_UNTOLD_LIFE = 3600.0
"""Seconds after which keys that tell no end are looked up again: a file may have been replaced."""
_NOT_SIGNED = frozenset({"accept-encoding", "connection", "user-agent"})
"""Headers that a proxy on the way may change."""
_UNSIGNED = "UNSIGNED-PAYLOAD"
"""AWS's word for a body whose digest is not known when its head is sent."""


class Keys(Token, frozen=True):
    """What is signed with. `value` is the access key's id, which the signature names; `repr` shows nothing."""

    secret: str = ""
    session: str = ""
    """The token that goes with keys that are lent for a time."""


class AwsSpec(Spec, frozen=True):
    """Whose keys sign, for where."""

    region: str
    keys: Keys | None = None
    """As configured; None: what botocore finds."""
    profile: str = ""
    """Of the files in `~/.aws`; empty: the usual one."""
    service: str = SERVICE


def open_aws(spec: Spec) -> Credential:
    """The live credential. Call it inside a running loop: keys that are not given are looked up at once."""
    assert isinstance(spec, AwsSpec)  # noqa: S101 - the table's key
    return AwsCredential(spec)


def prepare_aws() -> None:
    """Load botocore, off the loop where it can be told beforehand."""
    _botocore()


class AwsCredential:
    """Signs every request of one provider."""

    def __init__(self, spec: AwsSpec, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """`clock`: what is signed as the time; AWS takes no signature that is five minutes off."""
        self._spec = spec
        self._clock = clock
        self._found = None if spec.keys is not None else Renewed(lambda: find(spec.profile))
        self._keys = spec.keys
        _botocore()  # at the start, so that no request waits for it

    async def lines(self, request: WireRequest) -> bytes:
        """The signature and what it takes to read it. Raises `GatewayError` where there are no keys."""
        if self._found is not None:
            found = await self._found.token()
            assert isinstance(found, Keys)  # noqa: S101 - what `find` gave
            self._keys = found
        assert self._keys is not None  # noqa: S101 - given, or found just now
        return sign(request, self._keys, self._spec.region, self._spec.service, self._clock())

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """The session's token is sent along, the secret never."""
        shown = () if self._keys is None else (self._keys.secret, self._keys.session)
        return tuple(one.encode("ascii") for one in shown if one)

    def close(self) -> None:
        """Give up what is being looked up."""
        if self._found is not None:
            self._found.close()


def sign(request: WireRequest, keys: Keys, region: str, service: str, now: datetime) -> bytes:
    """The header lines that sign `request` at a time: its method, path, query, body, and its headers but those that a proxy
    may change. The path is signed as it is sent with each `%` encoded once more, which AWS wants of all services but S3.
    """
    signer_of, request_of = _botocore()
    at = request.origin
    host = f"[{at.host}]" if ":" in at.host else at.host
    signed = request_of(request.method, f"{at.scheme}://{host}:{at.port}{request.path}")
    ours = {"X-Amz-Date": now.strftime("%Y%m%dT%H%M%SZ")}
    if keys.session:
        ours["X-Amz-Security-Token"] = keys.session
    if isinstance(request.body, bytes):
        signed.data = request.body
    else:
        ours["X-Amz-Content-SHA256"] = _UNSIGNED
    for name, value in (*_headers(request), *ours.items()):
        signed.headers[name] = value  # once more where it stands twice: these are an e-mail's headers, which add
    signed.context["timestamp"] = ours["X-Amz-Date"]
    signer = signer_of(_Given(keys.value, keys.secret, keys.session), service, region)
    signature = signer.signature(signer.string_to_sign(signed, signer.canonical_request(signed)), signed)
    names = signer.signed_headers(signer.headers_to_sign(signed))
    told = f"AWS4-HMAC-SHA256 Credential={signer.scope(signed)}, SignedHeaders={names}, Signature={signature}"
    return "".join(f"{name}: {value}\r\n" for name, value in {**ours, "Authorization": told}.items()).encode("ascii")


def find(profile: str) -> Keys:
    """The keys that this machine has, now. Blocks. Raises `GatewayError` that says what to mend."""
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - as in `_botocore`
    from botocore.session import Session  # noqa: PLC0415

    try:
        found = Session(profile=profile or None).get_credentials()
        frozen = None if found is None else found.get_frozen_credentials()
    except BotoCoreError as error:
        raise _none(f"botocore: {type(error).__name__}") from None
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        raise _none("none are named")
    ends = getattr(found, "_expiry_time", None)  # botocore tells it in no other way
    life = _UNTOLD_LIFE if ends is None else (ends - datetime.now(UTC)).total_seconds()
    return Keys(frozen.access_key, life, secret=frozen.secret_key, session=frozen.token or "")


class _Given(NamedTuple):
    """Keys as botocore's signer reads them."""

    access_key: str
    secret_key: str
    token: str


def _headers(request: WireRequest) -> list[tuple[str, str]]:
    """The headers to sign, the content type, which the edge sends, among them."""
    lines = (line.partition(":") for line in request.head.decode("latin-1").splitlines())
    found = [(name, value.strip()) for name, _, value in lines if name.lower() not in _NOT_SIGNED]
    if request.content_type and request.method == "POST":
        found.append(("Content-Type", request.content_type.decode("latin-1")))
    return found


@functools.cache
def _botocore() -> tuple[Any, Any]:
    """Its signer and its request. A tenth of a second, which only those who sign should spend."""
    from botocore.auth import SigV4Auth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415

    return SigV4Auth, AWSRequest


def _none(why: str) -> GatewayError:
    message = (
        f"This machine has no AWS credentials ({why}). Operators: give the provider an api_key or aws: {{access_key_id,"
        " secret_access_key}, or set what AWS's own tools read (environment, ~/.aws, the instance's role)."
    )
    return GatewayError(Kind.UPSTREAM_REFUSED, message, status=401, code="no_credentials")
