"""Places that the operator names beside providers: an issuer's keys, a receiver of alerts. Over TLS, or on this machine.

How they are asked belongs in `edge.call`.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated

import msgspec
from pydantic import PlainValidator

from trunkline.canon.wire import Origin, TlsSettings
from trunkline.config import values
from trunkline.config.mistakes import KeyPath
from trunkline.config.proxy import is_loopback
from trunkline.config.reach import Context, existing_file, proxy
from trunkline.edge.call import Place
from trunkline.edge.tls import client_context

_QUERY = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")


def web(value: object) -> values.Endpoint:
    """An https URL, or one of http on this machine; its path has the query. Raises ValueError."""
    url = values.text(value)
    before, mark, query = url.partition("?")
    found = values.endpoint(before)
    if found.scheme != "https" and not is_loopback(found.host):
        raise ValueError("must begin with https://")
    if _QUERY.fullmatch(query) is None:
        raise ValueError("the query must be plain URL characters")
    slash = "/" if before.endswith("/") or not found.path else ""
    return found._replace(path=f"{found.path}{slash}{mark}{query}")


Web = Annotated[values.Endpoint, PlainValidator(web, json_schema_input_type=str)]


def place(where: values.Endpoint, ca: str | None, path: KeyPath, context: Context) -> Place:
    """The place, by the proxy of the environment, where there is one. `ca`: whom to trust instead of the system's."""
    found = Origin(where.scheme, where.host, where.port, _trust(ca, (*path, "ca"), context), proxy(where, None, path, context))
    return Place(msgspec.structs.replace(found, keep_idle=0.0, min_connections=1, max_connections=4), where.path)


def moved(base: Place, url: str) -> Place:
    """Another place that `base` names, reached the same way. Raises ValueError where it may not be asked."""
    there = web(url)
    if there.scheme != base.origin.scheme == "https":
        raise ValueError("must begin with https://")
    way = None if is_loopback(there.host) else base.origin.proxy
    origin = msgspec.structs.replace(base.origin, scheme=there.scheme, host=there.host, port=there.port, proxy=way)
    return Place(origin, there.path)


def _trust(ca: str | None, path: KeyPath, context: Context) -> TlsSettings:
    if ca is None:
        return TlsSettings()
    file = existing_file(ca, path, context)
    settings = TlsSettings(ca_file=file)
    try:
        settings = msgspec.structs.replace(settings, digest=hashlib.sha256(Path(file).read_bytes()).digest())
        client_context(settings)
    except OSError as error:
        context.report(path, f"this must be a PEM file of certificates: {error.strerror}")
    return settings
