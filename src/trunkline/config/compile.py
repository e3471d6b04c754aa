"""What is written into what runs: references resolved, defaults merged, everything frozen.

Here are the mistakes that one part makes about another. The shape of single fields is in `schema`, one provider in `providers`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from trunkline.config.mistakes import KeyPath
from trunkline.config.providers import ECHO, compile_provider, deadlines
from trunkline.config.proxy import is_loopback
from trunkline.config.reach import Context, existing_file
from trunkline.config.schema import KeySpec, Server, ServerTls
from trunkline.config.schema_models import ModelSpec, TargetSpec
from trunkline.config.schema_providers import ProviderSpec
from trunkline.config.snapshot import (
    LedgerSettings,
    LogSettings,
    MediaSettings,
    MemorySettings,
    ServerSettings,
    Snapshot,
)
from trunkline.config.validate import Written, suggest
from trunkline.config.values import is_model
from trunkline.edge.limits import ServerLimits
from trunkline.edge.tls import server_context
from trunkline.policy.keys import Principal
from trunkline.providers.models import facts
from trunkline.providers.provider import Provider, Target
from trunkline.routing.retry import Retry
from trunkline.routing.route import Route, Strategy

_LATER = "is not in force in this version: the targets are tried in their order"


def compile_snapshot(written: Written, context: Context, source: str) -> Snapshot:
    """The snapshot. Where a mistake is reported to the context, it is incomplete and must not be used."""
    names = written.provider_names | {ECHO}
    specs = {ECHO: ProviderSpec()} | written.providers if ECHO not in written.provider_names else written.providers
    providers = {name: made for name, spec in specs.items() if (made := compile_provider(name, spec, context))}
    routes = {
        name: route
        for name, spec in written.models.items()
        if (route := _route(name, spec, providers, names, context)) is not None
    }
    return Snapshot(
        server=_server(written.server, context),
        log=LogSettings(written.log.format, written.log.level),
        ledger=LedgerSettings(written.ledger.required),
        providers=providers,
        routes=routes,
        principals=_principals(written, names, context),
        source=source,
        client_secrets=tuple(
            spec.secret.get_secret_value().encode("ascii") for spec in written.keys.values() if spec.secret is not None
        ),
    )


def _server(server: Server, context: Context) -> ServerSettings:
    limits = server.limits
    if server.listen == server.admin and server.listen.port:
        context.report(("server", "admin"), "must not be the same address as listen")
    if not is_loopback(server.admin.host):
        context.warn(("server", "admin"), "the admin listener asks for no sign-in in this version; keep it to this machine")
    cert, key = _certificate(server.tls, context) if server.tls else (None, None)
    return ServerSettings(
        listen=server.listen,
        admin=server.admin,
        tls_cert=cert,
        tls_key=key,
        cors_origins=tuple(server.cors.origins),
        limits=ServerLimits(
            max_header=limits.max_header,
            header_timeout=limits.header_timeout,
            body_grace=limits.body_grace,
            body_min_rate=float(limits.body_min_rate),
            keep_alive=limits.keep_alive,
            stall_timeout=limits.stall_timeout,
            max_connections=limits.max_connections,
            max_connections_per_ip=limits.max_connections_per_ip,
        ),
        max_body=limits.max_body,
        max_upload=limits.max_upload,
        drain_timeout=server.drain_timeout,
        drain_grace=server.drain_grace,
        media=MediaSettings(**server.media.model_dump()),
        memory=MemorySettings(server.memory.max_size, server.memory.ttl),
    )


def _certificate(tls: ServerTls, context: Context) -> tuple[str, str]:
    """Our own certificate and its key, after they were tried: else a start would fail that `check` had called fine."""
    path: KeyPath = ("server", "tls")
    cert, key = existing_file(tls.cert, (*path, "cert"), context), existing_file(tls.key, (*path, "key"), context)
    try:
        server_context(cert, key)
    except OSError as error:
        context.report(path, f"the certificate and its key must be a pair of PEM files without a password: {error.strerror}")
    return cert, key


def _route(name: str, spec: ModelSpec, providers: dict[str, Provider], names: Iterable[str], context: Context) -> Route | None:
    path: KeyPath = ("models", name)
    prefix, slash, _ = name.partition("/")
    if slash and prefix in names:
        context.report(path, f"this name already means the provider {prefix!r}: choose one that does not begin with it")
    targets: list[Target] = []
    fallbacks: list[Target] = []
    for field, written, made in (("targets", spec.targets, targets), ("fallbacks", spec.fallbacks, fallbacks)):
        for index, target in enumerate(written):
            provider = _check_target(target.to, (*path, field, index), names, context)
            if provider in providers:
                made.append(_target(target, providers[provider], spec))
    _warn_later(spec, path, context)
    if not targets:
        return None
    # each target once, unless more is written: a request may cost money, and be charged for each time
    retry = Retry(**spec.retry.model_dump()) if spec.retry is not None else Retry(attempts=len(targets) + len(fallbacks))
    strategy: Strategy = "weighted" if spec.strategy == "weighted" else "ordered"
    times = deadlines(spec.timeouts, targets[0].provider.deadlines)
    return Route(name, tuple(targets), times, retry, tuple(fallbacks), strategy)


def _target(written: TargetSpec, provider: Provider, spec: ModelSpec) -> Target:
    """What is known of the model, from the general to the particular: built in, by its provider, by this entry."""
    model = written.to.partition("/")[2]
    known = facts(provider.kind, model, (*provider.facts, ("*", spec.facts.given())))
    strict = provider.strict if spec.unsupported is None else spec.unsupported == "strict"
    return Target(provider, model, written.weight, known, strict)


def _check_target(to: str, path: KeyPath, names: Iterable[str], context: Context) -> str:
    """The provider that a target names, after what is wrong with it was reported."""
    provider, slash, model = to.partition("/")
    if not slash or not is_model(model):
        context.report(path, "must be provider/model")
    elif provider not in names:
        context.report(path, f"there is no provider {provider!r}{suggest(provider, names)}")
    return provider


def _warn_later(spec: ModelSpec, path: KeyPath, context: Context) -> None:
    if spec.strategy not in {"ordered", "weighted"}:
        context.warn((*path, "strategy"), _LATER)
    for index, target in enumerate(spec.targets):
        if spec.strategy != "weighted" and "weight" in target.model_fields_set:
            context.warn((*path, "targets", index, "weight"), "counts only with strategy: weighted")


def _principals(written: Written, names: Iterable[str], context: Context) -> tuple[Principal, ...]:
    by_name: dict[str, int] = {}
    by_digest: dict[bytes, int] = {}
    principals = []
    for index, spec in written.keys.items():
        path: KeyPath = ("keys", index)
        if (first := by_name.setdefault(spec.name, index)) != index:
            context.report((*path, "name"), f"keys[{first}] has the same name")
        for place, model in enumerate(spec.models or ()):
            _check_allowed(model, (*path, "models", place), written.model_names, names, context)
        if (digest := _digest(spec)) is None:
            context.report(path, "give either secret or hash")
            continue
        if (first := by_digest.setdefault(digest, index)) != index:
            context.report((*path, "secret" if spec.secret else "hash"), f"keys[{first}] has the same secret")
        principals.append(Principal(spec.name, digest, None if spec.models is None else frozenset(spec.models)))
    return tuple(principals)


def _digest(spec: KeySpec) -> bytes | None:
    """SHA-256 of the secret; None where there is not exactly one way to have it."""
    if (spec.secret is None) == (spec.hash is None):
        return None
    return spec.hash if spec.secret is None else hashlib.sha256(spec.secret.get_secret_value().encode("ascii")).digest()


def _check_allowed(model: str, path: KeyPath, models: Iterable[str], names: Iterable[str], context: Context) -> None:
    """What a key may use must exist: a misspelt name would be a key that cannot do what it was made for."""
    provider, slash, _ = model.partition("/")
    if model in models or (slash and provider in names):
        return
    if slash:
        context.report(path, f"there is no provider {provider!r}{suggest(provider, names)}")
    elif model in names:
        context.report(path, f"{model!r} is a provider; for every model of it write '{model}/*'")
    else:
        context.report(path, f"there is no model {model!r}{suggest(model, models)}")
