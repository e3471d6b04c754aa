"""Ask the package index for known vulnerabilities of what we ship. Exit code 0: none known; 1: some; 3: could not be checked.

pip-audit counts a package that the index knows nothing about as passed. Here it counts as not checked, and so does an index
that cannot be reached: an audit that did not happen must not look like one that found nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

NOT_CHECKED = 3


def verdict(report: dict[str, Any]) -> tuple[int, list[str]]:
    """Exit code and lines to print for a pip-audit report (its JSON form)."""
    packages = report["dependencies"]
    found = [
        f"{package['name']} {package['version']}: {known['id']}, mended in {', '.join(known['fix_versions']) or 'no version'}"
        for package in packages
        for known in package.get("vulns", ())
    ]
    code = 1 if found else 0
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if not packages:
        found.append("not checked: nothing was audited")
    elif unknown:
        found.append(f"not checked: the index gave no vulnerability data for {len(unknown)} of {len(packages)} packages")
    if code == 0 and (unknown or not packages):
        code = NOT_CHECKED
    return code, found or [f"audit: no known vulnerability in {len(packages)} packages"]


def main() -> int:
    """Run pip-audit over the runtime lock and judge its report."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", "locks/runtime.txt", "--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "20"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        code, lines = verdict(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        code, lines = NOT_CHECKED, ["not checked: the vulnerability service did not answer in time"]
    except (ValueError, KeyError):
        reason = done.stderr.strip().rpartition("\n")[2] or "pip-audit gave no report"
        code, lines = NOT_CHECKED, [f"not checked: the vulnerability service could not be asked: {reason[:200]}"]
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
