"""What is written into what runs: references resolved, defaults merged, everything frozen.

Here are the mistakes that one part makes about another. The shape of single fields is in `schema`, one provider in `providers`.
"""

from __future__ import annotations

from importlib.util import find_spec

import msgspec

from trunkline.config.access import Known, compile_access
from trunkline.config.alerts import compile_alerts
from trunkline.config.holders import enrol
from trunkline.config.mistakes import KeyPath
from trunkline.config.prices import compile_prices
from trunkline.config.providers import ECHO, compile_provider
from trunkline.config.proxy import is_loopback
from trunkline.config.reach import Context, existing_file
from trunkline.config.routes import Routes
from trunkline.config.schema import Ledger, Redis, Server, ServerTls, Store
from trunkline.config.schema_providers import ProviderSpec
from trunkline.config.snapshot import (
    MAX_WORKERS,
    DrainSettings,
    LedgerSettings,
    LogSettings,
    MediaSettings,
    MemorySettings,
    ServerSettings,
    Snapshot,
    StoreSettings,
)
from trunkline.config.tokens import compile_tokens
from trunkline.config.validate import Written
from trunkline.edge.limits import ServerLimits
from trunkline.edge.tls import server_context
from trunkline.meters.url import RedisSettings
from trunkline.policy.addresses import Networks

_LONGEST_WAIT = 1.0
"""Seconds a request may be let wait for Redis."""


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

    keys = compile_access(written, Known(meaning, written.model_names, names), context)
    return Snapshot(
        server=_server(written.server, context, shared=written.redis.url is not None),
        log=LogSettings(written.log.format, written.log.level),
        ledger=_ledger(written.ledger),
        store=compile_store(written.store, context),
        redis=_redis(written.redis, context),
        providers=providers,
        routes=routes,
        prices=compile_prices(written.prices, names, context),
        patterns=patterns,
        principals=enrol(written.holders, keys).principals,
        keys=keys,
        holders=written.holders,
        tokens=compile_tokens(written.tokens, context),
        alerts=compile_alerts(written.alerts, context),
        source=source,
        client_secrets=tuple(
            spec.secret.get_secret_value().encode("ascii") for spec in written.keys.values() if spec.secret is not None
        ),
    )


def _ledger(ledger: Ledger) -> LedgerSettings:
    told = ledger.model_dump(exclude={"disconnect", "drain"})
    drain = DrainSettings(**ledger.drain.model_dump()) if ledger.disconnect == "drain" else None
    return LedgerSettings(**told, drain=drain)


def compile_store(store: Store, context: Context) -> StoreSettings:
    """Where keys and accounts are; files are found from the configuration's folder."""
    url = store.url
    if url is None or url.ca is None:
        return StoreSettings(url)
    return StoreSettings(msgspec.structs.replace(url, ca=existing_file(url.ca, ("store", "url"), context)))


def _redis(redis: Redis, context: Context) -> RedisSettings | None:
    if redis.url is None:
        return None
    if find_spec("hiredis") is None:
        context.report(("redis", "url"), "needs what is not installed here: pip install 'trunkline[redis]'")
    if redis.timeout > _LONGEST_WAIT:
        context.report(("redis", "timeout"), "must be at most 1s: every request may have to wait so long")
    ca = redis.url.ca and existing_file(redis.url.ca, ("redis", "url"), context)
    return RedisSettings(msgspec.structs.replace(redis.url, ca=ca), redis.timeout, redis.prefix)


def _server(server: Server, context: Context, *, shared: bool) -> ServerSettings:
    """`shared`: processes count limits and budgets together."""
    limits = server.limits
    if server.workers > MAX_WORKERS:
        context.report(("server", "workers"), f"must be at most {MAX_WORKERS}")
    if server.workers > 1 and not shared:
        reason = "several processes count limits and budgets together only through Redis"
        context.report(("server", "workers"), f"{reason}: set redis.url, or leave it at 1")
    if server.listen == server.admin and server.listen.port:
        context.report(("server", "admin"), "must not be the same address as listen")
    if not is_loopback(server.admin.host):
        context.warn(("server", "admin"), "the admin listener asks for no sign-in in this version; keep it to this machine")
    cert, key = _certificate(server.tls, context) if server.tls else (None, None)
    return ServerSettings(
        listen=server.listen,
        admin=server.admin,
        workers=server.workers,
        tls_cert=cert,
        tls_key=key,
        trusted_proxies=Networks(server.trusted_proxies) if server.trusted_proxies else None,
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
