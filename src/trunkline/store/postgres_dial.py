"""Connections to PostgreSQL, by pg8000: opened within a deadline, and broken ones told as broken. Loaded where one is used.

What is done on a connection belongs in `postgres`.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Any

from typing_extensions import override

from trunkline.store.errors import StoreError
from trunkline.store.url import StoreUrl

try:
    from pg8000 import dbapi
except ImportError as error:
    _message = "The store is on PostgreSQL, and the driver for it is not installed."
    raise StoreError(_message, "Install it: pip install 'trunkline[postgres]'.") from error


CONNECT_SECONDS = 5.0
"""For each wait until the server has let us in."""


class Connection(dbapi.Connection):  # type: ignore[misc]
    """A connection whose troubles are all the driver's own errors, as SQLAlchemy expects them."""

    @override
    def handle_messages(self, context: Any) -> None:
        """Read the answer. The driver lets through what the socket raises, such as that a deadline passed."""
        try:
            super().handle_messages(context)
        except OSError as error:
            raise dbapi.InterfaceError("network error") from error

    def wait_at_most(self, seconds: float) -> None:
        """From now on, a wait for the server ends after so long."""
        self._usock.settimeout(seconds)

    @override
    def close(self) -> None:
        """Say goodbye and let go; whom nobody hears any more only lets go."""
        with suppress(dbapi.InterfaceError):
            super().close()


def dial(url: StoreUrl, deadline: float) -> Connection:
    """A new connection, on which each wait for the server ends after `deadline` seconds. Raises StoreError, and what the server
    says as the driver's DatabaseError.
    """
    where = {"unix_sock": f"{url.host}/.s.PGSQL.{url.port}"} if url.host.startswith("/") else {"host": url.host}
    try:
        connection = Connection(
            url.user,
            database=url.database,
            port=url.port,
            password=url.password,
            ssl_context=_tls(url),
            timeout=min(deadline, CONNECT_SECONDS),
            application_name="trunkline",
            startup_params={"client_encoding": "UTF8"},
            **where,
        )
    except dbapi.DatabaseError:
        raise
    except Exception as error:
        raise _unreachable(url, error) from error
    connection.wait_at_most(deadline)
    return connection


def _tls(url: StoreUrl) -> ssl.SSLContext | bool:
    """False for none. Raises StoreError where the named authorities cannot be read."""
    if url.tls == "disable":
        return False
    try:
        context = ssl.create_default_context(cafile=url.ca)
    except OSError as error:
        remedy = "sslrootcert in store.url must name a PEM file of certificates."
        raise StoreError(f"The authorities in {url.ca} cannot be used: {error.strerror}.", remedy) from error
    context.check_hostname = url.tls == "verify-full"
    if url.tls == "require" and url.ca is None:
        context.verify_mode = ssl.CERT_NONE
    return context


def _unreachable(url: StoreUrl, error: Exception) -> StoreError:
    if isinstance(error, StoreError):
        return error
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        remedy = "Name who signed it with sslrootcert=FILE in store.url, and the server as its certificate does."
        return StoreError(f"PostgreSQL {url} shows a certificate that is not trusted: {cause.verify_message}.", remedy)
    if "refuses SSL" in str(error):
        remedy = "Switch TLS on there; or, where nobody can listen in on the way, write sslmode=disable in store.url."
        return StoreError(f"PostgreSQL {url} does not speak TLS.", remedy)
    if isinstance(cause, TimeoutError):
        return StoreError(f"PostgreSQL {url} does not answer.", "See that it runs, and that the way to it is open.")
    why = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return StoreError(f"PostgreSQL {url} cannot be reached: {why}.", "See that it runs, and that store.url names it.")
