"""One connection to Redis: how it is made, and what comes over it."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import hiredis
import pytest

from harness.certs import Authority
from harness.meters import until
from harness.redis import Impostor, Redis
from trunkline.meters.link import RedisError, dial, pack
from trunkline.meters.url import RedisUrl, parse


def test_commands_and_their_replies(redis: Redis) -> None:
    """All replies of a batch come together, in order; a refused command is told as such."""

    async def main() -> None:
        link = await dial(parse(redis.url))
        assert await link.ask(("SET", "a", 1), ("GET", b"a")) == [b"OK", b"1"]
        with pytest.raises(RedisError, match="unknown command"):
            await link.ask(("GET", "a"), ("NONSENSE",))
        found: list[list[object]] = []
        link.send([pack(("INCR", "a")), pack(("NONSENSE",))], found.append)
        await until(lambda: found)
        assert found[0][0] == 2
        assert isinstance(found[0][1], hiredis.ReplyError)
        link.close()
        link.close()

    asyncio.run(main())


def test_passwords_users_and_databases() -> None:
    """As the URL says; a wrong password is told without repeating it."""
    with Redis("--requirepass", "right-secret") as server:
        server.run("ACL", "SETUSER", "ann", "on", ">anns-secret", "+@all", "~*")

        async def main() -> None:
            for user, where in ((":right-secret", 3), ("ann:anns-secret", 4)):
                link = await dial(parse(f"redis://{user}@127.0.0.1:{server.port}/{where}"))
                (told,) = await link.ask(("CLIENT", "INFO"))
                assert f" db={where} ".encode() in told
                link.close()
            with pytest.raises(RedisError, match="WRONGPASS") as wrong:
                await dial(parse(f"redis://:wrong-secret@127.0.0.1:{server.port}"))
            assert "secret" not in str(wrong.value)
            link = await dial(parse(f"redis://127.0.0.1:{server.port}"))
            with pytest.raises(RedisError, match="NOAUTH"):
                await link.ask(("PING",))
            link.close()

        asyncio.run(main())


def test_a_socket_on_this_machine(tmp_path: Path) -> None:
    """`unix://`: nobody can listen in, and it is quicker."""
    with Redis("--unixsocket", str(tmp_path / "redis.sock")):

        async def main() -> None:
            link = await dial(parse(f"unix://{tmp_path}/redis.sock?db=1"))
            assert await link.ask(("PING",)) == [b"PONG"]
            link.close()

        asyncio.run(main())


def test_tls_is_verified(tmp_path: Path) -> None:
    """`rediss://`: a certificate for the name, from somebody who is trusted; else no password is sent."""
    authority = Authority(tmp_path)
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1000))
        writer.write(b"+OK\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    async def main() -> None:
        for context, good in ((authority.good(), True), (authority.wrong_host(), False), (authority.stranger(), False)):
            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
            port = server.sockets[0].getsockname()[1]
            url = RedisUrl("127.0.0.1", port, 0, "", "secret", tls=True, ca=str(authority.ca_file))
            heard.clear()
            if good:
                link = await dial(url)
                assert heard == [b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"]
                link.close()
            else:
                with pytest.raises(ssl.SSLError):
                    await dial(url)
                assert heard == []
            server.close()
            await asyncio.sleep(0.01)

    asyncio.run(main())


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n+OK\r\n", b"\x00\xff\r\n"])
def test_whatever_is_no_redis_is_left(answer: bytes) -> None:
    """A port that belongs to somebody else, or replies that nobody asked for: the connection is worth nothing."""
    with Impostor(answer) as impostor:

        async def main() -> None:
            with pytest.raises(RedisError):
                await dial(parse(f"redis://:x@127.0.0.1:{impostor.port}"))

        asyncio.run(main())


def test_a_link_that_is_lost_says_so_once() -> None:
    """Whoever waits is told at once, and not when his time is over."""
    with Impostor(None) as impostor:

        async def main() -> None:
            link = await dial(parse(f"redis://127.0.0.1:{impostor.port}"))
            asking = asyncio.create_task(link.ask(("PING",)))
            await until(lambda: impostor.commands)
            impostor.hang_up()
            with pytest.raises(RedisError, match="lost"):
                await asking
            link.close()

        asyncio.run(main())
