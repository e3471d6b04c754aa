"""Certificates for loopback: a good one, and one for each way to be bad.

Made by `trustme`; what a case proves with them belongs in `tests/faults`.
"""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

import trustme


class Authority:
    """A private CA whose root is at `ca_file`."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca_file))
        self._folder = folder

    def good(self) -> ssl.SSLContext:
        """A server for 127.0.0.1 and localhost."""
        return self._server(self._ca.issue_cert("127.0.0.1", "localhost"))

    def wrong_host(self) -> ssl.SSLContext:
        """A valid certificate of somebody else."""
        return self._server(self._ca.issue_cert("api.example.com"))

    def expired(self) -> ssl.SSLContext:
        """Was good until last year."""
        then = dt.datetime.now(tz=dt.UTC) - dt.timedelta(days=365)
        leaf = self._ca.issue_cert("127.0.0.1", "localhost", not_before=then, not_after=then + dt.timedelta(days=1))
        return self._server(leaf)

    def stranger(self) -> ssl.SSLContext:
        """Right name, signed by a CA nobody trusts."""
        return self._server(trustme.CA().issue_cert("127.0.0.1", "localhost"))

    def demanding(self) -> ssl.SSLContext:
        """A good server that wants a client certificate of this CA."""
        context = self.good()
        context.verify_mode = ssl.CERT_REQUIRED
        self._ca.configure_trust(context)
        return context

    def client_files(self) -> tuple[Path, Path]:
        """(certificate, key) of a client this CA knows, as PEM files."""
        leaf = self._ca.issue_cert("gateway@example.com")
        certificate, key = self._folder / "client.pem", self._folder / "client.key"
        leaf.cert_chain_pems[0].write_to_path(str(certificate))
        leaf.private_key_pem.write_to_path(str(key))
        return certificate, key

    @staticmethod
    def _server(leaf: trustme.LeafCert) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(context)
        return context
