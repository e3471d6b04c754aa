"""The number under which sums of a combination of key, holders, model, provider and target are kept. Nothing else.

It is a digest, so that processes and migrations agree on it without asking one another, and names may be of any length.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache


@lru_cache(maxsize=65_536)
def group_id(names: tuple[str, ...]) -> int:
    """The number, above 0 and within 63 bits; for ever the same, because sums stand under it."""
    told = "\0".join(f"{len(name)}:{name}" for name in names).encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest(), "big") >> 1 or 1
