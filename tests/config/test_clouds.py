"""Clouds as they are written, and what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.test_providers import made
from credentials.accounts import PROJECT, service_account, user, written
from trunkline.config.load import load
from trunkline.credentials.aws import AwsSpec, Keys
from trunkline.credentials.google import GoogleSpec
from trunkline.providers.provider import Provider

ROOT = "https://lab.openai.azure.com"
KEY = {"api_key": "azure-key-1"}
V1 = "/openai/v1"
P = "/projects/lab-1/locations/"
ALL = {"openai_chat", "openai_responses", "openai_completions"}


def good(name: str, told: dict[str, Any], environ: dict[str, str] | None = None, base: Path = Path()) -> Provider:
    """The provider; nothing may be wrong with it."""
    provider, reported, warned = made(name, told, environ, base)
    assert (reported, warned) == ([], [])
    assert provider is not None
    return provider


def wrong(name: str, told: dict[str, Any], environ: dict[str, str] | None = None, base: Path = Path()) -> list[str]:
    """What is reported."""
    return made(name, told, environ, base)[1]


ENVIRON = {"AZURE_OPENAI_API_KEY": "azure-key-1", "AZURE_OPENAI_ENDPOINT": f"{ROOT}/"}


@pytest.mark.parametrize(
    ("told", "environ", "base", "hosting", "query"),
    [
        ({**KEY, "resource": "Lab"}, {}, V1, "", ""),
        ({**KEY, "base_url": ROOT}, {}, V1, "", ""),
        ({**KEY, "base_url": f"{ROOT}/openai/v1/"}, {}, V1, "", ""),
        ({**KEY, "base_url": f"{ROOT}/openai"}, {}, V1, "", ""),
        ({**KEY, "base_url": f"{ROOT}/gate"}, {}, "/gate/openai/v1", "", ""),
        ({**KEY, "resource": "lab", "api_version": "preview"}, {}, V1, "", "api-version=preview"),
        ({**KEY, "base_url": f"{ROOT}/openai/v1", "api_version": "v1"}, {}, V1, "", "api-version=v1"),
        ({**KEY, "resource": "lab", "api_version": "2024-10-21"}, {}, "/openai", "deployments", "api-version=2024-10-21"),
        ({**KEY, "base_url": f"{ROOT}/openai", "api_version": "2025-04-01-preview"}, {}, "/openai", "deployments",
         "api-version=2025-04-01-preview"),
        ({}, ENVIRON, V1, "", ""),
        ({}, {**ENVIRON, "OPENAI_API_VERSION": "2024-10-21"}, "/openai", "deployments", "api-version=2024-10-21"),
        ({}, {**ENVIRON, "AZURE_OPENAI_ENDPOINT": f"{ROOT}/openai/v1", "OPENAI_API_VERSION": "2024-10-21"}, V1, "", ""),
        ({"resource": "lab"}, {**ENVIRON, "OPENAI_API_VERSION": "2024-10-21"}, V1, "", ""),
        ({"resource": "lab"}, ENVIRON, V1, "", ""),
    ],
)  # fmt: skip
def test_azure(told: dict[str, Any], environ: dict[str, str], base: str, hosting: str, query: str) -> None:
    """Azure would answer 404, or read another version's fields."""
    provider = good("azure", told, environ)
    assert (provider.origin.scheme, provider.origin.host, provider.origin.port) == ("https", "lab.openai.azure.com", 443)
    assert provider.speaks == dict.fromkeys(ALL, base)
    assert provider.dialect == "openai_chat"
    assert (provider.hosting, provider.query, provider.stream_usage) == (hosting, query, "ask")
    assert b"\r\napi-key: azure-key-1\r\n" in provider.head
    assert provider.secrets == (b"azure-key-1",)


def test_a_token_of_entra_is_sent_as_a_bearers() -> None:
    """Azure would take it for a key."""
    provider = good("azure", {"resource": "lab", "api_key": "eyJ0.eyJ1.sig", "auth": "bearer"})
    assert b"\r\nAuthorization: Bearer eyJ0.eyJ1.sig\r\n" in provider.head
    assert b"api-key" not in provider.head


@pytest.mark.parametrize(("version", "usage"), [("2024-02-01", "never"), ("2024-08-01-preview", "never"),
                                                ("2024-09-01-preview", "ask"), ("2024-10-21", "ask")])  # fmt: skip
