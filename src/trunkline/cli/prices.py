"""`trunkline prices`: what models cost here, where each price comes from, and prices of one's own in the store.

A running gateway is told at once. How one is written is `config.schema_prices`'; which counts is decided in `ledger`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from trunkline.canon.usage import Usage
from trunkline.cli.data import Config, Data, console, fail, instant, opened, output, printable, tell
from trunkline.cli.usage import bar, dollars
from trunkline.config.load import find_config, load, load_store
from trunkline.config.mistakes import ConfigError
from trunkline.config.prices import stored_override
from trunkline.config.snapshot import Snapshot
from trunkline.ledger.overrides import Override
from trunkline.ledger.price import WHOLE, Period, Rate
from trunkline.ledger.prices import Prices
from trunkline.store import prices as stored_prices
from trunkline.store.engine import Store
from trunkline.store.errors import StoreError
from trunkline.store.place import DATABASE, data_dir

app = typer.Typer(help="Show, set and remove prices of models.", no_args_is_help=True)

_REQUESTS = ((1_000, 500), (10_000, 1_000), (100_000, 2_000), (300_000, 4_000))
"""Tokens in and out of the requests whose cost is drawn."""
_MOST = 2**31 - 1
"""The greatest number that a stored price can have."""
_EACH = ("request", "image")
"""Rates that are per million of something that people count one by one."""
_WHOLES = {"cache_read": "input", "cache_write_5m": "input", "cache_write_1h": "input", "audio_input": "input",
           "image_input": "input", "reasoning": "output", "audio_output": "output", "image_output": "output"}  # fmt: skip

Dollars = Annotated[str | None, typer.Option(help="Dollars per million tokens.")]


class Set(msgspec.Struct, frozen=True):
    """A price that a person set."""

    where: str
    """The file, or its number in the store."""
    override: Override
    created_ns: int = 0
    """When it was stored; 0 for those of the file."""


def configured(config: Path | None) -> Snapshot:
    """The configuration; without a file, what the environment offers. What is wrong with it fails the command."""
    try:
        return load(find_config(config, os.environ, Path.cwd()), os.environ)
    except ConfigError as error:
        raise fail(str(error), "Correct the configuration first: it says which providers and prices there are.") from None


def all_set(snapshot: Snapshot, store: Store | None) -> list[Set]:
    """Every price that a person set, in the order in which they count: the store's, then the file's."""
    found = []
    for stored in () if store is None else stored_prices.listing(store):
        try:
            override = stored_override(stored.settings)
        except ValueError as error:
            typer.echo(f"The stored price {stored.id} cannot be read and does not count: {error}", err=True)
            continue
        found.append(Set(str(stored.id), override, stored.created_ns))
    return found + [Set(snapshot.source, override) for override in snapshot.prices]


def in_force(found: list[Set]) -> Prices:
    """What a gateway with these goes by."""
    return Prices.load([one.override for one in found])


def found_prices(snapshot: Snapshot, config: Path | None, data: Path | None) -> list[Set]:
    """All prices that a person set in `snapshot`, which `config` says, or in the store, where there is one."""
    place = data_dir(data, os.environ)
    if not (place / DATABASE).exists() and load_store(find_config(config, os.environ, Path.cwd()), os.environ).url is None:
        return all_set(snapshot, None)
    with opened(place, config=config) as store:
        return all_set(snapshot, store)


@app.command("list")
def show_all(
    config: Config = None,
    data: Data = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="JSON; nano-dollars per million, shares in millionths.")] = False,
) -> None:
    """List the prices that were set here. All other models cost what the bundled list says."""
    found = found_prices(configured(config), config, data)
    with output():
        if as_json:
            print(msgspec.json.encode([_told(one) for one in found]).decode())
            return
        if not found:
            print(f"No prices were set here; {Prices.load().listed} holds.")
            return
        table = Table("where", "provider", "model", "input", "output", "from", "mark", box=None, pad_edge=False)
        for one in found:
            period = one.override.period
            rate = period.rates[0]
            since = instant(period.since_ns) if period.since_ns else ""
            more = "" if len(period.rates) == 1 else " …"
            table.add_row(one.where, one.override.provider or "any", printable(one.override.model), dollars(rate.input) + more,
                          dollars(rate.output) + more, since, period.mark)  # fmt: skip
        console().print(table)


def _told(one: Set) -> dict[str, Any]:
    override, period = one.override, one.override.period
    rates = [
        {name: value for name, value in msgspec.structs.asdict(rate).items() if value is not None} for rate in period.rates
    ]
    return {
        "where": one.where,
        "created_ns": one.created_ns,
        "provider": override.provider,
        "model": override.model,
        "since_ns": period.since_ns,
        "mark": period.mark,
        "rates": rates,
        "shares": dict(period.tiers),
    }


@app.command()
def show(
    model: Annotated[str, typer.Argument(help="A model that clients may ask for, or a provider's own name for one.")],
    provider: Annotated[str, typer.Option(help="The provider, or its kind, where MODEL is its own name for it.")] = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Show what requests to a model cost, and where its price comes from. Exit status 1: no price is known."""
    snapshot = configured(config)
    found = found_prices(snapshot, config, data)
    prices, now = in_force(found), time.time_ns()
    unknown = False
    with output():
        for name, kind, target in _meant(snapshot, model, provider):
            period = prices.find(name, kind, target, now)
            unknown = unknown or period is None
            print(f"{printable(target)} at {name}" + ("" if name == kind else f" ({kind})"))
            if period is None:
                print("  No price is known. Set one: trunkline prices set --provider … --model … --input … --output …")
                continue
            for line in _source(period, prices, found):
                print(f"  {line}")
            _draw(period)
    if unknown:
        raise typer.Exit(1)


