"""What is written into what runs: references resolved, defaults merged, everything frozen.

Here are the mistakes that one part makes about another. The shape of single fields is in `schema`, one provider in `providers`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from trunkline.config.mistakes import KeyPath
from trunkline.config.providers import ECHO, compile_provider
from trunkline.config.proxy import is_loopback
from trunkline.config.reach import Context, existing_file
from trunkline.config.routes import Routes
from trunkline.config.schema import KeySpec, Server, ServerTls
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
from trunkline.edge.limits import ServerLimits
from trunkline.edge.tls import server_context
from trunkline.policy.keys import Principal


def compile_snapshot(written: Written, context: Context, source: str) -> Snapshot:
    """The snapshot. Where a mistake is reported to the context, it is incomplete and must not be used."""
    names = written.provider_names | {ECHO}
    specs = {ECHO: ProviderSpec()} | written.providers if ECHO not in written.provider_names else written.providers
    providers = {name: made for name, spec in specs.items() if (made := compile_provider(name, spec, context))}
    routes, patterns = Routes(written.models, providers, names, context).all()
    entries = {called: name for name, spec in written.models.items() for called in (name, *spec.aliases)}

    def meaning(name: str) -> str | None:
        made = next((found for pattern in patterns if (found := pattern.made(name))), None)
        return entries.get(name) or (made.entry if made else None)

    return Snapshot(
        server=_server(written.server, context),
        log=LogSettings(written.log.format, written.log.level),
        ledger=LedgerSettings(written.ledger.required),
        providers=providers,
        routes=routes,
        patterns=patterns,
        principals=_principals(written, meaning, names, context),
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
        max_requests=limits.max_requests,
        drain_timeout=server.drain_timeout,
        drain_grace=server.drain_grace,
        media=MediaSettings(**server.media.model_dump()),
        memory=MemorySettings(server.memory.max_size, server.memory.ttl),
        watch=server.watch,
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


def _principals(
    written: Written, meaning: Callable[[str], str | None], names: Iterable[str], context: Context
) -> tuple[Principal, ...]:
    """`meaning`: the entry of the model that has a name, if one has; `names`: of the providers."""
    by_name: dict[str, int] = {}
    by_digest: dict[bytes, int] = {}
    principals = []
    for index, spec in written.keys.items():
        path: KeyPath = ("keys", index)
        if (first := by_name.setdefault(spec.name, index)) != index:
            context.report((*path, "name"), f"keys[{first}] has the same name")
        named: list[tuple[KeyPath, str]] = [((*path, "models", place), model) for place, model in enumerate(spec.models or ())]
        named += [((*path, "aliases", alias), model) for alias, model in spec.aliases.items()]
        for here, model in named:
            if meaning(model) is None:
                _check_allowed(model, here, written.model_names, names, context)
        if (digest := _digest(spec)) is None:
            context.report(path, "give either secret or hash")
            continue
        if (first := by_digest.setdefault(digest, index)) != index:
            context.report((*path, "secret" if spec.secret else "hash"), f"keys[{first}] has the same secret")
        models = None if spec.models is None else frozenset(spec.models)
        principal = Principal(spec.name, digest, models, spec.aliases, frozenset(spec.tags), spec.priority)
        _check_aliases(principal, meaning, (*path, "aliases"), context)
        principals.append(principal)
    return tuple(principals)


def _check_aliases(principal: Principal, meaning: Callable[[str], str | None], path: KeyPath, context: Context) -> None:
    for alias, model in principal.aliases.items():
        if "*" in alias or "*" in model:
            context.report((*path, alias), "takes no *: one name for one model")
        elif not principal.may_use(model, meaning(model) or ""):
            context.warn((*path, alias), f"this key may not use {model!r}, so the name is of no use to it")


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
