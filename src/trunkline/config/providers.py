"""One provider as written into one provider as called: its catalogue row, credential, headers.

The rows are in `providers`; what clouds add is in `clouds`, how a provider is reached in `reach`, the rest in `compile`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

import msgspec
from pydantic import SecretStr

from trunkline import __version__
from trunkline.canon.wire import Deadlines, Origin
from trunkline.config import values
from trunkline.config.clouds import CLOUDS, Place
from trunkline.config.holders import limited
from trunkline.config.mistakes import SHORTEST_SECRET, KeyPath
from trunkline.config.reach import Context, origin
from trunkline.config.schema_models import Timeouts
from trunkline.config.schema_providers import ProviderSpec
from trunkline.config.validate import suggest
from trunkline.providers.catalog import Auth, Row, catalog, ollama_base_url
from trunkline.providers.provider import Provider

ECHO = "echo"
_OURS = frozenset(
    {
        "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host", "keep-alive",
        "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""Headers that frame a message or belong to one hop: the edge sets them, and two opinions are request smuggling."""
_CREDENTIALS: Mapping[Auth, tuple[str, str]] = {
    "bearer": ("Authorization", "Bearer "),
    "api-key": ("api-key", ""),
    "x-api-key": ("x-api-key", ""),
    "x-goog-api-key": ("x-goog-api-key", ""),
}
"""How a credential is sent: the header, and what stands before the key in it."""
_DIALECT_SENDS = {"anthropic": "anthropic-version"}
"""Headers that a dialect itself writes."""
TELLS = re.compile(r"auth|key|token|secret|cookie|credential|password")
"""Names of headers whose values are secrets."""


def compile_provider(name: str, spec: ProviderSpec, context: Context) -> Provider | None:
    """The provider, or None after its mistakes were reported."""
    path: KeyPath = ("providers", name)
    kind = spec.kind or name
    row = _row(kind, spec, path, context)
    if row is None:
        return None
    spoken = _spoken(kind, row, spec, path, context)
    if row.builtin:
        return _builtin(name, kind, spoken[0], spec, path, context)
    _check_settings(kind, row, spec, path, context)
    spec, keys = _several(spec, path, context)
    place = CLOUDS[row.cloud](row, spec, spoken, path, context) if row.cloud else _place(kind, row, spec, spoken, path, context)
    if place is None:
        return None
    key = _credential(spec, row, path, context) if place.credential is None else None
    carrier, prefix = _CREDENTIALS[_auth(spec, row)]
    credential = None if key is None else (carrier, prefix + key.get_secret_value())
    extra = {header: value.get_secret_value() for header, value in spec.headers.items()}
    sent = "authorization" if place.credential is not None else "" if key is None else carrier.lower()
    _check_headers(extra, sent, _DIALECT_SENDS.get(spoken[0], ""), path, context)
    provider = Provider(
        name=name,
        kind=kind,
        origin=origin(place.endpoint, spec, path, context),
        speaks=place.speaks,
        hosting=place.hosting,
        query=place.query,
        head=_head(place.endpoint, credential, extra),
        secrets=_secrets(keys or (key,), extra) + place.secrets,
        credential=place.credential,
        names_models=row.names_models,
        stream_usage=place.stream_usage or row.stream_usage,
        forward=_forward(row, extra),
        betas=row.betas if spec.betas is None else tuple(spec.betas),
        facts=tuple((glob, facts.given()) for glob, facts in spec.facts.items()),
        strict=spec.unsupported == "strict",
        families=frozenset(row.families),
        deadlines=deadlines(spec.timeouts, Deadlines()),
        max_answer=spec.max_answer,
        max_stream=spec.max_stream,
        breaker=spec.breaker,
        slow=math.inf if spec.slow is None else spec.slow,
        limits=limited(f"provider:{name}", spec.limits),
    )
    others = [_head(place.endpoint, (carrier, prefix + other.get_secret_value()), extra) for other in keys[1:]]
    seats = tuple(msgspec.structs.replace(provider, head=head, seat=n) for n, head in enumerate(others, 1))
    return msgspec.structs.replace(provider, others=seats) if seats else provider


def _row(kind: str, spec: ProviderSpec, path: KeyPath, context: Context) -> Row | None:
    row = catalog().get(kind)
    if row is None:
        kinds = ", ".join(sorted(catalog()))
        context.report(
            (*path, "kind") if spec.kind else path,
            f"{kind!r} is no kind of provider in this version{suggest(kind, catalog())}; known kinds: {kinds}"
            " (for any other server: kind: openai, or anthropic for one of that form, with base_url and api_key)",
        )
    return row


def _several(spec: ProviderSpec, path: KeyPath, context: Context) -> tuple[ProviderSpec, tuple[SecretStr, ...]]:
    """The provider with the first of its credentials, and all of them where it has several."""
    if not spec.api_keys:
        return spec, ()
    here = (*path, "api_keys")
    if spec.api_key is not None:
        context.report(here, "give either api_key or api_keys")
    told = [key.get_secret_value() for key in spec.api_keys]
    if "none" in told:
        context.report(here, "takes keys; where none is needed write api_key: none")
    if len(set(told)) != len(told):
        context.report(here, "the same key stands here twice")
    return spec.model_copy(update={"api_key": spec.api_keys[0]}), tuple(spec.api_keys)


