"""An issuer's keys: read strictly, bound to what they may verify, fetched in time, kept while they cannot be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from harness.issuer import USUAL, private_key, public_jwk
from trunkline.credentials.jwks import ALGORITHMS, HELD, MAX_KEYS, MOST, SOON, BadKeys, Keys, Where, read_keys, verify

KEYS = {kind: private_key(kind) for kind in USUAL}


def jwks(*keys: dict[str, Any]) -> bytes:
    """A set of keys."""
    return json.dumps({"keys": keys}).encode()


@pytest.mark.parametrize("kind", USUAL)
def test_a_key_verifies_what_it_signed_and_nothing_else(kind: str) -> None:
    """Good tokens would be refused; or a forged one would be taken."""
    import jwt  # noqa: PLC0415 - what signs, only here

    algorithm = USUAL[kind]
    keys = read_keys(jwks(public_jwk(KEYS[kind], "one")))
    found = keys.find("one", algorithm)
    assert found is not None
    signature = jwt.get_algorithm_by_name(algorithm).sign(b"message", KEYS[kind])
    assert verify(algorithm, found, b"message", signature)
    assert not verify(algorithm, found, b"massage", signature)
    assert not verify(algorithm, found, b"message", signature[:-1])
    assert not verify(algorithm, found, b"message", b"")


def test_each_kind_of_key_is_bound_to_its_algorithms() -> None:
    """A public key could be taken for a shared secret, or one curve's for another's."""
    keys = read_keys(jwks(*(public_jwk(key, kind) for kind, key in KEYS.items())))
    able = {kind: {one for one in ALGORITHMS if keys.find(kind, one)} for kind in KEYS}
    assert able == {
        "RSA": {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
        "P-256": {"ES256"},
        "P-384": {"ES384"},
        "P-521": {"ES512"},
        "Ed25519": {"EdDSA"},
    }
    assert not {one for one in ("none", "HS256", "ES256K", "RS1", "") for kind in KEYS if keys.find(kind, one)}
    assert len(keys) == 5


def test_a_key_that_says_what_it_is_for_is_used_for_nothing_else() -> None:
    """A key that encrypts, or is for one algorithm only, would verify what its owner never meant it to."""
    rsa_key = KEYS["RSA"]
    stated = read_keys(jwks(public_jwk(rsa_key, "one", alg="RS512")))
    assert stated.find("one", "RS512")
    assert stated.find("one", "RS256") is None
    good = public_jwk(KEYS["P-256"], "good")
    for wrong in ({"use": "enc"}, {"key_ops": ["sign"]}, {"key_ops": "verify"}, {"alg": "HS256"}, {"alg": 5}, {"alg": "ES256"}):
        keys = read_keys(jwks(public_jwk(rsa_key, "one", **wrong), good))
        assert not {algorithm for algorithm in ALGORITHMS if keys.find("one", algorithm)}, wrong
        assert "one" in keys.kids


def test_what_is_no_usable_key_is_left_out() -> None:
    """One odd key in a set would lock out everybody; or a weak one would let everybody in."""
    good = public_jwk(KEYS["P-256"], "good")
    short = public_jwk(rsa.generate_private_key(public_exponent=65537, key_size=1024), "short")
    coin = public_jwk(ec.generate_private_key(ec.SECP256K1()), "coin")
    odd = [
        short,
        coin,
        5,
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {"kty": "RSA", "kid": "empty"},
        {"kty": "RSA", "kid": "nonsense", "n": "!!", "e": "AQAB"},
        {"kty": "RSA", "kid": "numbers", "n": 5, "e": 3},
        {"kty": "EC", "crv": "P-256", "kid": "off the curve", "x": good["x"], "y": good["x"]},
        {"kty": "OKP", "crv": "P-256", "kid": "mixed", "x": good["x"], "y": good["y"]},
        {"kty": "EC", "crv": "Ed25519", "kid": "mixed too", "x": good["x"]},
        {"kty": ["RSA"], "kid": "list"},
        {**good, "kid": 7},
    ]
    keys = read_keys(json.dumps({"keys": [*odd, good]}).encode())
    assert len(keys) == 1
    assert keys.find("good", "ES256")


def test_private_parts_in_a_public_set_are_not_used() -> None:
    """A page that shows too much would make the gateway hold a private key."""
    from jwt.algorithms import RSAAlgorithm  # noqa: PLC0415

    shown = {**json.loads(RSAAlgorithm.to_jwk(KEYS["RSA"])), "kid": "one", "use": "sig", "key_ops": ["verify"]}
    found = read_keys(jwks(shown)).find("one", "RS256")
    assert found is not None
    assert not hasattr(found.key, "private_numbers")


def test_a_token_without_a_key_name_needs_there_to_be_one_key() -> None:
    """Which key counts would be a matter of luck."""
    one = public_jwk(KEYS["RSA"], None)
    assert read_keys(jwks(one)).find(None, "RS256")
    assert read_keys(jwks(one, public_jwk(KEYS["P-256"], "b"))).find(None, "RS256")
    assert read_keys(jwks(one, public_jwk(private_key(), "b"))).find(None, "RS256") is None
    assert read_keys(jwks(one)).find(None, "ES256") is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": []}',
        b"[" * 100_000,
        jwks(*({"kty": "RSA"} for _ in range(MAX_KEYS + 1))),
        jwks({"kty": "oct", "k": "c2VjcmV0"}),
    ],
)
def test_what_is_no_set_of_keys_is_refused(data: bytes) -> None:
    """An error page would take the place of the keys, and lock everybody out."""
    with pytest.raises(BadKeys):
        read_keys(data)


class World:
    """A fake clock, and an issuer that a test scripts."""

    def __init__(self, where: Where | None = None) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.answers: list[bytes | BaseException | Callable[[], Awaitable[bytes]]] = []
        self.reports: list[str | None] = []
        self.done = asyncio.Event()
        self.keys = Keys(
            where or Where("https://login/", "https://login/keys"), self._fetch, self._report, lambda: self.now, lambda: 0.5
        )

    async def _fetch(self, url: str) -> bytes:
        self.asked.append(url)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, bytes) else await answer()

    def _report(self, why: str | None) -> None:
        self.reports.append(why)
        self.done.set()

    async def fetched(self, *answers: bytes | BaseException | Callable[[], Awaitable[bytes]]) -> None:
        """Have it fetch, answered so; wait for the end."""
        self.answers[:] = answers
        self.done.clear()
        self.keys.begin()
        await asyncio.wait_for(self.done.wait(), 5)


FIRST, SECOND = jwks(public_jwk(KEYS["RSA"], "one")), jwks(public_jwk(KEYS["P-256"], "two"))


def test_the_last_good_keys_stay_for_a_day() -> None:
    """An issuer that is down would lock everybody out at once; or a key that it withdrew long ago would open for ever."""

    async def play() -> None:
        world = World()
        await world.fetched(FIRST)
        kept = world.keys.current
        assert kept is not None
        await world.fetched(FIRST)
        assert world.keys.current is kept  # the same content is the same set: tokens stay known
        world.now = HELD
        await world.fetched(BadKeys("its host answered 500"))
        assert (world.keys.current, world.keys.failed) == (kept, True)
        world.now = HELD + 1
        await world.fetched(b"<html>")
        assert world.keys.current is None
        await world.fetched(SECOND)
        assert world.keys.current is not None
        assert (world.keys.current.kids, world.keys.failed) == ({"two"}, False)
        assert world.reports == [None, None, "its host answered 500", "it is no set of keys", None]
        world.keys.close()

    asyncio.run(play())


def test_doubts_lead_to_one_fetch_in_a_while() -> None:
    """Anybody could make the gateway ask the issuer all the time; or a new key would not be found."""

    async def play() -> None:
        world = World()
        await world.fetched(FIRST)
        world.answers = [FIRST, SECOND, BadKeys("down")]
        world.done.clear()
        assert [world.keys.doubt() for _ in range(50)] == [True] * 50
        await asyncio.wait_for(world.done.wait(), 5)
        assert len(world.asked) == 2
        assert not world.keys.doubt()
        world.now = SOON
        world.done.clear()
        assert world.keys.doubt()
        await asyncio.wait_for(world.done.wait(), 5)
        assert not world.keys.doubt()
        world.now = 2 * SOON
        world.done.clear()
        assert world.keys.doubt()
        await asyncio.wait_for(world.done.wait(), 5)
        assert world.keys.doubt()  # it could not be asked, so nobody knows
        assert len(world.asked) == 4
        world.keys.close()

    asyncio.run(play())


def test_it_asks_again_by_itself_sooner_after_a_failure() -> None:
    """After a failed start tokens would be refused for ten minutes; or an issuer that is down would be asked all the time."""

    async def play() -> None:
        world = World(Where("https://login/", "https://login/keys", refresh=60.0))
        waits = []
        for answer in (*(BadKeys("down") for _ in range(4)), FIRST, BadKeys("down")):
            await world.fetched(answer)
            timer = world.keys._timer
            assert timer is not None
            waits.append(round(timer.when() - asyncio.get_running_loop().time()))
        assert waits == [1, 2, 4, 8, 60, 1]
        world.keys.close()

    asyncio.run(play())


def test_it_asks_again_when_its_time_has_come() -> None:
    """Keys would never be renewed."""

    async def play() -> None:
        world = World(Where("https://login/", "https://login/keys", refresh=0.01))
        await world.fetched(FIRST, SECOND)
        world.done.clear()
        await asyncio.wait_for(world.done.wait(), 5)
        assert world.keys.current is not None
        assert world.keys.current.kids == {"two"}
        world.keys.close()

    asyncio.run(play())


def test_a_fetch_that_does_not_come_back_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One lost answer would be the last that was ever asked for."""
    monkeypatch.setattr("trunkline.credentials.jwks._LONGEST", 0.01)

    async def never() -> bytes:
        await asyncio.Event().wait()
        return b""

    async def play() -> None:
        world = World()
        await world.fetched(never)
        await world.fetched(RuntimeError("surprise"))
        await world.fetched(FIRST)
        assert world.reports == ["it took too long", "the gateway failed on it (RuntimeError)", None]
        world.keys.close()

    asyncio.run(play())


