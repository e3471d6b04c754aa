"""Run every gate, also when one fails, and sum up at the end. Exit code 1 when any failed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

BIN = Path(sys.executable).parent
NOT_CHECKED = 3

GATES: dict[str, list[str]] = {
    "format": [f"{BIN}/ruff", "format", "--check", "."],
    "lint": [f"{BIN}/ruff", "check", "."],
    "types": [f"{BIN}/mypy"],
    "walls": [f"{BIN}/lint-imports", "--no-logo"],
    "size": [sys.executable, "scripts/check_size.py"],
    "mirror": [sys.executable, "scripts/check_mirror.py"],
    "locks": [sys.executable, "scripts/check_locks.py"],
    "audit": [sys.executable, "scripts/audit.py"],
}


def main(names: list[str]) -> int:
    """Run the gates called `names`, or all."""
    words = {0: "ok", NOT_CHECKED: "not checked"}
    results = {}
    for name in names or GATES:
        print(f"--- {name}", flush=True)
        started = time.monotonic()
        # Only the audit can be out of reach; any other tool's exit code 3 is a failure like the rest.
        code = subprocess.run(GATES[name], check=False).returncode
        code = 1 if code == NOT_CHECKED and name != "audit" else code
        results[name] = code
        print(f"    {words.get(code, 'failed')} ({time.monotonic() - started:.1f} s)", flush=True)
    print("\n" + "  ".join(f"{name}: {words.get(code, 'FAILED')}" for name, code in results.items()))
    failed = any(code not in words for code in results.values())
    print("check: FAILED" if failed else "check: passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
