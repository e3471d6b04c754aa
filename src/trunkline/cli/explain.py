"""`trunkline explain`: why a request would go where, with what, at what price; or what became of one that is over.

What is decided belongs in `pipeline.explain`, past requests in `story`. Nothing is sent.
"""

from __future__ import annotations

import asyncio
import os
import random  # noqa: TID251 - handed to what needs dice
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from trunkline.cli import story
from trunkline.cli.accounts import accounts
from trunkline.cli.data import Data, fail, opened, output, printable
from trunkline.cli.prices import found_prices, in_force
from trunkline.cli.usage import dollars
from trunkline.config.holders import enrol
from trunkline.config.load import find_config, load
from trunkline.config.mistakes import ConfigError
from trunkline.config.snapshot import Snapshot
from trunkline.dialects.forms import is_form
from trunkline.gateway.endpoints import find
from trunkline.meters.meter import Spent
from trunkline.meters.windows import Window
from trunkline.pipeline.exchange import Door
from trunkline.pipeline.explain import as_request, explain_request
from trunkline.pipeline.explanation import CandidateTold, Explanation, LimitTold, RouteTold, Seen, Sent
from trunkline.pipeline.rehearsal import Question, Scene
from trunkline.pipeline.run import JOBS
from trunkline.policy.keys import Principal
from trunkline.store import keys, sums
from trunkline.store.holders import StoredHolder
from trunkline.store.keys import LiveKey
from trunkline.store.place import data_dir

_NOBODY = "none"


