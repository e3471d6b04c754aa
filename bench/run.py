"""`make bench`: measure the gateway against `nginx proxy_pass` on this machine. See docs/benchmarks.md.

Everything runs on the loopback address, in a temporary folder, and is ended at the end.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
from pathlib import Path

from hedging import HEDGING
from ledger import LEDGER
from limits import LIMITS
from meters import METERS
from overload import OVERLOAD
from passing import PASSING
from processes import BenchError, Cores, upstream
from report import Report
from routing import ROUTING
from rows import SECTIONS, Bench

_ALL = SECTIONS | PASSING | OVERLOAD | ROUTING | HEDGING | LIMITS | METERS
_ALONE = LEDGER
"""Only where it is named: it takes long, and much of the disk."""


def main() -> int:
    """The program. 1 where something makes the figures worthless; a missed target is no failure."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure the gateway against nginx proxy_pass.")
    parser.add_argument("--quick", action="store_true", help="shorter rounds, 1,000 streams held: a first impression")
    parser.add_argument("--only", metavar="NAME", action="append", choices=_ALL | _ALONE, help=", ".join(_ALL | _ALONE))
    parser.add_argument("--save", metavar="FILE", type=Path, help="write all figures, round by round, as JSON")
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cores = Cores.split()
    try:
        report = Report(cores, quick=arguments.quick)
        report.head()
        with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as folder, upstream(cores, Path(folder)) as port:
            bench = Bench(cores, Path(folder), port, quick=arguments.quick)
            for name in arguments.only or _ALL:
                title, beside, measure = (_ALL | _ALONE)[name]
                report.section(title, beside, measure(bench))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    report.end()
    if arguments.save:
        arguments.save.write_text(json.dumps(report.as_dict(), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
