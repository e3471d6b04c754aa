"""Who may do what, as a file says it: keys, users, teams and organisations, and what is wrong with what they name.

What follows from it for a request is made in `holders`, where those of the store come in too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from trunkline.config.holders import Chart, Unfit, WrittenKey
from trunkline.config.mistakes import KeyPath
from trunkline.config.reach import Context
from trunkline.config.schema_holders import HolderSpec, KeySpec
from trunkline.config.validate import Written, suggest
from trunkline.policy.keys import Principal


class Known(NamedTuple):
    """What there is to be named."""

    meaning: Callable[[str], str | None]
    """The entry of the model that has a name, if one has."""
    models: frozenset[str]
    providers: frozenset[str]


def compile_access(written: Written, known: Known, context: Context) -> tuple[WrittenKey, ...]:
    """The keys, after all that is wrong with them and with whom they belong to was reported. Whom the file does not know may
    be in the store: that is no mistake here.
    """
    chart = Chart(written.holders)
    for kind, specs in written.holders.items():
        for name, spec in specs.items():
            path: KeyPath = (f"{kind}s", name)
            _check_names(spec, path, known, context)
            try:
                chart.place(spec)
            except Unfit as error:
                _report(error, path, context)
    for name, token in written.tokens.items():
        _check_names(token.each, ("tokens", name, "each"), known, context)
    return tuple(_keys(written, chart, known, context))


def _keys(written: Written, chart: Chart, known: Known, context: Context) -> Iterable[WrittenKey]:
    by_name: dict[str, int] = {}
    by_digest: dict[bytes, int] = {}
    for index, spec in written.keys.items():
        path: KeyPath = ("keys", index)
        if (first := by_name.setdefault(spec.name, index)) != index:
            context.report((*path, "name"), f"keys[{first}] has the same name")
        _check_names(spec, path, known, context)
        for alias, model in spec.aliases.items():
            _check_model(model, (*path, "aliases", alias), known, context)
        if (digest := _digest(spec)) is None:
            context.report(path, "give either secret or hash")
            continue
        if (first := by_digest.setdefault(digest, index)) != index:
            context.report((*path, "secret" if spec.secret else "hash"), f"keys[{first}] has the same secret")
        try:
            _check(chart.principal(spec.name, digest, spec), path, known, context)
        except Unfit as error:
            _report(error, path, context)
        yield WrittenKey(spec.name, digest, spec.model_copy(update={"secret": None}), context.where(path))


def _report(error: Unfit, path: KeyPath, context: Context) -> None:
    if not error.missing:
        context.report((*path, error.field), str(error))


def _check(principal: Principal, path: KeyPath, known: Known, context: Context) -> None:
    """What would be of no use."""
    for alias, model in principal.aliases.items():
        if "*" in alias or "*" in model:
            context.report((*path, "aliases", alias), "takes no *: one name for one model")
        elif not principal.may_use(model, known.meaning(model) or ""):
            context.warn((*path, "aliases", alias), f"this key may not use {model!r}, so the name is of no use to it")
    for what, left in (("providers", principal.providers), ("endpoints", principal.endpoints)):
        if left is not None and not left:
            context.warn(path, f"none of its {what} is allowed to those that it belongs to, so the key is of no use")


def _check_names(spec: HolderSpec, path: KeyPath, known: Known, context: Context) -> None:
    for place, model in enumerate(spec.models or ()):
        _check_model(model, (*path, "models", place), known, context)
    for place, name in enumerate(spec.providers or ()):
        if name not in known.providers:
            near = suggest(name, known.providers)
            context.report((*path, "providers", place), f"there is no provider {name!r}{near}")


def _check_model(model: str, path: KeyPath, known: Known, context: Context) -> None:
    """What may be used must exist: a misspelt name would be a key that cannot do what it was made for."""
    provider, slash, _ = model.partition("/")
    if known.meaning(model) is not None or model in known.models or (slash and provider in known.providers):
        return
    if slash:
        context.report(path, f"there is no provider {provider!r}{suggest(provider, known.providers)}")
    elif model in known.providers:
        context.report(path, f"{model!r} is a provider; for every model of it write '{model}/*'")
    else:
        context.report(path, f"there is no model {model!r}{suggest(model, known.models)}")


def _digest(spec: KeySpec) -> bytes | None:
    """SHA-256 of the secret; None where there is not exactly one way to have it."""
    if (spec.secret is None) == (spec.hash is None):
        return None
    return spec.hash if spec.secret is None else hashlib.sha256(spec.secret.get_secret_value().encode("ascii")).digest()
