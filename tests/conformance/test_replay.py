"""Every exchange through the real gateway process, over real sockets, in many slicings and every framing.

The recorded ones where they are at hand, and hand-written ones of every provider in any case. For the client: the
provider's own bytes. For the provider: the client's own request. For the ledger: the provider's own numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from conformance.handwritten import KINDS, cases
from conformance.reading import Case, expected
from conformance.recordings import Recording, parameters, recordings
from conformance.replay import Replayed, Replayer, settings
from dialects.openai_chat.variants import VARIANTS
from harness.gateway import KEY, PROVIDER_KEY, Gateway
from harness.upstream import Upstream

ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def recorded(recording: Recording) -> Case:
    """A recording as a case; where only the answer was recorded, with a question of our own."""
    fields = {"model": "unrecorded", "messages": [{"role": "user", "content": "Hello"}], **recording.request}
    kind = recording.provider.removeprefix("compat-")
    case = Case(recording.id, kind if kind in KINDS else "openai", fields, recording.body, recording.status, recording.headers)
    return case._replace(fields={**fields, "stream": True}) if case.streams else case


WRITTEN = [pytest.param(case, id=case.id) for case in cases()]
RECORDED = [
    pytest.param(recorded(one.values[0]), id=one.id) if one.values[0] else one for one in parameters(recordings("openai.chat"))
]
ALL = pytest.mark.parametrize("case", [*WRITTEN, *RECORDED])


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """The provider that sends what it is told."""
    with Upstream() as running:
        yield running


@pytest.fixture(scope="module")
def replayer(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayer]:
    """One gateway with a provider of every kind."""
    with Gateway(settings(upstream), tmp_path_factory.mktemp("replay")) as gateway:
        one = Replayer(gateway, upstream)
        yield one
        one.close()


def error_of(body: bytes) -> dict[str, Any]:
    """OpenAI's error object, with all its fields and no others."""
    told = json.loads(body)
    assert list(told) == ["error"]
    assert list(told["error"]) == ["message", "type", "param", "code"]
    return dict(told["error"])


def check_answer(one: Replayed) -> None:
    """The client got what it would have got from the provider."""
    want, reply = expected(one.case), one.reply
    assert reply.complete
    assert reply.status == want.status
    if not want.told:
        assert reply.body == want.body
    elif want.status == 200:  # a stream that broke: the whole events, then the error as the last event
        assert reply.body.startswith(want.body)
        last = reply.body.removeprefix(want.body)
        assert last.startswith(b"data: ")
        assert last.endswith(b"}\n\n")
        assert want.told in error_of(last[6:])["message"]
    else:
        error = error_of(reply.body)
        assert want.told in error["message"]
        assert error["type"] == (
            "server_error" if want.status >= 500 else ERROR_TYPES.get(want.status, "invalid_request_error")
        )


def check_head(one: Replayed) -> None:
    """The headers that DESIGN promises, and none of the provider's own."""
    case, reply = one.case, one.reply
    streamed = case.streams and reply.status == 200
    assert reply.header("content-type") == ("text/event-stream" if streamed else "application/json")
    assert reply.header("x-trunkline-provider") == case.kind
    assert reply.header("x-trunkline-model") == case.fields["model"]
    assert reply.header("x-trunkline-attempts") == "1"
    after = case.headers.get("retry-after") if case.status != 200 else None
    assert reply.header("retry-after") == after
    names = [name for name, _ in reply.headers]
    assert len(names) == len(set(names))
    assert not {"server", "set-cookie", "openai-version", "cf-ray"} & set(names)


@ALL
def test_the_client_sees_the_providers_own_answer(case: Case, replayer: Replayer) -> None:
    """To the byte, however the network cuts it: an SDK that works with the provider works through the gateway."""
    for one in replayer.replayed(case):
        try:
            check_answer(one)
            check_head(one)
        except AssertionError as error:
            raise AssertionError(f"{one.way}, usage asked for by the client: {one.case.asked}\n{error}") from error


@ALL
def test_the_provider_sees_the_clients_own_request(case: Case, replayer: Replayer) -> None:
    """Nothing but the model's name may change: signatures, caches and reproducibility hang on the bytes."""
    for one in replayer.replayed(case):
        assert one.seen.body == one.sent
        assert one.seen.head.startswith(b"POST /%b/v1/chat/completions HTTP/1.1\r\n" % case.kind.encode())
        assert one.seen.header("authorization") == f"Bearer {PROVIDER_KEY}"
        assert one.seen.header("content-type") == "application/json"
        assert KEY.encode() not in one.seen.head


@ALL
def test_the_ledger_says_what_the_provider_reported(case: Case, replayer: Replayer) -> None:
    """To the token, in every slicing: what is billed is what was used."""
    for one in replayer.replayed(case):
        row, want = replayer.row(one), expected(one.case).row
        found = {name: row[name] for name in want}
        found["raw_usage"] = json.loads(row["raw_usage"]) if row["raw_usage"] else None
        assert found == want, f"{one.way}"
        assert (row["provider"], row["target"]) == (case.kind, case.fields["model"])
        assert row["model"] == f"{case.kind}/{case.fields['model']}"
        assert row["stream"] == bool(case.fields.get("stream"))
        assert row["upstream_id"] == case.headers.get("x-request-id", "")[:128]
        assert (row["key"], row["endpoint"], row["attempts"]) == ("tester", "chat.completions", 1)
        if row["basis"] == "estimated":
            assert row["input_tokens"] > 0
        if row["basis"] == "none":
            assert (row["input_tokens"], row["output_tokens"], row["cost_nano"]) == (0, 0, None)


@ALL
def test_the_cost_told_is_the_cost_booked(case: Case, replayer: Replayer) -> None:
    """A caller who adds up `x-trunkline-cost-usd` must come to the sum of the ledger."""
    for one in replayer.replayed(case):
        nano, told = replayer.row(one)["cost_nano"], one.reply.header("x-trunkline-cost-usd")
        if one.reply.status == 200 and not case.streams and nano is not None:
            assert told == f"{nano // 10**9}.{nano % 10**9:09}"
        else:
            assert told is None


def test_no_request_was_counted_twice(replayer: Replayer) -> None:
    """Each exchange has exactly one row."""
    ids = [one.reply.header("x-request-id") for case in cases()[:3] for one in replayer.replayed(case)]
    assert len(ids) == len(set(ids))
    rows = [row["id"] for row in replayer.gateway.ledger()]
    assert len(rows) == len(set(rows))
    assert set(ids) <= set(rows)


@pytest.mark.parametrize("case", [case for case in cases() if case.streams], ids=lambda case: case.id)
def test_the_yardstick_itself_is_right(case: Case) -> None:
    """The independent reading is checked against numbers that were written by hand."""
    variant = next(one for one in VARIANTS if case.id.removesuffix(", asked") == f"stream, {one.name}")
    row = expected(case).row
    assert row.get("input_tokens", 0) == variant.input
    assert row.get("output_tokens", 0) == variant.output
    if row["status"] == 200:
        assert row["finish"] == variant.finish
        assert (row["outcome"] == "ok") == (variant.complete and not variant.error)
