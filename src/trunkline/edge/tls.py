"""TLS contexts, made once and kept: verified toward providers unless told otherwise, modern toward clients."""

from __future__ import annotations

import functools
import ssl

from trunkline.canon.wire import TlsSettings

_NO_PASSWORD = ""
"""Given, so that an encrypted key is an error: else OpenSSL asks at the terminal and waits."""


@functools.lru_cache(maxsize=256)
def client_context(settings: TlsSettings) -> ssl.SSLContext:
    """The context for connections to a provider. Raises OSError or ssl.SSLError when a named file cannot be used."""
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.cert_file is not None:
        context.load_cert_chain(settings.cert_file, settings.key_file, _NO_PASSWORD)
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def server_context(cert_file: str, key_file: str) -> ssl.SSLContext:
    """The context for our own listener. Raises OSError or ssl.SSLError when a file cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert_file, key_file, _NO_PASSWORD)
    context.set_alpn_protocols(["http/1.1"])
    return context
