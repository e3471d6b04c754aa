"""Metrics of several processes as one page, read by Prometheus' own parser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from trunkline.telemetry.lines import RequestLine
from trunkline.telemetry.merging import Family, added, lasting, merged, pack, told, unpack
from trunkline.telemetry.metrics import Metrics

BY = {"endpoint": "chat.completions", "provider": "openai", "model": "smart"}


def page(requests: int, *, model: str = "smart", micros: int = 30_000, busy: int = 0) -> list[Family]:
    """What a process says that served so many requests."""
    metrics = Metrics("1.2.3")
    metrics.configure(models=["smart", "other-one"], providers=["openai"])
    metrics.requests_in_flight = busy
    metrics.watch("gauge", "trunkline_journal_healthy", "1 while it can be written.", lambda: {(): 1})
    metrics.watch("counter", "trunkline_config_reloads_total", "Times.", lambda: {("applied",): 1}, labels=("result",))
    for number in range(requests):
        metrics.request(
            RequestLine(
                number, "r", "k", "POST", "/v1", "chat.completions", model, "openai", "t", 200, "ok",
                duration_us=micros, input_tokens=3, cost_nano=1_000_000_000,
            )
        )  # fmt: skip
    return told(metrics.page())


def read(pages: Mapping[int, Iterable[Family]]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of the merged page, by name and labels; each must be there once."""
    samples = [one for family in text_string_to_metric_families(merged(pages).decode()) for one in family.samples]
    found = {(one.name, frozenset(one.labels.items())): one.value for one in samples}
    assert len(found) == len(samples)
    return found


def test_counts_and_histograms_are_summed() -> None:
    """A rate over all processes is what an operator asks for; that there are several is no concern of a dashboard."""
    found = read({0: page(2), 3: page(5, micros=200_000), 4: page(1, model="other-one")})

    def value(name: str, **labels: str) -> float:
        return found[name, frozenset({**BY, **labels}.items())]

    assert value("trunkline_requests_total", status="2xx", outcome="ok") == 7
    assert value("trunkline_tokens_total", direction="input") == 21
    assert value("trunkline_cost_usd_total") == 7
    assert value("trunkline_request_duration_seconds_bucket", le="0.05") == 2
    assert value("trunkline_request_duration_seconds_bucket", le="0.25") == 7
    assert value("trunkline_request_duration_seconds_count") == 7
    assert value("trunkline_request_duration_seconds_sum") == pytest.approx(1.06)
    assert value("trunkline_requests_total", status="2xx", outcome="ok", model="other-one") == 1


def test_gauges_are_summed_only_where_that_says_something() -> None:
    """Three healthy journals are not a health of 3, and the memory of all hides the one that grows."""
    found = read({0: page(0, busy=2), 1: page(0, busy=3)})
    assert found["trunkline_requests_in_flight", frozenset()] == 5
    for worker in ("0", "1"):
        assert found["trunkline_journal_healthy", frozenset({("worker", worker)})] == 1
        assert found["process_resident_memory_bytes", frozenset({("worker", worker)})] > 0
        assert found["process_cpu_seconds_total", frozenset({("worker", worker)})] >= 0
        assert found["trunkline_config_reloads_total", frozenset({("result", "applied"), ("worker", worker)})] == 1


def test_what_is_the_same_of_all_is_told_once() -> None:
    """Also where the first worker says nothing."""
    found = read({1: page(0), 2: page(0)})
    assert found["trunkline_build_info", frozenset({("version", "1.2.3")})] == 1


def test_what_lasts_of_a_worker_that_ended() -> None:
    """Its counts; its memory is gone with it. A sum that fell would look like a restart of all."""
    before = lasting(page(4, busy=2))
    assert all(family.grows for family in before)
    assert not any(family.name.startswith("process_") for family in before)
    found = read({0: added([before, page(3)])})
    assert found["trunkline_requests_total", frozenset({**BY, "status": "2xx", "outcome": "ok"}.items())] == 7
    assert found["trunkline_requests_in_flight", frozenset()] == 0


def test_pages_travel_between_processes() -> None:
    """As they are; what is no page is refused."""
    families = page(2)
    assert unpack(pack(families)) == families
    with pytest.raises(msgspec.MsgspecError):
        unpack(b"\x93nonsense")
