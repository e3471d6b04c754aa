"""What the gateway tells of itself without asking anyone: which models there are, in the caller's dialect."""

from __future__ import annotations

from trunkline.canon.errors import GatewayError, Kind
from trunkline.config.snapshot import Snapshot
from trunkline.dialects.dialect import Listed
from trunkline.dialects.ollama.models import read_show, write_version
from trunkline.gateway.endpoints import Endpoint
from trunkline.policy.keys import Principal
from trunkline.providers.provider import Target
from trunkline.routing.route import Route


def tell(endpoint: Endpoint, snapshot: Snapshot, principal: Principal, body: bytes) -> bytes:
    """The answer's body. Raises `GatewayError` where a model is named that the key may not see, or that is none."""
    match endpoint.job:
        case "version":
            return write_version()
        case "models":
            known = dict.fromkeys((*(name for name, _ in snapshot.models()), *principal.aliases))
            found = ((name, _find(name, snapshot, principal)) for name in known)
            return endpoint.dialect.write_models(_listed(name, route, principal) for name, route in found if route is not None)
        case "show":
            return endpoint.dialect.write_model(_one(read_show(body), snapshot, principal))
        case _:
            return endpoint.dialect.write_model(_one(endpoint.named.model, snapshot, principal))


def _find(name: str, snapshot: Snapshot, principal: Principal) -> Route | None:
    """What the caller means by a name, where it may use that."""
    meant = principal.meant(name)
    route = snapshot.route(meant)
    if route is None or not principal.may_use(meant, route.entry):
        return None
    return route if principal.providers is None or _targets(route, principal) else None


def _targets(route: Route, principal: Principal) -> list[Target]:
    """Those whose providers the caller may use, also where a rule leads."""
    found = [target for target in (*route.targets, *route.fallbacks) if principal.may_ask(target.provider.name)]
    return found + [target for rule in route.rules for target in _targets(rule.use, principal)]


def _one(name: str, snapshot: Snapshot, principal: Principal) -> Listed:
    route = _find(name, snapshot, principal)
    if route is None:
        raise GatewayError(Kind.NOT_FOUND, f"The model {name[:200]!r} does not exist here.", code="model_not_found")
    return _listed(name, route, principal)


def _listed(name: str, route: Route, principal: Principal) -> Listed:
    target = route.targets[0] if principal.providers is None else _targets(route, principal)[0]
    return Listed(name, target.provider.name, target.facts)
