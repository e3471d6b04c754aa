"""The way to a PostgreSQL server: encrypted and verified unless it is this machine, and told in words where there is none."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest
import trustme

from harness.postgres import Postgres, programs
from trunkline.store.engine import open_store
from trunkline.store.errors import StoreError
from trunkline.store.url import parse


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Two authorities: the first signed the server, the second did not. As PEM files."""
    folder = tmp_path_factory.mktemp("authorities")
    signer, stranger = trustme.CA(), trustme.CA()
    signer.cert_pem.write_to_path(str(folder / "signer.pem"))
    stranger.cert_pem.write_to_path(str(folder / "stranger.pem"))
    leaf = signer.issue_cert("127.0.0.1")
    leaf.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    leaf.private_key_pem.write_to_path(str(folder / "server.key"))
    return folder


@pytest.fixture(scope="module")
def encrypted(authority):
    """A server that takes only encrypted connections."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (scripts/install-servers)")
    server = Postgres()
    owner = server.folder.stat()
    for name in ("server.pem", "server.key"):
        place = server.folder / name
        place.write_bytes((authority / name).read_bytes())
        place.chmod(0o600)
        os.chown(place, owner.st_uid, owner.st_gid)
    rules = server.folder / "data" / "pg_hba.conf"
    rules.write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    server.start("ssl=on", f"ssl_cert_file={server.folder}/server.pem", f"ssl_key_file={server.folder}/server.key")
    yield server
    server.close()


@pytest.mark.parametrize("query", ["verify-full&sslrootcert=signer.pem", "verify-ca&sslrootcert=signer.pem", "require"])
def test_an_encrypted_connection_works(encrypted, authority, tmp_path, query):
    """Whoever runs the database elsewhere has nothing but this."""
    query = "?sslmode=" + query.replace("signer.pem", str(authority / "signer.pem"))
    url = parse(encrypted.url("template1", query=query))
    with pytest.raises(StoreError, match="no gateway has used it yet"):
        open_store(tmp_path, url, create=False)


@pytest.mark.parametrize(
    ("query", "host", "words"),
    [
        ("?sslmode=verify-full&sslrootcert=stranger.pem", "127.0.0.1", "a certificate that is not trusted"),
        ("?sslmode=verify-full", "127.0.0.1", "a certificate that is not trusted"),
        ("?sslmode=require&sslrootcert=stranger.pem", "127.0.0.1", "a certificate that is not trusted"),
        ("?sslmode=verify-full&sslrootcert=signer.pem", "localhost", "a certificate that is not trusted"),
        ("?sslmode=verify-full&sslrootcert=absent.pem", "127.0.0.1", "cannot be used: No such file"),
        ("", "127.0.0.1", "no encryption"),
    ],
)
def test_nobody_in_between_is_trusted(encrypted, authority, tmp_path, query, host, words):
    """Whoever could pose as the database would get the password, all accounts, and a say in who has a key."""
    for name in ("signer.pem", "stranger.pem", "absent.pem"):
        query = query.replace(name, str(authority / name))
    url = parse(encrypted.url("template1", query=query).replace("127.0.0.1", host))
    with pytest.raises(StoreError, match=words):
        open_store(tmp_path, url, create=False)


def test_a_server_without_tls_is_not_spoken_to_in_the_clear(postgres, tmp_path):
    """What was to be encrypted is not sent, and the remedy names both ways."""
    with pytest.raises(StoreError, match=r"does not speak TLS.*sslmode=disable"):
        open_store(tmp_path, parse(postgres.url("template1", query="?sslmode=require")), create=False)


def test_a_socket_of_this_machine_works(postgres, tmp_path):
    """The usual way where both run on one machine."""
    url = postgres.url("template1", query=f"?host={postgres.folder}").replace(f"127.0.0.1:{postgres.port}", f":{postgres.port}")
    with pytest.raises(StoreError, match="no gateway has used it yet"):
        open_store(tmp_path, parse(url), create=False)


def test_nobody_there_is_told_at_once(tmp_path):
    """A wrong port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(StoreError, match=r"cannot be reached: Connection refused\. See that it runs"):
        open_store(tmp_path, parse(f"postgresql://u:p@127.0.0.1:{port}/x"))
    with pytest.raises(StoreError, match="cannot be reached"):
        open_store(tmp_path, parse("postgresql://u:p@nowhere.invalid/x"))


@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 64, b"N" * 9, b"E\0\0\0\x7f"])
def test_whoever_is_no_postgresql_is_told(tmp_path, answer):
    """A black hole, a web server, garbage: some words within the deadline, and no traceback of the driver's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        began = time.monotonic()
        if answer is not None:

            def speak():
                with server.accept()[0] as peer:
                    peer.settimeout(2)
                    peer.recv(1024)
                    peer.sendall(answer)

            thread = threading.Thread(target=speak)
            thread.start()
        with pytest.raises(StoreError, match=r"cannot be reached|does not answer|broke"):
            open_store(tmp_path, parse(f"postgresql://u:p@127.0.0.1:{port}/x"), deadline=0.5)
        assert time.monotonic() - began < 2
        if answer is not None:
            thread.join()
