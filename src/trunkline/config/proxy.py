"""Whether a provider is reached through a proxy: its own setting, else the proxy variables of the environment.

`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` and their lower-case forms, which win (curl's manual, section ENVIRONMENT). Talking to
a proxy belongs in `edge`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Literal

from trunkline.config import values


def proxy_for(
    target: values.Endpoint, setting: values.ProxyAddress | Literal["none"] | None, environ: Mapping[str, str]
) -> values.ProxyAddress | None:
    """The proxy toward `target`, or None. Raises ValueError that names the variable whose value cannot be used."""
    if setting is not None:
        return None if setting == "none" else setting
    if is_loopback(target.host):
        return None
    name = f"{target.scheme}_proxy"
    for variable in (name, name.upper()):
        if not (text := environ.get(variable, "").strip()):
            continue
        exceptions = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
        if _excepted(target, exceptions):
            return None
        try:
            return values.proxy(text if "://" in text else f"http://{text}")
        except ValueError as error:
            raise ValueError(f"the environment variable {variable} {error}; 'proxy: none' ignores it") from None
    return None


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine itself. RFC 6761 section 6.3 for `localhost`."""
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _excepted(target: values.Endpoint, exceptions: str) -> bool:
    return any(_matches(target, entry) for entry in exceptions.lower().replace(",", " ").split())


def _matches(target: values.Endpoint, entry: str) -> bool:
    """One entry of NO_PROXY: `*`, a host or domain (its subdomains too), an address, a network, each with or without port."""
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(target.host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass  # the target is a name, or the entry is
    name, colon, port = entry.rpartition(":")
    if colon and port.isdecimal():
        if port != str(target.port):
            return False
        entry = name
    domain = entry.strip("[]").lstrip("*").strip(".")
    host = target.host.rstrip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))
