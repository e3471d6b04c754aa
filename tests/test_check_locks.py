"""The locks: what the gate refuses, and that ours pass it."""

from __future__ import annotations

from email.message import Message
from pathlib import Path

import check_locks
import pytest

GOOD = "a==1.0 ; sys_platform == 'linux' \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n    # via b\n"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (GOOD, []),
        ("a==1.0\n", ["x: a==1.0 has no hash"]),
        ("a>=1.0 --hash=sha256:00\n", ["x: a>=1.0 is not pinned to one version"]),
        ("--index-url somewhere\n" + GOOD, ["x: holds the option --index-url; only packages belong in it"]),
        (
            "a @ https://example.org/a.whl --hash=sha256:00\n",
            ["x: names a download address", "x: a is not pinned to one version"],
        ),
    ],
)
def test_a_lock_that_is_not_whole_is_refused(text: str, faults: list[str]) -> None:
    """Somebody's install would take whatever a mirror serves that day."""
    assert list(check_locks.lock_faults("x", text)) == faults


def package(**headers: str) -> Message:
    """Package metadata."""
    message = Message()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return message


@pytest.mark.parametrize(
    ("metadata", "names"),
    [
        (package(License_Expression="MIT AND (Apache-2.0 OR BSD-3-Clause)"), {"MIT", "Apache-2.0", "BSD-3-Clause"}),
        (package(Classifier="License :: OSI Approved :: MIT License"), {"MIT"}),
        (package(Classifier="License :: OSI Approved", License="BSD-3-Clause"), {"BSD-3-Clause"}),
        (package(License="GPL-3.0"), {"GPL-3.0"}),
        (package(), set()),
    ],
)
def test_a_licence_is_read_from_wherever_a_package_states_it(metadata: Message, names: set[str]) -> None:
    """A dependency whose licence does not agree with ours would go unseen."""
    assert check_locks.licence(metadata) == names


def test_our_locks_pass(capsys: pytest.CaptureFixture[str]) -> None:
    """A newcomer's first command would install something nobody has looked at."""
    assert check_locks.main(Path(__file__).parents[1]) == 0, capsys.readouterr().out
