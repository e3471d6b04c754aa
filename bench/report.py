"""What was found, as a table on the terminal and as JSON. Measures nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from processes import Cores, nginx_program

_CELLS = 20
_TARGET_CELL = 15


@dataclass
class Row:
    """One figure. With `beside`, the ratio to it is judged; else the figure itself. Lower is better but for `exact` rows."""

    section: str
    what: str
    unit: str
    rounds: list[float]
    beside: list[float] | None = None
    """The same of what it is compared with, in the same rounds."""
    target: float | None = None
    exact: bool = False
    """The target must be met to the letter, from neither side."""
    note: str = ""
    value: float = field(init=False)
    other: float | None = field(init=False)
    judged: float = field(init=False)
    passed: bool | None = field(init=False)

    def __post_init__(self) -> None:
        self.value = median(self.rounds)
        self.other = median(self.beside) if self.beside else None
        self.judged = self.value / self.other if self.other else self.value
        self.passed = None if self.target is None else self.judged == self.target if self.exact else self.judged <= self.target


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.{0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2}f}"


def _bar(row: Row) -> str:
    """How far toward the target: it stands at the mark."""
    if row.target is None or row.exact:
        return ""
    filled = max(0, min(_CELLS, round(row.judged / row.target * _TARGET_CELL)))
    cells = "█" * filled + "·" * (_CELLS - filled)
    return f"{cells[:_TARGET_CELL]}│{cells[_TARGET_CELL:]}"


def _lines(row: Row, width: int) -> list[str]:
    verdict = {None: "", True: "pass", False: "MISS"}[row.passed]
    target = "" if row.target is None else f"{'=' if row.exact else '≤'} {_figure(row.target)}{' x' if row.beside else ''}"
    ratio = f"{row.judged:.2f} x" if row.beside else ""
    cells = f"{_figure(row.value):>9} {row.unit:<10} {_figure(row.other):>8} {ratio:>8}  {target:<10} {verdict:<5}"
    lines = [f"  {row.what:<{width}} {cells} {_bar(row)}".rstrip()]
    if row.note:
        lines.append(f"  {'':<{width}} {row.note}")
    return lines


class Report:
    """Rows, printed as they come."""

    def __init__(self, cores: Cores, *, quick: bool) -> None:
        self.rows: list[Row] = []
        self.machine = {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()}",
            "processor": _processor(),
            "nginx": subprocess.run([nginx_program(), "-v"], capture_output=True, text=True, check=True).stderr.strip(),
            "measured_on_cores": sorted(cores.measured),
            "everything_else_on": sorted(cores.rest),
            "load_at_start": os.getloadavg()[0],
            "quick": quick,
        }

    def head(self) -> None:
        """What is measured, and on what."""
        machine = self.machine
        print(f"{machine['processor']}, Python {machine['python']}, {machine['nginx']}, {machine['system']}")
        print(f"measured on core {machine['measured_on_cores']}, everything else on {machine['everything_else_on']};", end=" ")
        print(f"load average at the start {machine['load_at_start']:.2f}. Keys, ledger, prices, metrics and log are on.")
        if machine["measured_on_cores"] == machine["everything_else_on"]:
            print("Only one core: what is measured and what measures it take turns, and latencies mean little.")

    def section(self, title: str, beside: str, rows: Sequence[Row]) -> None:
        """Print the rows of one section. `beside`: what stands in the second column."""
        self.rows += rows
        width = 56
        print(f"\n{title}\n  {'':<{width}} {'gateway':>9} {'':<10} {beside:>8}")
        for row in rows:
            print("\n".join(_lines(row, width)), flush=True)

    def end(self) -> None:
        """The sum."""
        judged = [row for row in self.rows if row.passed is not None]
        missed = [row.what for row in judged if not row.passed]
        print(f"\n{len(judged) - len(missed)} of {len(judged)} targets met." + (" Missed:" if missed else ""))
        for what in missed:
            print(f"  {what}")

    def as_dict(self) -> dict[str, object]:
        """Everything, for a file."""
        return {"machine": self.machine, "rows": [asdict(row) for row in self.rows]}


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
