"""The audit that needs no network: the locks pin and hash everything and name no place; the licences agree with ours.

Known vulnerabilities are asked for by `scripts/audit.py`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import cast

from packaging.requirements import Requirement

LOCKS = ("runtime.txt", "build.txt", "dev.txt")

COMPATIBLE = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}
)
"""SPDX names (and the bare `BSD` of old metadata) that an Apache-2.0 program may depend on."""

_OLD_NAMES = {
    "MIT License": "MIT",
    "BSD License": "BSD",
    "Apache Software License": "Apache-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "ISC License (ISCL)": "ISC",
}
"""What old metadata says in a `License ::` classifier -> SPDX."""


def entries(text: str) -> Iterator[str]:
    """The requirements of a lock, each with its continuation lines joined, comments left out."""
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in kept.replace("\\\n", " ").splitlines():
        if line.strip():
            yield line.strip()


def lock_faults(name: str, text: str) -> Iterator[str]:
    """What is wrong with one lock."""
    if re.search(r"[a-z+]+://", text):
        yield f"{name}: names a download address"
    for entry in entries(text):
        if entry.startswith("-"):
            yield f"{name}: holds the option {entry.split()[0]}; only packages belong in it"
        elif "==" not in entry.split(";")[0]:
            yield f"{name}: {entry.split()[0]} is not pinned to one version"
        elif "--hash=sha256:" not in entry:
            yield f"{name}: {entry.split()[0]} has no hash"


def licence(package: Message) -> frozenset[str]:
    """The SPDX names a package states, by its expression, its classifiers or its licence field, in this order; may be empty."""
    if expression := package.get("License-Expression"):
        return frozenset(re.split(r"\s+(?:AND|OR|WITH)\s+|[()\s]+", expression)) - {"", "AND", "OR", "WITH"}
    stated = [line.rpartition(" :: ")[2] for line in package.get_all("Classifier") or () if line.startswith("License ::")]
    if names := [_OLD_NAMES.get(line, line) for line in stated if line != "OSI Approved"]:
        return frozenset(names)
    field = (package.get("License") or "").strip()
    return frozenset({_OLD_NAMES.get(field, field)} if field else ())


def licence_faults(runtime: str) -> Iterator[str]:
    """Runtime packages, as far as this machine installs them, whose licence is unknown or does not agree with ours."""
    for entry in entries(runtime):
        requirement = Requirement(entry.split("--hash", 1)[0])
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        stated = licence(cast("Message", metadata.metadata(requirement.name)))
        if not stated or not stated <= COMPATIBLE:
            yield f"{requirement.name}: licence {', '.join(sorted(stated)) or 'not stated'}"


def main(root: Path) -> int:
    """Print what is wrong; 0 when nothing is."""
    texts = {name: (root / "locks" / name).read_text(encoding="utf-8") for name in LOCKS}
    wrong = [fault for name, text in texts.items() for fault in lock_faults(f"locks/{name}", text)]
    wrong += licence_faults(texts["runtime.txt"])
    print("\n".join(wrong) if wrong else "locks: pinned, hashed, no address; runtime licences agree with Apache-2.0")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
