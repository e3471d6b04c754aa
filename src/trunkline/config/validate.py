"""A document against the schema: every mistake of shape in a person's words, and what can still be used of the rest.

What one part of the configuration says about another is checked in `compile`, also when some parts have mistakes: hence the
salvage. Reading files belongs in `document`.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trunkline.config.document import Document
from trunkline.config.fields import Section
from trunkline.config.mistakes import KeyPath, Mistakes, dotted
from trunkline.config.schema import File, Ledger, Log, Redis, Server, Store, json_schema
from trunkline.config.schema_alerts import AlertsSpec
from trunkline.config.schema_holders import SPECS, HolderSpec, KeySpec, Kind
from trunkline.config.schema_models import ModelSpec
from trunkline.config.schema_prices import PriceSpec
from trunkline.config.schema_providers import ProviderSpec
from trunkline.config.schema_tokens import TokenSpec

_SectionT = TypeVar("_SectionT", bound=Section)
MAX_COMPARED = 200
"""Names that a misspelt one is compared with: each comparison takes some 20 µs."""
_STAND_INS = {"base_url": "http://unknown.invalid"}
"""What a wrong value is replaced by where its mere presence says something."""
_WORDS = {
    "too_short": "must not be empty",
    "missing": "is required",
    "model_type": "must be a mapping (name: value)",
    "dict_type": "must be a mapping (name: value)",
    "list_type": "must be a list",
    "string_type": "must be a single value",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}


@dataclasses.dataclass(frozen=True)
class Written:
    """What the configuration says, as far as it has the right shape."""

    server: Server
    log: Log
    ledger: Ledger
    providers: dict[str, ProviderSpec]
    models: dict[str, ModelSpec]
    keys: dict[int, KeySpec]
    """By their place in the list."""
    provider_names: frozenset[str]
    """Also of those whose settings cannot be used."""
    model_names: frozenset[str]
    prices: dict[int, PriceSpec] = dataclasses.field(default_factory=dict)
    """By their place in the list."""
    store: Store = dataclasses.field(default_factory=Store)
    redis: Redis = dataclasses.field(default_factory=Redis)
    holders: Mapping[Kind, Mapping[str, HolderSpec]] = dataclasses.field(default_factory=lambda: {kind: {} for kind in SPECS})
    """Users, teams and organisations."""
    tokens: Mapping[str, TokenSpec] = dataclasses.field(default_factory=dict)
    alerts: AlertsSpec | None = None


def validate(document: Document, mistakes: Mistakes) -> Written:
    """Check the whole document. Every mistake goes to `mistakes`; the result is complete only when there is none."""
    try:
        file = File.model_validate(document.value)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            if mistakes.full:
                break
            path = _path(detail)
            mistakes.add(document.place(path), path, _say(detail, path))
        return _salvaged(document.value)
    names = frozenset(file.providers), frozenset(file.models)
    return Written(
        file.server,
        file.log,
        file.ledger,
        file.providers,
        file.models,
        dict(enumerate(file.keys)),
        *names,
        dict(enumerate(file.prices)),
        store=file.store,
        redis=file.redis,
        holders={kind: getattr(file, f"{kind}s") for kind in SPECS},
        tokens=file.tokens,
        alerts=file.alerts,
    )


def told(error: ValidationError, within: KeyPath = ()) -> list[str]:
    """Every mistake of one section that is no part of a file, with its field. `within`: where it would stand in one."""
    found = error.errors(include_url=False, include_input=False)
    return [": ".join(filter(None, (dotted(_path(detail)), _say(detail, within + _path(detail))))) for detail in found]


def suggest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the nearest of `known`, or nothing; nothing, too, where too many are known."""
    names = sorted(known)
    near = difflib.get_close_matches(word[:100], names, n=1, cutoff=0.6) if len(names) <= MAX_COMPARED else []
    return f"; did you mean {near[0]!r}?" if near else ""


def _path(detail: ErrorDetails) -> KeyPath:
    return tuple(part for part in detail["loc"] if part != "[key]")


def _say(detail: ErrorDetails, path: KeyPath) -> str:
    """Pydantic's finding in our words; never the value."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown field{suggest(str(path[-1]), _fields(path[:-1]))}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"must be {context['expected']}"
    return _WORDS.get(kind) or detail["msg"].replace("Input should", "must").replace("List should", "must")


def _fields(path: KeyPath) -> list[str]:
    """The fields that may stand at `path`, found by walking the JSON Schema."""
    schema = json_schema()
    nodes: list[dict[str, Any]] = [schema]
    for part in path:
        below = "items" if isinstance(part, int) else "additionalProperties"
        nodes = [found for node in nodes if isinstance(found := node.get("properties", {}).get(part) or node.get(below), dict)]
        nodes = [option for node in nodes for option in node.get("anyOf", [node])]
        nodes = [schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node for node in nodes]
    return [name for node in nodes for name in node.get("properties", ())]


def _salvaged(value: Any) -> Written:
    """Each part on its own, so that a mistake in one does not hide those in others."""
    top = value if isinstance(value, dict) else {}
    providers, models = _mapping(top.get("providers")), _mapping(top.get("models"))
    keys, prices = top.get("keys"), top.get("prices")
    return Written(
        _salvage(Server, top.get("server")) or Server(),
        _salvage(Log, top.get("log")) or Log(),
        _salvage(Ledger, top.get("ledger")) or Ledger(),
        {name: provider for name, item in providers.items() if (provider := _salvage(ProviderSpec, item))},
        {name: model for name, item in models.items() if (model := _salvage(ModelSpec, item))},
        {i: key for i, item in enumerate(keys if isinstance(keys, list) else []) if (key := _salvage(KeySpec, item))},
        frozenset(providers),
        frozenset(models),
        {i: price for i, item in enumerate(prices if isinstance(prices, list) else []) if (price := _salvage(PriceSpec, item))},
        store=_salvage(Store, top.get("store")) or Store(),
        redis=_salvage(Redis, top.get("redis")) or Redis(),
        holders={
            kind: {name: made for name, item in _mapping(top.get(f"{kind}s")).items() if (made := _salvage(spec, item))}
            for kind, spec in SPECS.items()
        },
        tokens={name: one for name, item in _mapping(top.get("tokens")).items() if (one := _salvage(TokenSpec, item))},
        alerts=_salvage(AlertsSpec, top.get("alerts")) if top.get("alerts") else None,
    )


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _salvage(section: type[_SectionT], value: Any) -> _SectionT | None:
    """The section without its wrong fields, or None where nothing can be made of it."""
    value = copy.deepcopy(value)
    for _ in range(2):
        try:
            return section.model_validate(value)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False, include_context=False):
                _drop(value, _path(detail))
    return None


def _drop(value: Any, path: KeyPath) -> None:
    """Remove the wrong field, or the list it stands in: items of a list keep their places."""
    parent, key = None, None
    for part in path:
        if isinstance(value, dict) and part in value:
            parent, key = value, part
        elif not isinstance(value, list) or not isinstance(part, int) or part >= len(value):
            break
        value = value[part]
    if parent is not None:
        parent.pop(key)
        parent |= {key: _STAND_INS[key]} if key in _STAND_INS else {}
