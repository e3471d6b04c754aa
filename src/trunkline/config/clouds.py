"""What clouds add to a provider: an address made of a resource or a project, paths of their own, credentials that expire.

How those paths are completed for a request is in `providers.hosting`; how a credential is used is in `credentials`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from trunkline.config import values
from trunkline.config.mistakes import KeyPath
from trunkline.config.proxy import is_loopback
from trunkline.config.reach import Context, existing_file, proxy
from trunkline.config.schema_providers import AwsKeys, ProviderSpec
from trunkline.credentials.aws import AwsSpec, Keys
from trunkline.credentials.credential import Spec
from trunkline.credentials.google import TOKEN_URI, GoogleSpec, read_file
from trunkline.providers.catalog import Row
from trunkline.providers.provider import Hosting, StreamUsage

T = TypeVar("T")
_AZURE_V1 = "/openai/v1"
_AZURE_MODELS = "/models"
_MODELS_VERSION = "2024-05-01-preview"
"""The one version of Azure's model inference API (learn.microsoft.com/rest/api/aifoundry/modelinference)."""
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}(?:-preview)?")
_STREAM_USAGE_SINCE = "2024-09-01"
"""Azure's dated API knows `stream_options` from 2024-09-01-preview on (learn.microsoft.com, Azure OpenAI API lifecycle)."""
_MULTI_REGIONS = frozenset({"us", "eu"})
_VERTEX_VERSIONS = ("v1", "v1beta1")
_AWS_KEYS = ("access_key_id", "secret_access_key", "session_token")


class Place(NamedTuple):
    """Where a provider is and how its paths go."""

    endpoint: values.Endpoint
    speaks: Mapping[str, str]
    hosting: Hosting = ""
    query: str = ""
    credential: Spec | None = None
    stream_usage: StreamUsage | None = None
    """Where it is not the kind's."""
    secrets: tuple[bytes, ...] = ()
    """What of the credential must never be shown."""


def azure(row: Row, spec: ProviderSpec, spoken: tuple[str, ...], path: KeyPath, context: Context) -> Place | None:
    """Azure OpenAI: its v1 API, its dated one where a version is named, or the model inference API (`/models`)."""
    endpoint, version = _azure_endpoint(spec, path, context), spec.api_version
    if endpoint is None:
        return None
    if not spec.api_version and not endpoint.path.endswith((_AZURE_V1, _AZURE_MODELS)) and _is_found(spec):
        version = _variable("OPENAI_API_VERSION", values.api_version, path, context) or ""
    dated = _DATED.fullmatch(version) is not None
    if endpoint.path.endswith(_AZURE_MODELS):
        if any(name != "openai_chat" for name in spec.dialect):
            context.report((*path, "dialect"), "an address that ends in /models speaks openai_chat only")
        query = f"api-version={version or _MODELS_VERSION}"
        return Place(endpoint, {"openai_chat": endpoint.path}, query=query)
    root = endpoint.path.removesuffix("/v1").removesuffix("/openai")
    query = f"api-version={version}" if version else ""
    if not dated:
        return Place(endpoint, {name: root + _AZURE_V1 + row.dialects[name] for name in spoken}, query=query)
    if endpoint.path.endswith(_AZURE_V1):
        context.report((*path, "api_version"), "is of the dated API; for that end the base_url before /openai/v1")
    usage: StreamUsage | None = "never" if version < _STREAM_USAGE_SINCE else None
    below = {name: f"{root}/openai{row.dialects[name]}" for name in spoken}
    return Place(endpoint, below, "deployments", query, stream_usage=usage)


def _is_found(spec: ProviderSpec) -> bool:
    """The address comes from the environment, and so may the version."""
    return spec.base_url is None and spec.resource is None


def _azure_endpoint(spec: ProviderSpec, path: KeyPath, context: Context) -> values.Endpoint | None:
    if spec.base_url is not None:
        if spec.resource is not None:
            context.report((*path, "resource"), "give either resource or base_url")
        if "/openai/deployments" in spec.base_url.path:
            context.report((*path, "base_url"), "ends before /openai/deployments: the model's name is the deployment's")
            return None
        return spec.base_url
    if spec.resource is not None:
        return values.endpoint(f"https://{spec.resource}.openai.azure.com")
    found = _variable("AZURE_OPENAI_ENDPOINT", values.endpoint, path, context)
    if found is None:
        context.report(path, "needs resource or base_url, or the environment variable AZURE_OPENAI_ENDPOINT")
    return found


def vertex(row: Row, spec: ProviderSpec, spoken: tuple[str, ...], path: KeyPath, context: Context) -> Place | None:
    """Vertex AI: below a project and a location; with an API key alone only Google's own models (express mode)."""
    version = spec.api_version or _VERTEX_VERSIONS[0]
    if version not in _VERTEX_VERSIONS:
        context.report((*path, "api_version"), f"must be {' or '.join(_VERTEX_VERSIONS)}")
    location = spec.location or _variable("GOOGLE_CLOUD_LOCATION", values.label, path, context) or "global"
    endpoint = spec.base_url or values.endpoint(f"https://{_vertex_host(location)}")
    base = endpoint.path.removesuffix(f"/{version}")
    keyed = spec.api_key is not None
    if keyed and spec.credentials_file is not None:
        context.report((*path, "credentials_file"), "give either api_key or credentials_file")
    found = None if keyed else _google(endpoint, spec, path, context)
    project = spec.project or _variable("GOOGLE_CLOUD_PROJECT", values.project, path, context) or (found and found.project)
    if keyed and not project:
        return Place(endpoint, {"gemini": f"{base}/{version}{row.dialects['gemini']}"}, "vertex")
    if not keyed and found is None:
        return None
    if not project:
        context.report((*path, "project"), "is required, or the environment variable GOOGLE_CLOUD_PROJECT")
        return None
    versions = dict.fromkeys(row.dialects, version) | {"openai_chat": "v1beta1"}  # the only one that has endpoints/openapi
    below = f"/projects/{project}/locations/{location}"
    speaks = {name: f"{base}/{versions[name]}{below}{row.dialects[name]}" for name in spoken}
    return Place(endpoint, speaks, "vertex", credential=found.spec if found else None)


