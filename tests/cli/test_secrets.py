"""Lists of keys that clients have already."""

from __future__ import annotations

import hashlib

import pytest

from trunkline.cli.secrets import MAX_BYTES, hashed, read_list

SECRET = "sk-litellm-0123456789"
HASH = hashlib.sha256(SECRET.encode())
DIGEST, HEX = HASH.digest(), HASH.hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        f"a,{HEX}",
        f"a,sha256:{HEX}",
        f"a,{HEX.upper()}",
        f"a,{SECRET}",
        f" a , {SECRET} ",
        f'"a","{SECRET}"',
        f"\ufeffname,hash\r\na,{HEX}\r\n",
        f"name,token\na,{HEX}",
        f"name,SECRET\na,{SECRET}",
        f"# of the old gateway\n\n,\na,{HEX}\n\n",
    ],
)
def test_one_key(text: str) -> None:
    """As it is exported, or written by hand."""
    assert read_list(text.encode()) == [("a", DIGEST)]


def test_a_secret_that_looks_like_a_hash() -> None:
    """Some keys are 64 hexadecimal digits: the first line says what they are."""
    assert read_list(f"name,secret\na,{HEX}".encode()) == [("a", hashlib.sha256(HEX.encode()).digest())]


def test_the_order_is_kept() -> None:
    """Of ten thousand."""
    lines = "".join(f"k{n},secret-number-{n:06}\n" for n in range(10_000))
    found = read_list(lines.encode())
    assert [name for name, _ in found] == [f"k{n}" for n in range(10_000)]
    assert found[7][1] == hashlib.sha256(b"secret-number-000007").digest()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no keys"),
        (b"name,hash\n", "holds no keys"),
        (f"a,{HEX}\nb".encode(), "line 2: must be a name and then a hash or secret"),
        (f"a,{HEX},x".encode(), "line 1: must be a name and then a hash or secret"),
        (f",{HEX}".encode(), "line 1: must be a name and then a hash or secret"),
        (f"{HEX},a-key-of-sixteen-characters".encode(), "line 1: must be a name and then"),
        (b"name,secret\nsk-abcdefghijklmnopqrst,a-key-of-sixteen-characters", "line 2: must be a name and then"),
        (b"a,short", "line 1: must be 16 to 512 printable ASCII characters"),
        (b"a,sha256:abcd", "line 1: must be 'sha256:' and 64 hexadecimal digits"),
        (f"\na,{hashlib.sha256(b'sk-1234').hexdigest()}".encode(), "line 2: is the hash of an empty or well-known word"),
        (b"\xff\xfe", "not UTF-8 text"),
        (b"a" * (MAX_BYTES + 1), "larger than 16 MiB"),
    ],
)
def test_what_cannot_be_taken_in(content: bytes, says: str) -> None:
    """The line is named, and nothing that may be a secret."""
    with pytest.raises(ValueError, match=says) as refusal:
        read_list(content)
    assert HEX not in str(refusal.value)


def test_a_hash_alone() -> None:
    """As `keys import NAME --hash` takes it."""
    assert hashed(f" {HEX} ") == hashed(f"sha256:{HEX}") == DIGEST
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        hashed(SECRET)