def _forward(row: Row, extra: dict[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    """What the operator sets, no client may."""
    rest = ((header, default) for header, default in row.forward.items() if header not in extra)
    return tuple((header.encode("ascii"), default.encode("ascii")) for header, default in rest)


def deadlines(written: Timeouts, default: Deadlines) -> Deadlines:
    """What is written over what holds otherwise."""
    return msgspec.structs.replace(default, **written.model_dump(exclude_none=True))


def _builtin(name: str, kind: str, dialect: str, spec: ProviderSpec, path: KeyPath, context: Context) -> Provider:
    for field in sorted(spec.model_fields_set - {"kind"}):
        context.report((*path, field), f"the {kind} provider answers by itself and takes no settings: remove this")
    return Provider(name, kind, Origin("http", kind, 80), {dialect: ""}, builtin=True)


def _spoken(kind: str, row: Row, spec: ProviderSpec, path: KeyPath, context: Context) -> tuple[str, ...]:
    """The chosen ones, else those the kind is taken to speak; reported where the kind does not speak one."""
    usual = row.spoken(at_home=spec.base_url is None)
    chosen = tuple(dict.fromkeys(spec.dialect)) or usual
    if unknown := [name for name in chosen if name not in row.dialects]:
        known = " or ".join(row.dialects)
        context.report((*path, "dialect"), f"the kind {kind} speaks no {unknown[0]!r} in this version, but {known}")
        return usual
    return chosen


def _auth(spec: ProviderSpec, row: Row) -> Auth:
    """The written way to send a credential, else the kind's; a kind that needs none gets one as most servers take it."""
    return spec.auth or ("bearer" if row.auth == "none" else row.auth)


def _check_settings(kind: str, row: Row, spec: ProviderSpec, path: KeyPath, context: Context) -> None:
    """A setting that only other kinds take would be written in vain."""
    special = {field for other in catalog().values() for field in other.settings}
    for field in sorted(special & spec.model_fields_set - set(row.settings)):
        context.report((*path, field), f"the kind {kind} takes no such setting: remove this")


def _place(kind: str, row: Row, spec: ProviderSpec, spoken: tuple[str, ...], path: KeyPath, context: Context) -> Place | None:
    """Where a provider is that is no cloud's: at the written address, else at its own."""
    endpoint = spec.base_url or _own_endpoint(kind, row, path, context)
    return endpoint and Place(endpoint, {dialect: row.base_path(endpoint.path, dialect) for dialect in spoken})


def _own_endpoint(kind: str, row: Row, path: KeyPath, context: Context) -> values.Endpoint | None:
    """The kind's own address; for Ollama, where `OLLAMA_HOST` says."""
    if kind != "ollama":
        return values.endpoint(row.base_url)
    try:
        return values.endpoint(ollama_base_url(context.environ.get("OLLAMA_HOST", "")))
    except ValueError as error:
        context.report(path, f"the environment variable OLLAMA_HOST cannot be used: {error}")
        return None


def _credential(spec: ProviderSpec, row: Row, path: KeyPath, context: Context) -> SecretStr | None:
    """The key as written; else from the kind's variables, but never toward an address that is not the kind's own."""
    if spec.api_key is not None:
        return None if spec.api_key.get_secret_value() == "none" else spec.api_key
    if row.auth == "none":
        return None
    here = (*path, "api_key")
    names = " or ".join(row.env)
    if spec.base_url is not None:
        context.report(here, f"is required with a base_url of your own: a key, or none ({names} is not sent there unasked)")
        return None
    variable = next((name for name in row.env if context.environ.get(name)), "")
    if not variable:
        context.report(here, f"is required, or the environment variable {names}; write none where no key is needed")
        return None
    try:
        return SecretStr(values.api_key(context.environ[variable]))
    except ValueError as error:
        context.report(here, f"the environment variable {variable} {error}")
        return None


def _check_headers(extra: dict[str, str], carrier: str, written: str, path: KeyPath, context: Context) -> None:
    """`carrier`: the header of the credential, where there is one. `written`: the header that the dialect writes."""
    for header in extra:
        here = (*path, "headers", header)
        if header in _OURS:
            context.report(here, "this header is set by the gateway itself")
        elif header == carrier:
            context.report(here, "the api_key is sent in this header; with a header of your own write api_key: none")
        elif header == written:
            context.report(here, "the client chooses this, and for translated requests facts: {'*': {version: ...}}")


def _head(endpoint: values.Endpoint, credential: tuple[str, str] | None, extra: dict[str, str]) -> bytes:
    """The header lines of every request. RFC 9110 section 7.2: `Host` first, without the scheme's own port."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    if endpoint.port != (443 if endpoint.scheme == "https" else 80):
        host = f"{host}:{endpoint.port}"
    lines = {"host": ("Host", host)}
    if credential is not None:
        lines[credential[0].lower()] = credential
    lines["user-agent"] = ("User-Agent", f"trunkline/{__version__}")
    lines["accept-encoding"] = ("Accept-Encoding", "identity")
    lines["connection"] = ("Connection", "keep-alive")
    lines |= {header: (header, value) for header, value in extra.items()}
    return "".join(f"{header}: {value}\r\n" for header, value in lines.values()).encode("ascii")


def _secrets(keys: Iterable[SecretStr | None], extra: dict[str, str]) -> tuple[bytes, ...]:
    """What must never be shown. Short values are left out: masking them would eat ordinary words of every answer."""
    found = [key.get_secret_value() for key in keys if key is not None]
    for header, value in extra.items():
        if TELLS.search(header):
            found += [value, value.rpartition(" ")[2]]  # also without `Bearer `
    return tuple(dict.fromkeys(secret.encode("ascii") for secret in found if len(secret) >= SHORTEST_SECRET))
