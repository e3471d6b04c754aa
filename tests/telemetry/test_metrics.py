"""What a scrape shows, read by Prometheus' own parser."""

from __future__ import annotations

import timeit

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from trunkline.telemetry.lines import RequestLine
from trunkline.telemetry.metrics import DURATION_BUCKETS, Metrics

LINE = RequestLine(
    1,
    "req_1",
    "laptop",
    "POST",
    "/v1",
    "chat.completions",
    "smart",
    "openai",
    "gpt-4.1",
    200,
    "ok",
    duration_us=30_000,
    first_byte_us=2_000,
    input_tokens=100,
    output_tokens=20,
    cost_nano=1_500_000_000,
    basis="reported",
)
BY = {"endpoint": "chat.completions", "provider": "openai", "model": "smart"}


def made() -> Metrics:
    """Metrics that know one model and one provider."""
    metrics = Metrics("1.2.3")
    metrics.configure(models=["smart"], providers=["openai"])
    return metrics


def scrape(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by name and labels."""
    families = text_string_to_metric_families(metrics.page().render().decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """One sample."""
    return scrape(metrics)[name, frozenset(labels.items())]


def test_a_request_is_counted_in_every_family() -> None:
    """Dashboards and alerts read these names and labels; a changed one goes silent."""
    metrics = made()
    metrics.request(LINE)
    metrics.request(LINE)
    assert value(metrics, "trunkline_requests_total", **BY, status="2xx", outcome="ok") == 2
    assert value(metrics, "trunkline_tokens_total", **BY, direction="input") == 200
    assert value(metrics, "trunkline_tokens_total", **BY, direction="output") == 40
    assert value(metrics, "trunkline_cost_usd_total", **BY) == 3.0
    assert value(metrics, "trunkline_unpriced_requests_total", **BY) == 0
    assert value(metrics, "trunkline_request_duration_seconds_count", **BY) == 2
    assert value(metrics, "trunkline_request_duration_seconds_sum", **BY) == 0.06
    assert value(metrics, "trunkline_first_byte_seconds_count", **BY) == 2
    assert value(metrics, "trunkline_build_info", version="1.2.3") == 1


def test_histogram_buckets_are_cumulative_and_closed_at_their_bound() -> None:
    """Percentiles on the dashboard would be wrong."""
    metrics = made()
    for duration in (5_000, 5_001, 700_000_000):
        metrics.request(msgspec.structs.replace(LINE, duration_us=duration))
    counts = [value(metrics, "trunkline_request_duration_seconds_bucket", **BY, le=str(bound)) for bound in DURATION_BUCKETS]
    assert counts == [1.0, *([2.0] * (len(DURATION_BUCKETS) - 1))]
    assert value(metrics, "trunkline_request_duration_seconds_bucket", **BY, le="+Inf") == 3


def test_a_request_without_a_first_byte_does_not_count_as_an_instant_one() -> None:
    """Broken answers would make the time to first byte look better."""
    metrics = made()
    metrics.request(msgspec.structs.replace(LINE, first_byte_us=0))
    assert value(metrics, "trunkline_first_byte_seconds_count", **BY) == 0


def test_names_a_client_makes_up_never_become_labels() -> None:
    """A client could grow the metrics without bound, or write into them."""
    metrics = made()
    for number in range(50):
        metrics.request(msgspec.structs.replace(LINE, model=f"made-up-{number}", provider='x"} 1\ny'))
    text = metrics.page().render().decode()
    assert "made-up" not in text
    labels = {"endpoint": "chat.completions", "provider": "other", "model": "other", "status": "2xx", "outcome": "ok"}
    assert value(metrics, "trunkline_requests_total", **labels) == 50


def test_a_request_refused_before_routing_is_counted_under_none() -> None:
    """A wave of bad keys would not be seen."""
    metrics = made()
    refused = RequestLine(1, "r", "", "POST", "/v1", "", "", "", "", 401, "refused", "unauthenticated")
    metrics.request(refused)
    metrics.request(refused)
    labels = {"endpoint": "none", "provider": "none", "model": "none", "status": "4xx", "outcome": "refused"}
    assert value(metrics, "trunkline_requests_total", **labels) == 2
    assert value(metrics, "trunkline_errors_total", kind="unauthenticated") == 2


def test_the_number_of_series_is_bounded() -> None:
    """A configuration with thousands of models would make every scrape megabytes."""
    metrics = Metrics("1", max_series=3)
    metrics.configure(models=[f"m{number}" for number in range(10)], providers=["openai"])
    for number in range(10):
        metrics.request(msgspec.structs.replace(LINE, model=f"m{number}"))
    counts = {labels: v for (name, labels), v in scrape(metrics).items() if name == "trunkline_requests_total"}
    assert sorted(counts.values()) == [1, 1, 1, 7]


def test_use_without_a_price_is_told_apart_from_free_and_from_none() -> None:
    """Spending would be understated and nobody would know; or a provider that is down would look like unknown spending."""
    metrics = made()
    metrics.request(msgspec.structs.replace(LINE, cost_nano=None))
    metrics.request(msgspec.structs.replace(LINE, cost_nano=None, input_tokens=0, output_tokens=0, basis="none"))
    metrics.request(msgspec.structs.replace(LINE, cost_nano=0))
    assert value(metrics, "trunkline_unpriced_requests_total", **BY) == 1


def test_what_other_rooms_count_is_read_at_each_scrape() -> None:
    """A full pool or a growing journal would not be seen until it hurts."""
    metrics = made()
    open_connections = {("https://api.openai.com", "idle"): 3.0}
    metrics.watch("gauge", "trunkline_pool_connections", "Connections.", lambda: open_connections, labels=("origin", "state"))
    metrics.watch("counter", "trunkline_log_lines_dropped_total", "Lines lost.", lambda: {(): 7.0})
    metrics.requests_in_flight = 2
    assert value(metrics, "trunkline_pool_connections", origin="https://api.openai.com", state="idle") == 3
    assert value(metrics, "trunkline_log_lines_dropped_total") == 7
    assert value(metrics, "trunkline_requests_in_flight") == 2
    open_connections["https://api.openai.com", "idle"] = 4.0
    assert value(metrics, "trunkline_pool_connections", origin="https://api.openai.com", state="idle") == 4


def test_counting_costs_a_few_microseconds() -> None:
    """Every request would pay for the dashboard."""
    metrics = made()
    assert min(timeit.repeat(lambda: metrics.request(LINE), number=2000, repeat=10)) / 2000 < 5e-6


def test_attempts_are_counted_by_provider_and_result() -> None:
    """An alert on a failing provider must fire while its fallback still answers; clients cannot make up labels."""
    metrics = made()
    for provider, result in (("openai", "ok"), ("openai", "upstream_failed"), ("openai", "ok"), ("made-up", "ok")):
        metrics.attempt(provider, result)
    metrics.retries, metrics.fallbacks = 2, 1
    page = metrics.page().render().decode()
    for line in (
        'trunkline_attempts_total{provider="openai",result="ok"} 2.0',
        'trunkline_attempts_total{provider="openai",result="upstream_failed"} 1.0',
        'trunkline_attempts_total{provider="other",result="ok"} 1.0',
        "trunkline_retries_total 2.0",
        "trunkline_fallbacks_total 1.0",
    ):
        assert line in page.splitlines()