def explain(  # noqa: PLR0913 - a command's options
    request: Annotated[str | None, typer.Argument(help="File with the request's body; - is standard input.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Configuration file. Default: TRUNKLINE_CONFIG, ./trunkline.yaml, none.")
    ] = None,
    key: Annotated[str, typer.Option(help="Name of the client key that asks; none: one that may use everything.")] = _NOBODY,
    endpoint: Annotated[str, typer.Option(help="Path at which it would come in, with its query.")] = "/v1/chat/completions",
    header: Annotated[list[str] | None, typer.Option(help="'name: value' of the request; may be given again.")] = None,
    ident: Annotated[str | None, typer.Option("--id", help="Tell of a past request instead, by its x-request-id.")] = None,
    data: Data = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
) -> None:
    """Show what would become of a request: key, route, targets, translation, price, and what would be sent. Sends nothing.

    Exit status 0: it would be sent; 1: it would be refused, and the client would get the error that is shown.
    """
    if ident is not None:
        past = story.record(data_dir(data, os.environ), ident, config)
        with output():
            print(msgspec.json.encode(past).decode() if as_json else "\n".join(story.lines(past)))
        return
    try:
        snapshot = load(find_config(config, os.environ, Path.cwd()), os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    headers: dict[bytes, bytes] = {}
    for name, value in map(_header, header or ()):
        headers[name] = headers[name] + b", " + value if name in headers else value  # as the listener reads them
    server = snapshot.server
    body = _body(request, server.max_upload if is_form(headers.get(b"content-type", b"")) else server.max_body)
    question = _question(endpoint, headers, body, _principal(key, snapshot, config, data))
    prices = in_force(found_prices(snapshot, config, data))
    spent = _spent(data_dir(data, os.environ), config)
    scene = Scene(snapshot, prices, time.time_ns, time.monotonic, random.random, spent=spent)
    told = asyncio.run(explain_request(scene, question))
    with output():
        print(msgspec.json.encode(told).decode() if as_json else "\n".join(_lines(told)))
    if told.refused is not None:
        raise typer.Exit(1)


# what is asked --------------------------------------------------------------------------------------------------------


def _header(text: str) -> tuple[bytes, bytes]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not text.isprintable():
        raise typer.BadParameter(f"{text!r} is no header: write 'name: value'.")
    return name.strip().lower().encode("latin-1", "replace"), value.strip().encode("latin-1", "replace")


def _body(file: str | None, most: int) -> bytes:
    """At most so many bytes, as the gateway takes. Raises typer.Exit."""
    if file is None:
        return b""
    try:
        with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as source:
            body = source.read(most + 1)
    except OSError as error:
        raise fail(f"The file {file} cannot be read: {error.strerror}.", "Name the file that holds the body.") from error
    if len(body) > most:
        raise fail(f"The body has more than {most} bytes: the gateway refuses it (413).", "Its bounds are in server.limits.")
    return body


def _principal(name: str, snapshot: Snapshot, config: Path | None, data: Path | None) -> Principal:
    """The key of this name, of the configuration or of the store. Raises typer.Exit where there is none."""
    if name == _NOBODY:
        return Principal("", b"")
    place = data_dir(data, os.environ)
    stored: tuple[list[LiveKey], list[StoredHolder]] = ([], [])
    some = place.is_dir() or snapshot.store.url is not None
    if some and (name not in {key.name for key in snapshot.keys} or len(snapshot.keys) > len(snapshot.principals)):
        with opened(place, config=config) as store:
            stored = keys.everyone(store)[1:]
    roll = enrol(snapshot.holders, snapshot.keys, *stored)
    if name in roll.refused:
        raise fail(f"The key {name!r} is refused: {roll.refused[name]}.", "Correct that first.")
    found = {one.name: one for one in roll.principals}
    if name not in found:
        known = ", ".join(found) or "none"
        raise fail(f"There is no key {name!r}.", f"Known are: {known}. Without --key, any may be used.")
    return found[name]


def _question(target: str, headers: dict[bytes, bytes], body: bytes, principal: Principal) -> Question:
    path, _, query = target.partition("?")
    endpoint = find("POST", path, query.encode("utf-8"), headers)
    if endpoint is None or endpoint.job not in JOBS:
        why = "Nothing is served at" if endpoint is None else "No provider is asked at"
        raise fail(f"{why} {path}.", "Name a path such as /v1/chat/completions, /v1/messages or /v1/embeddings.")
    door = Door(endpoint.name, endpoint.dialect, endpoint.named, endpoint.passing)
    return Question(principal, door, endpoint.job, as_request(target, headers, body, endpoint.passing, time.monotonic()))


def _spent(place: Path, config: Path | None) -> Spent | None:
    """What the ledger says that a holder spent."""
    if not place.is_dir():
        return None

    async def spent(holder: str, window: Window) -> int:
        kind, _, name = holder.partition(":")
        with accounts(place, config) as (store, unstored):
            return sums.spent(store, kind, name, window.begin, window.end, unstored)

    return spent


# what is told ---------------------------------------------------------------------------------------------------------


def _lines(told: Explanation) -> list[str]:
    lines = [f"key         {_key(told)}", f"endpoint    {told.endpoint}"]
    lines += [] if told.route is None else _route(told.route)
    lines += [] if told.seen is None else [f"request     {_seen(told.seen)}"]
    lines += _column("candidates", [_candidate(one) for one in told.candidates])
    if (carried := told.carried) is not None:
        ways = {"bytes": "bytes pass", "translated": f"translated from {carried.client}"}
        lines.append(f"way         {ways[carried.way]}, to {carried.provider}")
        for what, names in (("dropped", carried.dropped), ("fetched", carried.fetched), ("not written", carried.refused)):
            lines += _column(what, list(names))
    lines += _column("limits", [_limit(one) for one in told.limits])
    if (reserved := told.reserved) is not None:
        unpriced = f"; the price of {reserved.unpriced} is not known" if reserved.unpriced else ""
        lines.append(f"reserved    {reserved.tokens:,} tokens, {dollars(reserved.nano)} at most{unpriced}")
    if (cost := told.cost) is not None:
        most = "; its answer has no limit" if cost.most is None else f", at most {dollars(cost.most)} with its answer"
        lines.append(f"cost        {dollars(cost.least)} for the prompt{most}")
    lines += _column("note", list(told.notes))
    if told.refused is not None:
        lines += ["", f"refused     {told.refused.status} {told.refused.kind}", f"  {told.refused.body}"]
    if told.sent is not None:
        lines += ["", *_sent(told.sent)]
    return [printable(line) for line in lines]


def _column(name: str, values: list[str]) -> list[str]:
    return [f"{name if n == 0 else '':12}{value}" for n, value in enumerate(values)]


def _key(told: Explanation) -> str:
    key = told.key
    tags = f", tagged {', '.join(key.tags)}" if key.tags else ""
    may = "may use everything" if key.models is None else f"may use {', '.join(key.models)}"
    priority = "" if key.priority == "normal" else f", {key.priority} priority"
    return f"{key.name or '(any)'}{tags}{priority}, {may}"


def _route(route: RouteTold) -> list[str]:
    meant = f", which the key means as {route.meant}" if route.meant != route.asked else ""
    lines = [f"model       {route.asked}{meant}{'' if route.allowed else ': not allowed'}"]
    lines += _column(
        "rules",
        [f"{one.route} {one.number}: {one.when}: {f'yes, to {one.use}' if one.holds else 'no'}" for one in route.rules],
    )
    if route.name:
        configured = f" (configured as {route.entry})" if route.entry != route.name else ""
        kept = f", kept by {route.affinity}" if route.affinity != "none" else ""
        tries = f"{route.attempts} attempt{'' if route.attempts == 1 else 's'} within {route.total:g} s"
        lines.append(f"route       {route.name}{configured}: {route.strategy}{kept}, {tries}")
    return lines


def _seen(seen: Seen) -> str:
    answer = f"answer at most {seen.output:,}" if seen.output else "answer without limit"
    holds = [*seen.media, *(name for name, has in (("tools", seen.tools), ("a schema", seen.schema)) if has)]
    form = "stream" if seen.stream else "whole"
    return f"about {seen.tokens:,} tokens, {answer}, {form}{', with ' if holds else ''}{', '.join(holds)}"


def _candidate(one: CandidateTold) -> str:
    place = "-" if one.place is None else str(one.place)
    kind = ["fallback"] if one.fallback else []
    kind += [f"weight {one.weight:g}"] if one.weight != 1 else []
    kind += [f"credential {one.credential}"] if one.credential > 1 else []
    also = f" ({', '.join(kind)})" if kind else ""
    return f"{place:>2}  {one.provider}/{one.model}{also}{': ' if one.reason else ''}{one.reason}"


_RATES = {"requests": "requests a minute", "tokens": "tokens a minute", "concurrent": "requests at the same time"}


def _limit(one: LimitTold) -> str:
    kind, _, name = one.holder.partition(":")
    if one.what != "money":
        return f"{kind} {name}: {one.amount:,} {_RATES[one.what]}"
    per = "in all" if one.period == "total" else f"a {one.period} ({one.zone})"
    spent = "" if one.spent is None else f", {dollars(one.spent)} spent"
    return f"{kind} {name}: {dollars(one.amount)} {per}{'' if one.hard else ', only told of'}{spent}"


def _sent(sent: Sent) -> list[str]:
    proxy = f" (by the proxy {sent.proxy})" if sent.proxy else ""
    return [
        f"{sent.method} {sent.url}{proxy}",
        *(f"  {name}: {value}" for name, value in sent.headers),
        "",
        *(f"  {line}" for line in sent.body.splitlines()),
    ]