def test_usage_is_asked_of_versions_that_know_how_to_tell_it(version: str, usage: str) -> None:
    """Every stream of an older version would be a 400."""
    assert good("azure", {**KEY, "resource": "lab", "api_version": version}).stream_usage == usage


@pytest.mark.parametrize(("version", "query"), [("", "2024-05-01-preview"), ("2025-01-01", "2025-01-01")])
def test_models_that_are_not_openais(version: str, query: str) -> None:
    """Grok on Azure could not be reached."""
    told = {"kind": "azure", **KEY, "base_url": "https://lab.services.ai.azure.com/models"}
    provider = good("x", told | ({"api_version": version} if version else {}), {"OPENAI_API_VERSION": "2024-02-01"})
    assert (provider.speaks, provider.query) == ({"openai_chat": "/models"}, f"api-version={query}")
    assert (provider.hosting, provider.stream_usage) == ("", "ask")


@pytest.mark.parametrize(
    ("told", "environ", "mistakes"),
    [
        ({}, {}, ["providers.azure: needs resource or base_url, or the environment variable AZURE_OPENAI_ENDPOINT"]),
        ({}, {"AZURE_OPENAI_ENDPOINT": "lab"},
         [("providers.azure: the environment variable AZURE_OPENAI_ENDPOINT cannot be used: "
          "must be a URL with a host, such as https://api.example.com/v1")]),
        ({**KEY, "resource": "lab", "base_url": ROOT}, {}, ["providers.azure.resource: give either resource or base_url"]),
        ({**KEY, "base_url": f"{ROOT}/openai/deployments/gpt"}, {},
         ["providers.azure.base_url: ends before /openai/deployments: the model's name is the deployment's"]),
        ({**KEY, "base_url": f"{ROOT}/openai/v1", "api_version": "2024-10-21"}, {},
         ["providers.azure.api_version: is of the dated API; for that end the base_url before /openai/v1"]),
        ({**KEY, "base_url": f"{ROOT}/models", "dialect": "openai_responses"}, {},
         ["providers.azure.dialect: an address that ends in /models speaks openai_chat only"]),
        ({"base_url": ROOT}, ENVIRON, [("providers.azure.api_key: is required with a base_url of your own: a key, or none "
                                       "(AZURE_OPENAI_API_KEY is not sent there unasked)")]),
        ({"resource": "lab"}, {}, [("providers.azure.api_key: is required, or the environment variable AZURE_OPENAI_API_KEY; "
                                   "write none where no key is needed")]),
        ({**KEY, "resource": "lab", "project": "p"}, {},
         ["providers.azure.project: the kind azure takes no such setting: remove this"]),
        ({}, {**ENVIRON, "OPENAI_API_VERSION": "a b"},
         ["providers.azure: the environment variable OPENAI_API_VERSION cannot be used: must be a version such as 2023-06-01"]),
    ],
)  # fmt: skip
def test_what_cannot_be_azure(told: dict[str, Any], environ: dict[str, str], mistakes: list[str]) -> None:
    """A mistake would show at the first request only."""
    assert wrong("azure", told, environ) == mistakes


@pytest.mark.parametrize(
    ("told", "environ", "host", "version", "location"),
    [
        ({}, {}, "aiplatform.googleapis.com", "v1", "global"),
        ({"location": "us-east5"}, {}, "us-east5-aiplatform.googleapis.com", "v1", "us-east5"),
        ({"location": "eu"}, {}, "aiplatform.eu.rep.googleapis.com", "v1", "eu"),
        ({"api_version": "v1beta1"}, {"GOOGLE_CLOUD_LOCATION": "us"}, "aiplatform.us.rep.googleapis.com", "v1beta1", "us"),
        ({"location": "us-east5"}, {"GOOGLE_CLOUD_LOCATION": "us"}, "us-east5-aiplatform.googleapis.com", "v1", "us-east5"),
    ],
)
def test_vertex(told: dict[str, Any], environ: dict[str, str], host: str, version: str, location: str, tmp_path: Path) -> None:
    """Google would answer 404, or another region be charged."""
    file = service_account(tmp_path, "https://oauth2.googleapis.com/token")
    provider = good("vertex", {**told, "credentials_file": file.name}, environ, tmp_path)
    assert (provider.origin.host, provider.origin.port) == (host, 443)
    assert provider.speaks == {
        "gemini": f"/{version}{P}{location}/publishers/google",
        "anthropic": f"/{version}{P}{location}/publishers/anthropic",
        "openai_chat": f"/v1beta1{P}{location}/endpoints/openapi",
    }
    assert (provider.dialect, provider.hosting, provider.query) == ("gemini", "vertex", "")
    assert provider.credential == GoogleSpec(str(file))
    assert b"Authorization" not in provider.head
    assert b"x-goog-api-key" not in provider.head
    assert provider.forward == ((b"anthropic-beta", b""),)


