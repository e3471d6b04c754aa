"""Names of models in Google's URLs. Which host and version stand before them belongs in `providers`."""

from __future__ import annotations

from urllib.parse import quote

_PREFIXES = ("models/", "tunedModels/")


def resource(model: str) -> str:
    """A model's resource name. A tuned model brings its own collection."""
    return model if model.startswith(_PREFIXES) else f"models/{model}"


def path(model: str, action: str) -> str:
    """The path of an action below a base path such as `/v1beta`. All of a model's own name is one segment."""
    collection, _, name = resource(model).partition("/")
    return f"/{collection}/{quote(name, safe='')}:{action}"
