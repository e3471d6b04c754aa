"""The mirror gate: every source file has its test file, `src/trunkline/a/b.py` in `tests/a/test_b.py`.

`__init__.py` and migrations need none. Reads `[tool.trunkline.mirror]` in pyproject.toml: `exceptions`, a table of a source
path below `src/trunkline` to the reason why it has no test of its own. A stale exception is a failure too.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def unmirrored(root: Path) -> dict[str, str]:
    """Source files without a test file: path below `src/trunkline` -> the test file that is missing."""
    package = root / "src" / "trunkline"
    missing = {}
    for path in sorted(package.rglob("*.py")):
        source = path.relative_to(package)
        if path.name == "__init__.py" or "migrations" in source.parts:
            continue
        mirror = Path("tests", *source.parts[:-1], f"test_{source.name}")
        if not (root / mirror).is_file():
            missing[source.as_posix()] = mirror.as_posix()
    return missing


def main(root: Path) -> int:
    """Print what is wrong; 0 when nothing is."""
    with (root / "pyproject.toml").open("rb") as file:
        exceptions: dict[str, str] = tomllib.load(file)["tool"]["trunkline"]["mirror"].get("exceptions", {})
    missing = unmirrored(root)
    wrong = [f"src/trunkline/{source}: has no {mirror}" for source, mirror in missing.items() if source not in exceptions]
    wrong += [f"{source}: listed as an exception, but it has its test or is gone" for source in exceptions.keys() - missing]
    wrong += [f"{source}: an exception needs its reason" for source, reason in exceptions.items() if not reason.strip()]
    print("\n".join(wrong) if wrong else f"mirror: every source file has its test file, {len(exceptions)} exceptions")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
