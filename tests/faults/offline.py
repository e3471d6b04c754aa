"""Run inside a network namespace that has nothing but loopback: start, answer, say what is unreachable.

    unshare -Urn python offline.py FOLDER

Started by `test_e_lifecycle`; exits 0 when all holds.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
from pathlib import Path

from harness.gateway import Gateway, settings

SIOCSIFFLAGS = 0x8914
UP_AND_RUNNING = 0x41


def loopback_up() -> None:
    """`ip link set lo up`, without `ip`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", UP_AND_RUNNING))


def main(folder: Path) -> None:
    """The whole case."""
    loopback_up()
    config = settings("https://api.example.com/v1")
    with Gateway(config, folder) as gateway:
        assert gateway.get("/healthz").status == 200
        assert gateway.get("/readyz").status == 200
        assert gateway.get("/healthz", admin=True).status == 200
        reply = gateway.chat(model="echo/echo")
        assert (reply.status, reply.complete) == (200, True), reply
        with gateway.stream(model="echo/echo") as stream:
            assert stream.rest()[-1] == b"[DONE]"
        unreachable = gateway.chat(timeout=10)
        assert unreachable.status in {502, 504}, unreachable
        assert unreachable.error["message"]
        assert gateway.in_flight() == 0
        assert gateway.stop() == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
