"""The counters: plain integers on the hot path, Prometheus text when somebody asks.

Every label value comes from a closed list or from configured names, never from a client's text, and the number of label sets
is bounded, so that no client can grow them. What other rooms count themselves (pool, journal, log) is read by callbacks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Literal

import msgspec
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from trunkline.telemetry.lines import RequestLine

MAX_SERIES = 1000
"""Sets of (endpoint, provider, model); any more are counted together as `other`."""

OTHER = "other"
NONE = "none"
"""The label of what a request never got to have: no provider, where it was refused before one was chosen."""

DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Upper bounds in seconds; from a refusal to a long stream."""
FIRST_BYTE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds in seconds."""

_DURATION_US = tuple(round(bound * 1e6) for bound in DURATION_BUCKETS)
_FIRST_BYTE_US = tuple(round(bound * 1e6) for bound in FIRST_BYTE_BUCKETS)

Labels = tuple[str, ...]
Reading = Callable[[], Mapping[Labels, float]]
"""Gives the present values by label values; `{(): value}` where there are no labels."""


class _Histogram:
    """Counts of whole microseconds by bucket."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[int]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0

    def add(self, value: int) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def write(self, family: HistogramMetricFamily, labels: Labels) -> None:
        """Add our counts to `family`, cumulative and in seconds as the format wants them."""
        bounds = [*(str(bound / 1e6) for bound in self.bounds), "+Inf"]
        family.add_metric(labels, list(zip(bounds, accumulate(self.counts), strict=True)), self.total / 1e6)


