"""One provider as written into one provider as called: its catalogue row, credential, headers, origin.

The rows are in `providers`; models, keys and the rest of the snapshot are in `compile`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec
from pydantic import SecretStr

from trunkline import __version__
from trunkline.canon.wire import Deadlines, Origin, Proxy, TlsSettings
from trunkline.config import values
from trunkline.config.mistakes import SHORTEST_SECRET, KeyPath
from trunkline.config.proxy import proxy_for
from trunkline.config.schema import ProviderSpec, ProviderTls, Timeouts
from trunkline.config.validate import suggest
from trunkline.edge.tls import client_context
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
    "x-api-key": ("x-api-key", ""),
    "x-goog-api-key": ("x-goog-api-key", ""),
}
"""How a credential is sent: the header, and what stands before the key in it."""
_DIALECT_SENDS = {"anthropic": "anthropic-version"}
"""Headers that a dialect itself writes."""
_TELLS = re.compile(r"auth|key|token|secret|cookie|credential|password")


class Context(msgspec.Struct):
    """What compiling needs beside the configuration itself."""

    environ: Mapping[str, str]
    base: Path
    """The folder that relative paths start from."""
    report: Callable[[KeyPath, str], None]
    warn: Callable[[KeyPath, str], None]


def compile_provider(name: str, spec: ProviderSpec, context: Context) -> Provider | None:
    """The provider, or None after its mistakes were reported."""
    path: KeyPath = ("providers", name)
    kind = spec.kind or name
    row = catalog().get(kind)
    if row is None:
        kinds = ", ".join(sorted(catalog()))
        context.report(
            (*path, "kind") if spec.kind else path,
            f"{kind!r} is no kind of provider in this version{suggest(kind, catalog())}; known kinds: {kinds}"
            " (for any other server: kind: openai, or anthropic for one of that form, with base_url and api_key)",
        )
        return None
    dialect = _dialect(kind, row, spec, path, context)
    if row.builtin:
        return _builtin(name, kind, dialect, spec, path, context)
    endpoint = spec.base_url or _own_endpoint(kind, row, path, context)
    if endpoint is None:
        return None
    key = _credential(spec, row, path, context)
    carrier, prefix = _CREDENTIALS[_auth(spec, row)]
    credential = None if key is None else (carrier, prefix + key.get_secret_value())
    extra = {header: value.get_secret_value() for header, value in spec.headers.items()}
    _check_headers(extra, "" if key is None else carrier.lower(), _DIALECT_SENDS.get(dialect, ""), path, context)
    return Provider(
        name=name,
        kind=kind,
        dialect=dialect,
        origin=_origin(endpoint, spec, path, context),
        base_path=row.base_path(endpoint.path, dialect),
        head=_head(endpoint, credential, extra),
        secrets=_secrets(key, extra),
        stream_usage=row.stream_usage,
        forward=tuple(
            (header.encode("ascii"), default.encode("ascii")) for header, default in row.forward.items() if header not in extra
        ),
        betas=row.betas if spec.betas is None else tuple(spec.betas),
        facts=tuple((glob, facts.given()) for glob, facts in spec.facts.items()),
        strict=spec.unsupported == "strict",
        deadlines=deadlines(spec.timeouts, Deadlines()),
        max_answer=spec.max_answer,
        max_stream=spec.max_stream,
    )


def deadlines(written: Timeouts, default: Deadlines) -> Deadlines:
    """What is written over what holds otherwise."""
    return msgspec.structs.replace(default, **written.model_dump(exclude_none=True))


def _builtin(name: str, kind: str, dialect: str, spec: ProviderSpec, path: KeyPath, context: Context) -> Provider:
    for field in sorted(spec.model_fields_set - {"kind"}):
        context.report((*path, field), f"the {kind} provider answers by itself and takes no settings: remove this")
    return Provider(name=name, kind=kind, dialect=dialect, origin=Origin("http", kind, 80), base_path="", builtin=True)


def _dialect(kind: str, row: Row, spec: ProviderSpec, path: KeyPath, context: Context) -> str:
    """The chosen one, else the kind's first; reported where the kind does not speak it."""
    first = next(iter(row.dialects))
    if spec.dialect is None or spec.dialect in row.dialects:
        return spec.dialect or first
    context.report((*path, "dialect"), f"the kind {kind} speaks no such dialect in this version: {' or '.join(row.dialects)}")
    return first


def _auth(spec: ProviderSpec, row: Row) -> Auth:
    """The written way to send a credential, else the kind's; a kind that needs none gets one as most servers take it."""
    return spec.auth or ("bearer" if row.auth == "none" else row.auth)


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


def _secrets(key: SecretStr | None, extra: dict[str, str]) -> tuple[bytes, ...]:
    """What must never be shown. Short values are left out: masking them would eat ordinary words of every answer."""
    found = [key.get_secret_value()] if key is not None else []
    for header, value in extra.items():
        if _TELLS.search(header):
            found += [value, value.rpartition(" ")[2]]  # also without `Bearer `
    return tuple(dict.fromkeys(secret.encode("ascii") for secret in found if len(secret) >= SHORTEST_SECRET))


def _origin(endpoint: values.Endpoint, spec: ProviderSpec, path: KeyPath, context: Context) -> Origin:
    proxy = _proxy(endpoint, spec.proxy, path, context)
    pool = spec.pool
    if endpoint.scheme == "http" and spec.tls.model_fields_set:
        context.warn((*path, "tls"), "has no effect: the address is http://")
    return Origin(
        scheme=endpoint.scheme,
        host=endpoint.host,
        port=endpoint.port,
        tls=_tls(spec.tls, (*path, "tls"), context),
        proxy=proxy,
        max_connections=pool.max_connections,
        max_waiting=pool.max_waiting,
        pool_wait=pool.wait,
        keep_idle=pool.keep_idle,
    )


def _tls(tls: ProviderTls, path: KeyPath, context: Context) -> TlsSettings:
    """The files are tried here: else the first request would tell what is wrong with them."""
    if not tls.verify:
        context.warn((*path, "verify"), "certificates are not checked: anyone on the way can read the key and the answers")
    if tls.key is not None and tls.cert is None:
        context.report((*path, "key"), "needs a cert")
    files = {
        field: existing_file(name, (*path, field), context)
        for field, name in (("ca", tls.ca), ("cert", tls.cert), ("key", tls.key))
        if name is not None
    }
    settings = TlsSettings(tls.verify, files.get("ca"), files.get("cert"), files.get("key"))
    try:
        if files:
            client_context(settings)
    except OSError as error:
        context.report(path, f"these must be PEM files, cert and key a pair without a password: {error.strerror}")
    return settings


def _proxy(
    endpoint: values.Endpoint, setting: values.ProxyAddress | Literal["none"] | None, path: KeyPath, context: Context
) -> Proxy | None:
    try:
        address = proxy_for(endpoint, setting, context.environ)
    except ValueError as error:
        context.report((*path, "proxy"), str(error))
        return None
    if address is None:
        return None
    if address.user is None:
        return Proxy(address.host, address.port)
    credential = base64.b64encode(f"{address.user}:{address.password}".encode())
    return Proxy(address.host, address.port, b"Basic " + credential)


def existing_file(name: str, path: KeyPath, context: Context) -> str:
    """The absolute path of a file that the configuration names; reported where there is none."""
    file = context.base / name
    try:
        found = file.is_file()
    except OSError:
        found = False
    if not found:
        context.report(path, "there is no such file")
    return str(file)
