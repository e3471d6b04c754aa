"""The sum of the gates: all of them run, and one failure is a failure."""

from __future__ import annotations

import sys

import check
import pytest


def gate(code: int) -> list[str]:
    """A gate that ends with `code`."""
    return [sys.executable, "-c", f"raise SystemExit({code})"]


@pytest.mark.parametrize(
    ("codes", "code", "summary"),
    [
        ({"lint": 0, "audit": 0}, 0, "lint: ok  audit: ok"),
        ({"lint": 1, "types": 0}, 1, "lint: FAILED  types: ok"),
        ({"lint": 0, "audit": 3}, 0, "lint: ok  audit: not checked"),
        ({"lint": 3, "audit": 1}, 1, "lint: FAILED  audit: FAILED"),
    ],
)
def test_every_gate_runs_and_the_sum_tells(
    codes: dict[str, int], code: int, summary: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first failure would hide the rest; or an audit that could not be made would count as passed."""
    monkeypatch.setattr(check, "GATES", {name: gate(ends) for name, ends in codes.items()})
    assert check.main([]) == code
    assert summary in capsys.readouterr().out


def test_gates_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever mends one gate would wait for all of them."""
    monkeypatch.setattr(check, "GATES", {"lint": gate(0), "types": gate(1)})
    assert check.main(["lint"]) == 0