def test_closed_ones_fetch_and_report_no_more() -> None:
    """A configuration that is gone would go on asking, and say so."""

    async def play() -> None:
        world, gate = World(), asyncio.Event()

        async def late() -> bytes:
            try:
                await gate.wait()
            except asyncio.CancelledError:
                raise BadKeys("too late") from None
            return FIRST

        world.answers = [late]
        world.keys.begin()
        await asyncio.sleep(0)
        world.keys.close()
        await asyncio.sleep(0.01)
        world.keys.begin()
        await asyncio.sleep(0)
        assert (world.reports, world.keys.current, len(world.asked)) == ([], None, 1)

    asyncio.run(play())


def test_discovery_finds_the_keys_of_this_issuer_only() -> None:
    """The keys of another issuer, whose document was put in the place of this one's, would count."""
    document = {"issuer": "https://login/t", "jwks_uri": "https://elsewhere/keys"}

    async def play() -> None:
        world = World(Where("https://login/t"))
        await world.fetched(json.dumps(document).encode(), FIRST)
        assert world.asked == ["https://login/t/.well-known/openid-configuration", "https://elsewhere/keys"]
        for wrong in ({**document, "issuer": "https://login/t/"}, {**document, "jwks_uri": 5}, [], {}):
            await world.fetched(json.dumps(wrong).encode())
        assert world.reports[0] is None
        assert all(world.reports[1:])
        assert world.keys.current is not None
        world.keys.close()

    asyncio.run(play())


def test_keys_in_a_file_are_read_and_read_again(tmp_path: Path) -> None:
    """A machine without a way to its issuer could take no tokens, or would not see that its keys were replaced."""
    file = tmp_path / "keys.json"

    async def play() -> None:
        world = World(Where("https://login/", file=str(file)))
        await world.fetched()
        file.write_bytes(b" " * (MOST + 1))
        await world.fetched()
        file.write_bytes(FIRST)
        await world.fetched()
        assert world.reports == ["the file cannot be read (No such file or directory)", "the file is too large", None]
        file.write_bytes(SECOND)
        await world.fetched()
        assert world.keys.current is not None
        assert world.keys.current.kids == {"two"}
        world.keys.close()

    asyncio.run(play())