def test_the_project_is_the_written_one_then_the_environments_then_the_files(tmp_path: Path) -> None:
    """Another project would pay."""
    told = {"credentials_file": str(service_account(tmp_path, "https://a/"))}
    environ = {"GOOGLE_CLOUD_PROJECT": "from-environ"}
    assert "/projects/mine/" in good("vertex", {**told, "project": "mine"}, environ).speaks["gemini"]
    assert "/projects/123/" in good("vertex", {**told, "project": 123}, environ).speaks["gemini"]
    assert "/projects/from-environ/" in good("vertex", told, environ).speaks["gemini"]
    assert f"/projects/{PROJECT}/" in good("vertex", told).speaks["gemini"]
    of_user = {"credentials_file": str(user(tmp_path, "https://a/", quota_project_id="quota"))}
    assert "/projects/quota/" in good("vertex", of_user).speaks["gemini"]


def test_an_api_key_of_googles(tmp_path: Path) -> None:
    """Express mode has neither project nor location, and none but Google's models; a key of a project has all."""
    express = good("vertex", {"api_key": "AIza-key-1"})
    assert express.speaks == {"gemini": "/v1/publishers/google"}
    assert b"\r\nx-goog-api-key: AIza-key-1\r\n" in express.head
    assert (express.credential, express.secrets) == (None, (b"AIza-key-1",))
    whole = good("vertex", {"api_key": "AIza-key-1", "project": "lab-1"})
    assert whole.speaks["anthropic"] == f"/v1{P}global/publishers/anthropic"
    assert whole.credential is None


def test_an_address_of_ones_own(tmp_path: Path) -> None:
    """A proxy before Google could not be used; or a token be sent to it unasked."""
    file = service_account(tmp_path, "https://a/")
    told = {"base_url": "http://127.0.0.1:9/gate/v1", "project": "lab-1"}
    provider = good("vertex", {**told, "credentials_file": str(file)})
    assert provider.speaks["gemini"] == f"/gate/v1{P}global/publishers/google"
    assert good("vertex", {**told, "api_key": "none"}).credential is None
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}
    assert wrong("vertex", told, environ) == [
        (
            "providers.vertex.credentials_file: is required with a base_url of your own (or an api_key, or api_key: none):"
            " tokens are not sent there unasked"
        )
    ]
    at_google = good("vertex", {"base_url": "https://us-central1-aiplatform.googleapis.com"}, environ)
    assert at_google.credential == GoogleSpec(str(file))


def test_a_header_of_ones_own_does_not_stand_beside_the_token(tmp_path: Path) -> None:
    """Google would be sent two credentials."""
    told = {"credentials_file": str(service_account(tmp_path, "https://a/")), "headers": {"Authorization": "Bearer x"}}
    assert len(wrong("vertex", told)) == 1
    assert good("vertex", {"project": "p", "api_key": "none", "headers": {"Authorization": "Bearer x"}}).credential is None


def test_where_credentials_are_looked_for(tmp_path: Path) -> None:
    """What works with Google's own libraries would not work here."""
    told = {"project": "lab-1"}
    assert good("vertex", told).credential == GoogleSpec(None), "the machine's own account"
    named = service_account(tmp_path, "https://a/")
    assert good("vertex", told, {"GOOGLE_APPLICATION_CREDENTIALS": str(named)}).credential == GoogleSpec(str(named))
    home = tmp_path / ".config" / "gcloud"
    home.mkdir(parents=True)
    left = user(tmp_path, "https://a/").rename(home / "application_default_credentials.json")
    assert good("vertex", told, {"HOME": str(tmp_path)}).credential == GoogleSpec(str(left))
    assert good("vertex", told, {"CLOUDSDK_CONFIG": str(home)}).credential == GoogleSpec(str(left))
    assert good("vertex", told, {"HOME": "/", "CLOUDSDK_CONFIG": str(tmp_path)}).credential == GoogleSpec(None)


