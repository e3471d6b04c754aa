"""Keys that clients have already, as other gateways list them: names with hashes or with the secrets themselves.

Nothing read here is repeated in a message. LiteLLM keeps the SHA-256 of a key as plain hexadecimal digits: taken as it is.
"""

from __future__ import annotations

import csv
import hashlib
import re

from trunkline.config import values

MAX_BYTES = 16 * 1024 * 1024
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_HASHES = frozenset({"hash", "token", "sha256", "key_hash"})
"""What the second column is called where it holds hashes; `token` is LiteLLM's word."""
_SECRETS = frozenset({"secret", "key", "api_key"})
_NO_NAME = re.compile(r"[0-9a-fA-F]{64}|(?:sk|tl)-[\w-]{16,}", re.ASCII)
"""What stands first where the columns are the other way round: as a name it would be shown everywhere."""


def hashed(text: str) -> bytes:
    """The SHA-256 that 64 hexadecimal digits mean, with or without `sha256:` before them. Raises ValueError."""
    text = text.strip()
    return values.digest(f"sha256:{text}" if _HEX.fullmatch(text) else text)


def read_list(content: bytes) -> list[tuple[str, bytes]]:
    """Names and SHA-256s of lines of CSV. Raises ValueError, which names the line.

    A first line such as `name,hash` or `name,secret` says which it is; without one, 64 hexadecimal digits are a hash.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES // 2**20} MiB")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError("not UTF-8 text") from None
    found: list[tuple[str, bytes]] = []
    plain = False
    """The second column holds secrets, whatever they look like."""
    for number, cells in enumerate(csv.reader(lines), 1):
        if not cells or not "".join(cells).strip() or cells[0].startswith("#"):
            continue
        name, *rest = (cell.strip() for cell in cells)
        if not name or len(rest) != 1 or _NO_NAME.fullmatch(name):
            raise ValueError(f"line {number}: must be a name and then a hash or secret, with a comma between them")
        if not found and rest[0].lower() in _HASHES | _SECRETS:
            plain = rest[0].lower() in _SECRETS
            continue
        try:
            found.append((name, _digest(rest[0], plain=plain)))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    if not found:
        raise ValueError("holds no keys")
    return found


def _digest(text: str, *, plain: bool) -> bytes:
    if not plain and (text.startswith("sha256:") or _HEX.fullmatch(text)):
        return hashed(text)
    return hashlib.sha256(values.client_secret(text).encode("ascii")).digest()
