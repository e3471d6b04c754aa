"""How a provider is reached: its origin with its pool, the proxy on the way, what is trusted; and what compiling needs.

Which address it is belongs in `providers` and `clouds`; whether a proxy is used at all is decided in `proxy`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from trunkline.canon.wire import Origin, Proxy, TlsSettings
from trunkline.config import values
from trunkline.config.mistakes import KeyPath, dotted
from trunkline.config.proxy import proxy_for
from trunkline.config.schema_providers import ProviderSpec, ProviderTls
from trunkline.edge.tls import client_context


class Context(msgspec.Struct):
    """What compiling needs beside the configuration itself."""

    environ: Mapping[str, str]
    base: Path
    """The folder that relative paths start from."""
    report: Callable[[KeyPath, str], None]
    warn: Callable[[KeyPath, str], None]
    where: Callable[[KeyPath], str] = dotted
    """How people are told of a place: file, line and path."""


def origin(endpoint: values.Endpoint, spec: ProviderSpec, path: KeyPath, context: Context) -> Origin:
    """The origin, with its proxy, trust and pool; what is wrong with them is reported."""
    through = proxy(endpoint, spec.proxy, path, context)
    pool = spec.pool
    if endpoint.scheme == "http" and spec.tls.model_fields_set:
        context.warn((*path, "tls"), "has no effect: the address is http://")
    if "min_connections" in pool.model_fields_set and pool.min_connections > pool.max_connections:
        context.report((*path, "pool", "min_connections"), f"is more than max_connections ({pool.max_connections})")
    return Origin(
        scheme=endpoint.scheme,
        host=endpoint.host,
        port=endpoint.port,
        tls=_tls(spec.tls, (*path, "tls"), context),
        proxy=through,
        provider=str(path[1]),
        min_connections=min(pool.min_connections, pool.max_connections),
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
            digest = hashlib.sha256(b"".join(Path(file).read_bytes() for file in files.values())).digest()
            settings = msgspec.structs.replace(settings, digest=digest)
            client_context(settings)
    except OSError as error:
        context.report(path, f"these must be PEM files, cert and key a pair without a password: {error.strerror}")
    return settings


def proxy(
    endpoint: values.Endpoint, setting: values.ProxyAddress | Literal["none"] | None, path: KeyPath, context: Context
) -> Proxy | None:
    """The proxy on the way to `endpoint`, or None."""
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