def test_the_way_to_the_token_server(tmp_path: Path) -> None:
    """Behind a proxy, or an authority of one's own, there would be no token."""
    (tmp_path / "ca.pem").write_text("")
    told = {"credentials_file": str(service_account(tmp_path, "https://a/")), "proxy": "http://u:p@proxy:3128"}
    provider = made("vertex", {**told, "tls": {"ca": "ca.pem"}}, {}, tmp_path)[0]
    assert provider is not None
    spec = provider.credential
    assert isinstance(spec, GoogleSpec)
    assert (spec.proxy, spec.authorities) == (provider.origin.proxy, str(tmp_path / "ca.pem"))
    told["credentials_file"] = str(service_account(tmp_path, "http://127.0.0.1:9/"))
    spec = good("vertex", told).credential
    assert isinstance(spec, GoogleSpec)
    assert spec.proxy is None


@pytest.mark.parametrize(
    ("told", "environ", "mistakes"),
    [
        ({}, {}, ["providers.vertex.project: is required, or the environment variable GOOGLE_CLOUD_PROJECT"]),
        ({"project": "p", "api_version": "v2"}, {}, ["providers.vertex.api_version: must be v1 or v1beta1"]),
        ({"project": "p"}, {"GOOGLE_CLOUD_LOCATION": "a/b"},
         [("providers.vertex: the environment variable GOOGLE_CLOUD_LOCATION cannot be used: "
          "must be 1 to 63 letters, digits and '-', with no '-' at either end")]),
        ({"project": "p", "credentials_file": "none.json"}, {},
         ["providers.vertex.credentials_file: there is no such file"]),
        ({"project": "p", "credentials_file": "odd.json"}, {},
         [("providers.vertex.credentials_file: the credentials file odd.json cannot be used: "
          "its type must be service_account or authorized_user")]),
        ({"project": "p", "credentials_file": "odd.json", "api_key": "k"}, {},
         ["providers.vertex.credentials_file: give either api_key or credentials_file"]),
        ({"project": "p"}, {"GOOGLE_APPLICATION_CREDENTIALS": "none.json"},
         ["providers.vertex: the environment variable GOOGLE_APPLICATION_CREDENTIALS names no file"]),
        ({"project": "p", "resource": "r"}, {},
         ["providers.vertex.resource: the kind vertex takes no such setting: remove this"]),
    ],
)  # fmt: skip
def test_what_cannot_be_vertex(
    told: dict[str, Any], environ: dict[str, str], mistakes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake would show at the first request only."""
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "odd.json", {"type": "odd"})
    assert wrong("vertex", told, environ) == mistakes


def test_without_a_configuration_a_cloud_needs_all_its_variables(tmp_path: Path) -> None:
    """A variable that is set for another program would make a provider that cannot work, and stop the start."""
    file = str(service_account(tmp_path, "https://a/"))
    google = {"GOOGLE_CLOUD_PROJECT": "lab-1", "GOOGLE_APPLICATION_CREDENTIALS": file}
    assert set(load(None, {**ENVIRON, **google}).providers) == {"azure", "vertex", "echo"}
    for alone in ({"AZURE_OPENAI_API_KEY": "k"}, {"AZURE_OPENAI_ENDPOINT": ROOT}, {"GOOGLE_CLOUD_PROJECT": "lab-1"}):
        assert set(load(None, alone).providers) == {"echo"}


TOKEN = {"AWS_BEARER_TOKEN_BEDROCK": "bedrock-api-key-1"}
REGION = {"AWS_REGION": "eu-west-1"}
GIVEN = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret-of-aws-1"}
KEYS = Keys("AKIDEXAMPLE", float("inf"), secret="secret-of-aws-1")
LENT = Keys("AKIDEXAMPLE", float("inf"), secret="secret-of-aws-1", session="token-of-aws-1")
OWN = "http://127.0.0.1:9"
WEST, EAST = (f"bedrock-runtime.{region}.amazonaws.com" for region in ("eu-west-1", "us-east-2"))
NO_REGION = "providers.bedrock.region: is required, or the environment variable AWS_REGION or AWS_DEFAULT_REGION"


@pytest.mark.parametrize(
    ("told", "environ", "host", "credential", "secrets"),
    [
        ({}, {**TOKEN, **REGION}, WEST, None, (b"bedrock-api-key-1",)),
        ({}, {**TOKEN, "AWS_DEFAULT_REGION": "us-east-2"}, EAST, None, (b"bedrock-api-key-1",)),
        ({"region": "us-east-1"}, REGION, "bedrock-runtime.us-east-1.amazonaws.com", AwsSpec("us-east-1"), ()),
        ({"aws": {}}, {**TOKEN, **REGION}, WEST, AwsSpec("eu-west-1"), ()),
        ({"aws": {"profile": "work"}}, REGION, WEST, AwsSpec("eu-west-1", None, "work"), ()),
        ({"aws": GIVEN}, REGION, WEST, AwsSpec("eu-west-1", KEYS), (b"secret-of-aws-1",)),
        ({"aws": {**GIVEN, "session_token": "token-of-aws-1"}, "base_url": OWN}, REGION, "127.0.0.1",
         AwsSpec("eu-west-1", LENT), (b"secret-of-aws-1", b"token-of-aws-1")),
        ({"api_key": "my-own-key-1"}, {**TOKEN, **REGION}, WEST, None, (b"my-own-key-1",)),
        ({"api_key": "none", "base_url": OWN}, {}, "127.0.0.1", None, ()),
    ],
)  # fmt: skip
def test_bedrock(told: dict[str, Any], environ: dict[str, str], host: str, credential: Any, secrets: tuple[bytes, ...]) -> None:
    """Who signs with what, and where to; every secret is known to those who mask."""
    provider = good("bedrock", told, environ)
    assert (provider.origin.host, provider.credential, provider.secrets) == (host, credential, secrets)
    assert provider.speaks == {"bedrock": ""}
    assert (b"\r\nAuthorization: Bearer " in provider.head) == (credential is None and bool(secrets))
    below = good("bedrock", {"base_url": f"{OWN}/gate/", "api_key": "none"})
    assert below.speaks == {"bedrock": "/gate"}
    assert "secret-of-aws-1" not in repr(provider)
    assert "secret-of-aws-1" not in repr(provider.credential)


@pytest.mark.parametrize(
    ("told", "environ", "mistakes"),
    [
        ({}, TOKEN, [NO_REGION]),
        ({"base_url": OWN, "aws": {}}, {}, [NO_REGION]),
        ({"base_url": OWN}, {**TOKEN, **REGION},
         [("providers.bedrock.api_key: is required with a base_url of your own, or aws "
           "(aws: {} for what AWS's own tools find)")]),
        ({"api_key": "my-own-key-1", "aws": {}}, REGION, ["providers.bedrock.aws: give either api_key or aws"]),
        ({"aws": {"access_key_id": "AKID"}}, REGION,
         ["providers.bedrock.aws.secret_access_key: is required beside the other keys"]),
        ({"aws": {"session_token": "t"}}, REGION,
         ["providers.bedrock.aws.access_key_id: is required beside the other keys",
         "providers.bedrock.aws.secret_access_key: is required beside the other keys"]),
        ({"aws": {**GIVEN, "profile": "work"}}, REGION, ["providers.bedrock.aws.profile: give either keys or a profile"]),
        ({"aws": GIVEN, "headers": {"authorization": "x"}}, REGION,
         [("providers.bedrock.headers.authorization: the api_key is sent in this header; "
           "with a header of your own write api_key: none")]),
        ({"aws": GIVEN}, {"AWS_REGION": "a.b/c"},
         [("providers.bedrock: the environment variable AWS_REGION cannot be used: must be 1 to 63 letters, digits and '-', "
          "with no '-' at either end")]),
    ],
)  # fmt: skip
def test_what_cannot_be_bedrock(told: dict[str, Any], environ: dict[str, str], mistakes: list[str]) -> None:
    """A start says what is missing; a signature for no region would be refused request by request."""
    assert wrong("bedrock", told, environ) == mistakes


def test_without_a_configuration_bedrock_needs_its_key_and_a_region() -> None:
    """Credentials of AWS are set on many machines for many purposes: they alone do not make a provider."""
    for region in (REGION, {"AWS_DEFAULT_REGION": "us-east-1"}):
        assert set(load(None, {**TOKEN, **region}).providers) == {"bedrock", "echo"}
    for alone in (TOKEN, {**REGION, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}):
        assert set(load(None, alone).providers) == {"echo"}