@app.command("set")
def put(  # noqa: PLR0913 - a command's options
    model: Annotated[str, typer.Option(help="The model's name at its provider; * and ? stand for any.")],
    provider: Annotated[str | None, typer.Option(help="A provider by its name, or all of a kind; any by default.")] = None,
    input: Dollars = None,  # noqa: A002 - as in the file
    output_: Annotated[str | None, typer.Option("--output", help="Dollars per million tokens.")] = None,
    cache_read: Dollars = None,
    cache_write_5m: Dollars = None,
    cache_write_1h: Dollars = None,
    audio_input: Dollars = None,
    audio_output: Dollars = None,
    reasoning: Dollars = None,
    image_input: Dollars = None,
    image_output: Dollars = None,
    request: Annotated[str | None, typer.Option(help="Dollars for each request.")] = None,
    image: Annotated[str | None, typer.Option(help="Dollars for each picture made.")] = None,
    tier: Annotated[
        list[str] | None, typer.Option(help="For longer prompts: 200000:input=4,output=12. May be given again.")
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help="Holds from this date or time on.")] = None,
    batch: Annotated[str | None, typer.Option(help="What a batch costs of it: 50%.")] = None,
    flex: Annotated[str | None, typer.Option(help="What service tier flex costs of it.")] = None,
    priority: Annotated[str | None, typer.Option(help="What service tier priority costs of it.")] = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Set a price in the store: of a model, or of several by a glob. It replaces the bundled one whole."""
    given = {
        "provider": provider, "model": model, "input": input, "output": output_, "cache_read": cache_read,
        "cache_write_5m": cache_write_5m, "cache_write_1h": cache_write_1h, "audio_input": audio_input,
        "audio_output": audio_output, "reasoning": reasoning, "image_input": image_input, "image_output": image_output,
        "request": request, "image": image, "from": since, "batch": batch, "flex": flex, "priority": priority,
        "tiers": [_tier(text) for text in tier] if tier else None,
    }  # fmt: skip
    settings = {name: value for name, value in given.items() if value is not None}
    try:
        override = stored_override(settings)
    except ValueError as error:
        raise fail(f"This is no price: {error}.", "Prices are dollars, such as 2 or 0.15.") from None
    _warn_unknown(override, configured(config))
    if override.period.rates[0].input and not {"output", "image", "image_output", "audio_output"} & settings.keys():
        typer.echo("Answers cost nothing by it: no --output was given. That is right for embeddings alone.", err=True)
    place = data_dir(data, os.environ)
    with opened(place, create=True, config=config) as store:
        ident, generation = stored_prices.put(store, settings, time.time_ns())
    tell(place, config, generation, f"Set price {ident} (mark {override.period.mark}).")


@app.command()
def remove(
    number: Annotated[int, typer.Argument(help="Its number, as `trunkline prices list` shows it.", max=_MOST)],
    config: Config = None,
    data: Data = None,
) -> None:
    """Remove a price from the store. What is in the ledger keeps the cost it has; see `trunkline usage reprice`."""
    place = data_dir(data, os.environ)
    with opened(place, config=config) as store:
        try:
            generation = stored_prices.remove(store, number)
        except StoreError as error:
            raise fail(error.message, error.remedy) from None
    tell(place, config, generation, f"Removed price {number}.")


def _warn_unknown(override: Override, snapshot: Snapshot) -> None:
    kinds = {provider.kind for provider in snapshot.providers.values()}
    if override.provider and override.provider not in {*snapshot.providers, *kinds}:
        typer.echo(f"Warning: {snapshot.source} has no provider of the name or kind {override.provider!r}.", err=True)


def _tier(text: str) -> dict[str, str]:
    """`200000:input=4,output=12` as the file has it. What is wrong in it is found where all is checked."""
    above, _, rest = text.partition(":")
    pairs = (pair.partition("=") for pair in rest.split(",") if pair)
    return {"above": above.strip()} | {name.strip(): value.strip() for name, _, value in pairs}


def _meant(snapshot: Snapshot, model: str, provider: str) -> Iterator[tuple[str, str, str]]:
    """What prices of `model` are looked up under: what it means to clients, else its own name at a provider."""
    if provider:
        known = snapshot.providers.get(provider)
        yield provider, known.kind if known is not None else provider, model
        return
    route = snapshot.route(model)
    if route is None:
        remedy = "Name its provider or a kind of provider: --provider openai."
        raise fail(f"{snapshot.source} knows no model {model!r}.", remedy)
    yield from dict.fromkeys(target.priced_as for target in route.targets)


def _source(period: Period, prices: Prices, found: list[Set]) -> Iterator[str]:
    """Where a price comes from, and since when."""
    one = next((one for one in reversed(found) if one.override.period.mark == period.mark), None) if period.mark else None
    if one is None:
        yield f"from {prices.version(period)}"
    elif one.created_ns:
        yield f"price {one.where} of the store, set {instant(one.created_ns)}; records say {prices.version(period)}"
    else:
        yield f"in {one.where}; records say {prices.version(period)}"
    if period.since_ns:
        yield f"since {instant(period.since_ns)}"
    if period.daily is not None:
        hours = " to ".join(f"{second // 3600:02}:{second % 3600 // 60:02}" for second in period.daily)
        yield f"from {hours} UTC; other hours have another price"
    for name, share in period.tiers:
        yield f"{name}: {share * 100 / WHOLE:g} % of it"


def _draw(period: Period) -> None:
    """The rates, and what some requests cost, as bars."""
    table = Table("dollars per million tokens", box=None, pad_edge=False)
    for rate in period.rates:
        table.add_column(f"over {rate.above:,}" if rate.above else "", justify="right")
    for name, cells in _parts(period.rates):
        table.add_row(f"  {name}", *cells)
    costs = [(given, made, period.cost(Usage(input=given, output=made))) for given, made in _REQUESTS]
    most = max(cost for _, _, cost in costs)
    drawn = Table("  a request of tokens in, out", "", "", box=None, pad_edge=False)
    for given, made, cost in costs:
        drawn.add_row(f"  {given:>7,} {made:>6,}", dollars(cost), bar(cost, most))
    screen = console()
    screen.print(table)
    screen.print(drawn)


def _parts(rates: tuple[Rate, ...]) -> Iterator[tuple[str, list[str]]]:
    """Each rate that is not just its whole's, in dollars."""
    for name in Rate.__struct_fields__[1:]:
        values = [getattr(rate, name) for rate in rates]
        wholes = [getattr(rate, _WHOLES[name]) if name in _WHOLES else None for rate in rates]
        if name in _EACH:
            if any(values):
                yield f"each {name}", [dollars((value or 0) // WHOLE) for value in values]
        elif any(value is not None and value != whole for value, whole in zip(values, wholes, strict=True)):
            yield (
                name.replace("_", " "),
                [dollars(whole or 0 if value is None else value) for value, whole in zip(values, wholes, strict=True)],
            )
