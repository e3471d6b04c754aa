"""What the gateway tells of itself without asking anyone: which models there are, in the caller's dialect."""

from __future__ import annotations

from trunkline.canon.errors import GatewayError, Kind
from trunkline.config.snapshot import Snapshot
from trunkline.dialects.dialect import Listed
from trunkline.dialects.ollama.models import read_show, write_version
from trunkline.gateway.endpoints import Endpoint
from trunkline.policy.keys import Principal
from trunkline.routing.route import Route


def tell(endpoint: Endpoint, snapshot: Snapshot, principal: Principal, body: bytes) -> bytes:
    """The answer's body. Raises `GatewayError` where a model is named that the key may not see, or that is none."""
    match endpoint.job:
        case "version":
            return write_version()
        case "models":
            names = (name for name, _ in snapshot.models() if principal.may_use(name))
            return endpoint.dialect.write_models(_listed(route) for name in names if (route := snapshot.route(name)))
        case "show":
            return endpoint.dialect.write_model(_listed(_route(read_show(body), snapshot, principal)))
        case _:
            return endpoint.dialect.write_model(_listed(_route(endpoint.named.model, snapshot, principal)))


def _route(model: str, snapshot: Snapshot, principal: Principal) -> Route:
    route = snapshot.route(model) if principal.may_use(model) else None
    if route is None:
        raise GatewayError(Kind.NOT_FOUND, f"The model {model[:200]!r} does not exist here.", code="model_not_found")
    return route


def _listed(route: Route) -> Listed:
    target = route.targets[0]
    return Listed(route.name, target.provider.name, target.facts)
