"""The metrics of several processes as one page: what each says of itself, and how that adds up.

Counters and histograms are summed. A worker that ended must not take its counts with it, for a sum that falls looks like a
restart of everything, and what is left of it like a flood: its successor goes on from what was last shown. Gauges are summed
where the sum says something; the others have the label `worker`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

Labels = tuple[tuple[str, str], ...]
SUMMED = frozenset(
    f"trunkline_{name}"
    for name in (
        "requests_in_flight",
        "reserved_nano",
        "alerts_pending",
        "concurrent",
        "drains",
        "journal_backlog",
        "meters_unsent",
        "pool_connections",
        "pool_waiting",
        "pool_asking",
        "pool_limit",
    )
)
"""Gauges that are numbers of things, each of which one process has."""
SAME = frozenset({"trunkline_build_info", "python_info"})
"""Gauges that say the same of all processes."""
EACH = frozenset({"trunkline_config_reloads"})
"""Counters of what each worker does once for all of them."""


class Family(msgspec.Struct, frozen=True, array_like=True):
    """One metric of one process."""

    name: str
    kind: str
    help: str
    samples: list[tuple[str, Labels, float]]
    """Name with its suffix, labels in the order in which they are written, value."""

    @property
    def grows(self) -> bool:
        """Its values never fall while a process lives."""
        return self.kind in {"counter", "histogram"}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Family]).decode


def told(page: Collector) -> list[Family]:
    """What a process says. With many models it takes a tenth of a second: not in the loop's thread."""
    return [
        Family(
            family.name,
            family.type,
            family.documentation,
            [(sample.name, tuple(sample.labels.items()), sample.value) for sample in family.samples],
        )
        for family in page.collect()
    ]


def pack(families: list[Family]) -> bytes:
    """For another process."""
    return _encode(families)


def unpack(data: bytes) -> list[Family]:
    """What another process said. Raises `msgspec.MsgspecError`."""
    return _decode(data)


def lasting(families: Iterable[Family]) -> list[Family]:
    """What is still true of a process that has ended: its counts. Those of the process itself (`process_…`) are its own."""
    return [family for family in families if family.grows and family.name.startswith("trunkline_")]


def added(pages: Iterable[Iterable[Family]]) -> list[Family]:
    """The families of several pages, equal samples summed."""
    sums: dict[str, tuple[Family, dict[tuple[str, Labels], float]]] = {}
    for family in (family for page in pages for family in page):
        _, values = sums.setdefault(family.name, (family, {}))
        for name, labels, value in family.samples:
            values[name, labels] = values.get((name, labels), 0.0) + value
    return [_with(family, values) for family, values in sums.values()]


def merged(pages: Mapping[int, Iterable[Family]]) -> bytes:
    """One page in Prometheus' text format of what several workers say."""
    first = min(pages)
    told_once = (
        (worker, family) for worker, page in pages.items() for family in page if worker == first or family.name not in SAME
    )
    return generate_latest(_Page(added([[_fit(family, worker) for worker, family in told_once]])))


def _fit(family: Family, worker: int) -> Family:
    """The family so that its samples may be added to those of other workers."""
    counts = family.grows and family.name.startswith("trunkline_") and family.name not in EACH
    if counts or family.name in SUMMED or family.name in SAME:
        return family
    samples = [(name, (*labels, ("worker", str(worker))), value) for name, labels, value in family.samples]
    return msgspec.structs.replace(family, samples=samples)


def _with(family: Family, values: Mapping[tuple[str, Labels], float]) -> Family:
    return msgspec.structs.replace(family, samples=[(name, labels, value) for (name, labels), value in values.items()])


class _Page(Collector):
    """Families as the library writes them."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    @override
    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            metric = Metric(family.name, family.help, family.kind)
            for name, labels, value in family.samples:
                metric.add_sample(name, dict(labels), value)
            yield metric