class _Series:
    """All that is counted for one (endpoint, provider, model)."""

    __slots__ = ("cost_nano", "duration", "first_byte", "input_tokens", "outcomes", "output_tokens", "unpriced")

    def __init__(self) -> None:
        self.outcomes: dict[tuple[int, str], int] = {}
        self.duration = _Histogram(_DURATION_US)
        self.first_byte = _Histogram(_FIRST_BYTE_US)
        self.input_tokens = 0
        self.output_tokens = 0
        self.cost_nano = 0
        self.unpriced = 0

    def add(self, line: RequestLine) -> None:
        outcome = (line.status // 100, line.outcome)
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self.duration.add(line.duration_us)
        if line.first_byte_us:
            self.first_byte.add(line.first_byte_us)
        self.input_tokens += line.input_tokens
        self.output_tokens += line.output_tokens
        if line.cost_nano is not None:
            self.cost_nano += line.cost_nano
        elif line.basis != "none":
            self.unpriced += 1


class _Watched(msgspec.Struct, frozen=True):
    """A family whose values another room knows."""

    kind: Literal["gauge", "counter"]
    name: str
    help: str
    labels: Labels
    read: Reading


class Metrics:
    """The process's metrics. `request` is for the hot path, `page` for the admin endpoint."""

    def __init__(self, version: str, *, max_series: int = MAX_SERIES) -> None:
        """`version` is shown as `trunkline_build_info`."""
        self.requests_in_flight = 0
        """Set by the pipeline: exchanges that have begun and not ended."""
        self.retries = 0
        """Counted by the pipeline: attempts at a target that had failed the same request before."""
        self.fallbacks = 0
        """Counted by the pipeline: attempts at another target than the one before."""
        self.hedges = {"won": 0, "lost": 0, "failed": 0}
        """Counted by the pipeline: second targets that were asked beside a slow first one, by what became of them."""
        self.refused: dict[str, int] = {}
        """Counted by the pipeline: times that a limit or a budget refused, by which kind."""
        self._version = version
        self._max_series = max_series
        self._series: dict[tuple[str, str, str], _Series] = {}
        self._errors: dict[str, int] = {}
        self._attempts: dict[tuple[str, str], int] = {}
        self._models: frozenset[str] = frozenset()
        self._providers: frozenset[str] = frozenset()
        self._watched: list[_Watched] = []
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def configure(self, *, models: Iterable[str], providers: Iterable[str]) -> None:
        """The names that may become labels; everything else is `other`. Called again when the configuration changes."""
        self._models = frozenset(models)
        self._providers = frozenset(providers)

    def watch(
        self, kind: Literal["gauge", "counter"], name: str, help_text: str, read: Reading, *, labels: Labels = ()
    ) -> None:
        """Show what `read` gives at each scrape. `name` begins with `trunkline_`; a counter's ends with `_total`."""
        self._watched.append(_Watched(kind, name, help_text, labels, read))

    def request(self, line: RequestLine) -> None:
        """Count one settled request. One look-up and some additions."""
        provider = line.provider or NONE
        model = line.model or NONE
        key = (
            line.endpoint or NONE,
            provider if provider in self._providers or provider == NONE else OTHER,
            model if model in self._models or model == NONE else OTHER,
        )
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= self._max_series:
                key = (OTHER, OTHER, OTHER)
            series = self._series.setdefault(key, _Series())
        series.add(line)
        if line.error:
            self._errors[line.error] = self._errors.get(line.error, 0) + 1

    def attempt(self, provider: str, result: str) -> None:
        """Count one attempt. `result`: `ok` or the kind of its failure."""
        key = (provider if provider in self._providers else OTHER, result)
        self._attempts[key] = self._attempts.get(key, 0) + 1

    def page(self) -> Page:
        """Everything as it is now. Called in the loop's thread: what other rooms count changes there."""
        return Page(self, [(watched, dict(watched.read())) for watched in self._watched])

    def families(self) -> Iterator[Metric]:
        """The process's own numbers, and ours but for those that are watched; in any thread."""
        yield from self._registry.collect()
        build = GaugeMetricFamily("trunkline_build_info", "The running version; always 1.", labels=["version"])
        build.add_metric([self._version], 1)
        yield build
        yield GaugeMetricFamily(
            "trunkline_requests_in_flight", "Requests that have begun and not ended.", value=self.requests_in_flight
        )
        errors = CounterMetricFamily("trunkline_errors", "Failed requests by kind of failure.", labels=["kind"])
        for kind, count in list(self._errors.items()):
            errors.add_metric([kind], count)
        yield errors
        attempts = CounterMetricFamily("trunkline_attempts", "Tries at providers.", labels=["provider", "result"])
        for tried, count in list(self._attempts.items()):
            attempts.add_metric(tried, count)
        yield attempts
        yield CounterMetricFamily("trunkline_retries", "Tries at a target that had failed before.", value=self.retries)
        yield CounterMetricFamily("trunkline_fallbacks", "Tries at another target than the one before.", value=self.fallbacks)
        hedges = CounterMetricFamily("trunkline_hedges", "Second targets asked beside a slow first one.", labels=["result"])
        for result, count in self.hedges.items():
            hedges.add_metric([result], count)
        yield hedges
        refused = CounterMetricFamily("trunkline_refused", "Refusals by limits and budgets.", labels=["reason"])
        for reason, count in list(self.refused.items()):
            refused.add_metric([reason], count)
        yield refused
        yield from _series_families(list(self._series.items()))


class Page(Collector):
    """What a scrape shows. With many models writing it takes a tenth of a second: not in the loop's thread."""

    def __init__(self, metrics: Metrics, watched: Sequence[tuple[_Watched, Mapping[Labels, float]]]) -> None:
        self._metrics = metrics
        self._watched = watched

    def render(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self)

    @override
    def collect(self) -> Iterator[Metric]:
        """The families, made from the integers of this moment."""
        yield from self._metrics.families()
        for watched, values in self._watched:
            make = GaugeMetricFamily if watched.kind == "gauge" else CounterMetricFamily
            family = make(watched.name, watched.help, labels=watched.labels)
            for labels, value in values.items():
                family.add_metric(labels, value)
            yield family


def _series_families(all_series: Sequence[tuple[tuple[str, str, str], _Series]]) -> Iterator[Metric]:
    """What is counted by endpoint, provider and model."""
    by = ("endpoint", "provider", "model")
    requests = CounterMetricFamily("trunkline_requests", "Settled requests.", labels=[*by, "status", "outcome"])
    tokens = CounterMetricFamily("trunkline_tokens", "Tokens used, as the ledger counts them.", labels=[*by, "direction"])
    cost = CounterMetricFamily("trunkline_cost_usd", "Money spent, in US dollars.", labels=by)
    unpriced = CounterMetricFamily("trunkline_unpriced_requests", "Requests whose use has no known price.", labels=by)
    duration = HistogramMetricFamily(
        "trunkline_request_duration_seconds", "From the request to the end of its answer.", labels=by
    )
    first_byte = HistogramMetricFamily(
        "trunkline_first_byte_seconds", "From the request to its answer's first byte.", labels=by
    )
    for labels, series in all_series:
        for (hundreds, outcome), count in list(series.outcomes.items()):
            requests.add_metric([*labels, f"{hundreds}xx", outcome], count)
        tokens.add_metric([*labels, "input"], series.input_tokens)
        tokens.add_metric([*labels, "output"], series.output_tokens)
        cost.add_metric(labels, series.cost_nano / 1e9)
        unpriced.add_metric(labels, series.unpriced)
        series.duration.write(duration, labels)
        series.first_byte.write(first_byte, labels)
    yield from (requests, tokens, cost, unpriced, duration, first_byte)