def _vertex_host(location: str) -> str:
    """As google-genai and Anthropic's SDK choose it."""
    if location == "global":
        return "aiplatform.googleapis.com"
    return (
        f"aiplatform.{location}.rep.googleapis.com" if location in _MULTI_REGIONS else f"{location}-aiplatform.googleapis.com"
    )


class _Google(NamedTuple):
    spec: GoogleSpec
    project: str


def _google(endpoint: values.Endpoint, spec: ProviderSpec, path: KeyPath, context: Context) -> _Google | None:
    """The credentials: the file that is written, else application-default ones, as Google's own libraries look for them."""
    file: str | None
    if spec.credentials_file is not None:
        here: KeyPath = (*path, "credentials_file")
        file = existing_file(spec.credentials_file, here, context)
    elif spec.base_url is not None and not endpoint.host.endswith(".googleapis.com"):
        what = "is required with a base_url of your own (or an api_key, or api_key: none): tokens are not sent there unasked"
        context.report((*path, "credentials_file"), what)
        return None
    else:
        here, file = path, _default_file(path, context)
    told = {}
    if file is not None and Path(file).is_file():
        try:
            told = read_file(file)
        except ValueError as error:
            context.report(here, f"the credentials file {file} cannot be used: {error}")
            return None
    uri = values.endpoint(told.get("token_uri", TOKEN_URI))
    through = None if is_loopback(uri.host) else proxy(uri, spec.proxy, path, context)
    project = told.get("project_id") or told.get("quota_project_id")
    authorities = None if spec.tls.ca is None else str(context.base / spec.tls.ca)
    return _Google(GoogleSpec(file, through, authorities), project if isinstance(project, str) else "")


def _default_file(path: KeyPath, context: Context) -> str | None:
    """Application-default credentials (google.auth.default): the named file, else gcloud's, else the machine's account."""
    environ = context.environ
    if named := environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        if not Path(named).is_file():
            context.report(path, "the environment variable GOOGLE_APPLICATION_CREDENTIALS names no file")
        return named
    folder = environ.get("CLOUDSDK_CONFIG") or str(Path(environ.get("HOME", ""), ".config", "gcloud"))
    file = Path(folder, "application_default_credentials.json")
    return str(file) if file.is_absolute() and file.is_file() else None


def bedrock(row: Row, spec: ProviderSpec, spoken: tuple[str, ...], path: KeyPath, context: Context) -> Place | None:
    """AWS Bedrock in a region: with an API key, else with signed requests."""
    names = ("AWS_REGION", "AWS_DEFAULT_REGION")
    found = (_variable(name, values.label, path, context) for name in names)
    region = spec.region or next((one for one in found if one), None)
    keyed = spec.api_key is not None
    if keyed and spec.aws is not None:
        context.report((*path, "aws"), "give either api_key or aws")
    if not keyed and spec.aws is None and spec.base_url is not None:
        what = "is required with a base_url of your own, or aws (aws: {} for what AWS's own tools find)"
        context.report((*path, "api_key"), what)
        return None
    signs = spec.aws is not None or not (keyed or any(map(context.environ.get, row.env)))
    if region is None and (signs or spec.base_url is None):
        context.report((*path, "region"), f"is required, or the environment variable {' or '.join(names)}")
        return None
    endpoint = spec.base_url or values.endpoint(f"https://bedrock-runtime.{region}.amazonaws.com")
    speaks = {name: endpoint.path + row.dialects[name] for name in spoken}
    if not signs or region is None:
        return Place(endpoint, speaks)
    signing = _signing(region, spec.aws or AwsKeys(), (*path, "aws"), context)
    shown = (signing.keys.secret, signing.keys.session) if signing.keys is not None else ()
    return Place(endpoint, speaks, credential=signing, secrets=tuple(one.encode("ascii") for one in shown if one))


def _signing(region: str, aws: AwsKeys, path: KeyPath, context: Context) -> AwsSpec:
    """The credential that signs."""
    given = {name: value.get_secret_value() for name in _AWS_KEYS if (value := getattr(aws, name)) is not None}
    for name in _AWS_KEYS[:2]:
        if given and name not in given:
            context.report((*path, name), "is required beside the other keys")
    if given and aws.profile is not None:
        context.report((*path, "profile"), "give either keys or a profile")
    first, second, third = (given.get(name, "") for name in _AWS_KEYS)
    return AwsSpec(region, Keys(first, float("inf"), secret=second, session=third) if given else None, aws.profile or "")


def _variable(name: str, check: Callable[[object], T], path: KeyPath, context: Context) -> T | None:
    """The value of a variable; None where it is not set, or wrong, which is reported."""
    try:
        return check(context.environ[name]) if context.environ.get(name) else None
    except ValueError as error:
        context.report(path, f"the environment variable {name} cannot be used: {error}")
        return None


CLOUDS: Mapping[str, Callable[[Row, ProviderSpec, tuple[str, ...], KeyPath, Context], Place | None]] = {
    "azure": azure,
    "bedrock": bedrock,
    "vertex": vertex,
}
"""By the `cloud` of a kind's row."""
