"""All contracts, asked of a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from doctor.standin import MODEL, told
from harness.script import Seen
from harness.upstream import Upstream
from trunkline.cli.connect import clients
from trunkline.doctor.call import Call
from trunkline.doctor.examine import CONTRACTS, examine
from trunkline.doctor.finding import Finding
from trunkline.edge.client import Client
from trunkline.edge.timers import Sweep


def examined(handler: Callable[[Seen], list[bytes]] | str, *names: str) -> list[Finding]:
    async def main(gateway: Upstream) -> list[Finding]:
        loop = asyncio.get_running_loop()
        client = Client(loop, Sweep(loop))
        try:
            call = Call(client, f"http://{gateway.host}:{gateway.port}", "tl-key", MODEL)
            return [finding async for finding in examine(call, names)]
        finally:
            client.close()

    with Upstream() as gateway:
        gateway.script(handler)
        return asyncio.run(main(gateway))


def test_a_gateway_that_answers_nothing_right_is_broken_in_every_contract() -> None:
    """One contract that fails must not hide the others."""
    found = examined("html", *CONTRACTS)
    assert {finding.state for finding in found} == {"broken"}
    assert [(finding.client, finding.contract) for finding in found] == [(c, n) for c in CONTRACTS for n in CONTRACTS[c]]
    assert all(finding.why for finding in found)


def test_one_that_is_not_there() -> None:
    """A gateway that is down would end the doctor with a trace."""
    found = examined("drop", "anthropic-sdk")
    assert {(finding.state, bool(finding.why)) for finding in found} == {("broken", True)}


def test_another_shape_is_broken_not_an_accident() -> None:
    """The contracts read only as far as an answer goes."""
    (streamed, *_) = examined(lambda _: [told({"data": [{"content_block": 7}], "models": 3})], "ollama", "gemini-cli")
    assert streamed.state == "broken"


def test_what_is_dropped_is_told_with_its_contract_alone() -> None:
    """A loss in one contract would be laid to all that follow."""
    answer = {"type": "message", "stop_reason": "end_turn", "usage": {"input_tokens": 1}, "content": ["x"]}
    handler = iter([[told(answer, x_trunkline_dropped="top_k")], [told({"error": {"type": "not_found_error"}}, 404)]])
    whole, errors = examined(lambda _: next(handler), "anthropic-sdk")
    assert (whole.state, whole.why) == ("degraded", "the model cannot be told top_k")
    assert (errors.state, errors.why) == ("works", "")


def test_clients_are_called_as_connect_calls_them() -> None:
    """A person would look for one under a name that the other does not know."""
    assert set(CONTRACTS) <= set(clients())
