"""Which values of a configuration are secrets, and whether the file that holds them is kept well.

Secrets are `SecretStr` once validated, so that no `repr` shows them. Masking them in messages is in `mistakes`; in logs, in
`telemetry`.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trunkline.config.mistakes import KeyPath

_FIELDS = frozenset({"api_key", "proxy", "secret", "secret_access_key", "session_token"})
_PATHS = frozenset({("redis", "url"), ("store", "url")})


def secret_values(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Every text in plain values that stands where a secret stands, with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from secret_values(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from secret_values(item, (*path, index))
    elif isinstance(value, str) and value != "none" and _is_secret(path):
        yield path, value


def _is_secret(path: KeyPath) -> bool:
    """Also a provider's headers and each of its keys, but not the patterns of headers that a rule looks at."""
    field, parent, above = path[-1:], path[-2:-1], path[-3:-2]
    if path in _PATHS:
        return True
    return not _FIELDS.isdisjoint(field) or parent == ("api_keys",) or (parent == ("headers",) and above != ("when",))


def permission_warning(file: Path) -> str | None:
    """What to tell when a file with secrets in it can be read by others than its owner."""
    mode = stat.S_IMODE(file.stat().st_mode)
    if not mode & (stat.S_IRGRP | stat.S_IROTH):
        return None
    return f"{file}: holds a secret and can be read by others (mode {mode:04o}); use '${{VAR}}' or: chmod 600 {file}"
