"""One written provider into one that can be called."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import trustme

from trunkline import __version__
from trunkline.canon.wire import Deadlines
from trunkline.config.mistakes import KeyPath, Mistakes, Place
from trunkline.config.providers import compile_provider, deadlines
from trunkline.config.reach import Context
from trunkline.config.schema_models import Timeouts
from trunkline.config.schema_providers import ProviderSpec
from trunkline.dialects.families import FAMILIES
from trunkline.providers.provider import Provider

TAIL = f"User-Agent: trunkline/{__version__}\r\nAccept-Encoding: identity\r\nConnection: keep-alive\r\n"


def made(name: str, written: dict, environ: dict[str, str] | None = None, base: Path = Path()):
    mistakes = Mistakes()
    reported: list[str] = []
    warned: list[str] = []

    def report(path: KeyPath, message: str) -> None:
        if not mistakes.near(path):
            mistakes.add(Place("f", 1), path, message)
            reported.append(f"{'.'.join(map(str, path))}: {message}")

    context = Context(
        environ or {},
        base,
        report,
        lambda path, message: warned.append(f"{'.'.join(map(str, path))}: {message}"),
    )
    return compile_provider(name, ProviderSpec.model_validate(written), context), reported, warned


def good(name: str, written: dict, environ: dict[str, str] | None = None) -> Provider:
    provider, reported, _ = made(name, written, environ)
    assert reported == []
    assert provider is not None
    return provider


@pytest.mark.parametrize(
    ("name", "written", "environ", "head"),
    [
        ("openai", {}, {"OPENAI_API_KEY": "sk-1"}, "Host: api.openai.com\r\nAuthorization: Bearer sk-1\r\n" + TAIL),
        (
            "openai",
            {"api_key": "sk-2"},
            {"OPENAI_API_KEY": "sk-1"},
            "Host: api.openai.com\r\nAuthorization: Bearer sk-2\r\n" + TAIL,
        ),
        ("ollama", {}, {}, "Host: 127.0.0.1:11434\r\n" + TAIL),
        ("ollama", {}, {"OLLAMA_HOST": "box:1"}, "Host: box:1\r\n" + TAIL),
        ("ollama", {"api_key": "k"}, {}, "Host: 127.0.0.1:11434\r\nAuthorization: Bearer k\r\n" + TAIL),
        ("anthropic", {"api_key": "k"}, {}, "Host: api.anthropic.com\r\nx-api-key: k\r\n" + TAIL),
        ("anthropic", {}, {"ANTHROPIC_API_KEY": "k"}, "Host: api.anthropic.com\r\nx-api-key: k\r\n" + TAIL),
        (
            "gemini",
            {},
            {"GEMINI_API_KEY": "one", "GOOGLE_API_KEY": "two"},
            "Host: generativelanguage.googleapis.com\r\nx-goog-api-key: one\r\n" + TAIL,
        ),
        (
            "gemini",
            {},
            {"GOOGLE_API_KEY": "two"},
            "Host: generativelanguage.googleapis.com\r\nx-goog-api-key: two\r\n" + TAIL,
        ),
        (
            "x",
            {"kind": "anthropic", "base_url": "http://h/anthropic", "api_key": "k", "auth": "bearer"},
            {},
            "Host: h\r\nAuthorization: Bearer k\r\n" + TAIL,
        ),
        (
            "x",
            {"kind": "openai", "base_url": "http://h", "api_key": "k", "auth": "x-api-key"},
            {},
            "Host: h\r\nx-api-key: k\r\n" + TAIL,
        ),
        (
            "x",
            {"kind": "anthropic", "api_key": "k", "headers": {"Authorization": "Basic abc"}},
            {},
            "Host: api.anthropic.com\r\nx-api-key: k\r\n" + TAIL + "authorization: Basic abc\r\n",
        ),
        ("x", {"kind": "openai", "base_url": "http://[::1]:80/v1", "api_key": "none"}, {}, "Host: [::1]\r\n" + TAIL),
        ("x", {"kind": "openai", "base_url": "https://h:80/v1", "api_key": "none"}, {}, "Host: h:80\r\n" + TAIL),
        (
            "x",
            {"kind": "openai", "api_key": "none", "headers": {"User-Agent": "me", "X-B": " b "}},
            {},
            "Host: api.openai.com\r\nuser-agent: me\r\nAccept-Encoding: identity\r\nConnection: keep-alive\r\nx-b: b\r\n",
        ),
        (
            "x",
            {"kind": "openai", "api_key": "none", "headers": {"Authorization": "Basic abc"}},
            {},
            "Host: api.openai.com\r\n" + TAIL + "authorization: Basic abc\r\n",
        ),
    ],
)
def test_the_head_of_every_request(name: str, written: dict, environ: dict[str, str], head: str):
    """A provider would not know the caller, or be sent two credentials."""
    assert good(name, written, environ).head == head.encode()


def test_what_a_provider_is_made_of():
    """A written setting would not be in force."""
    provider = good(
        "lab",
        {
            "kind": "openrouter",
            "base_url": "https://h/a/",
            "api_key": "lab-secret",
            "headers": {"X-Title": "t", "X-Api-Key": "Bearer lab-header"},
            "tls": {"verify": "false"},
            "timeouts": {"connect": "1s"},
            "pool": {"min_connections": 2, "max_connections": "7", "max_waiting": "8", "wait": "9s", "keep_idle": "10s"},
            "max_answer": "1KiB",
            "max_stream": "2KiB",
            "proxy": "http://u:p%40ss@proxy:3128",
        },
    )
    assert (provider.name, provider.kind, provider.dialect, provider.stream_usage) == (
        "lab",
        "openrouter",
        "openai_chat",
        "always",
    )
    assert provider.forward == ((b"http-referer", b""),)  # x-title is set by the operator; twice would be one too many
    assert provider.secrets == (b"lab-secret", b"Bearer lab-header", b"lab-header")
    origin = provider.origin
    assert (origin.scheme, origin.host, origin.port, provider.speaks[provider.dialect]) == ("https", "h", 443, "/a")
    assert (origin.provider, origin.min_connections, origin.max_connections) == ("lab", 2, 7)
    assert (origin.max_waiting, origin.pool_wait, origin.keep_idle) == (8, 9.0, 10.0)
    assert not origin.tls.verify
    assert origin.proxy is not None
    assert origin.proxy.authorization == b"Basic " + base64.b64encode(b"u:p@ss")
    assert (provider.max_answer, provider.max_stream, provider.deadlines) == (1024, 2048, Deadlines(connect=1.0))


@pytest.mark.parametrize(
    ("name", "written", "dialect", "path"),
    [
        ("ollama", {}, "ollama", ""),
        ("ollama", {"base_url": "http://box:1/v1"}, "ollama", ""),
        ("ollama", {"dialect": "openai_chat"}, "openai_chat", "/v1"),
        ("ollama", {"dialect": ["openai_chat", "ollama"]}, "openai_chat", "/v1"),
        ("ollama", {"dialect": "openai_chat", "base_url": "http://box:1/v1"}, "openai_chat", "/v1"),
        ("anthropic", {"api_key": "k"}, "anthropic", ""),
        ("anthropic", {"api_key": "k", "base_url": "https://h/anthropic/v1/"}, "anthropic", "/anthropic"),
        ("gemini", {"api_key": "k"}, "gemini", "/v1beta"),
        ("gemini", {"api_key": "k", "base_url": "https://h/v1"}, "gemini", "/v1"),
    ],
)
def test_how_it_speaks_and_where(name: str, written: dict, dialect: str, path: str):
    """Every request to it would be answered 404."""
    provider = good(name, written)
    assert (provider.dialect, provider.speaks[provider.dialect]) == (dialect, path)


def test_which_headers_of_clients_go_on():
    """A feature that a client asks for by header would be lost, or a server that does not know it would refuse."""
    own = good("anthropic", {"api_key": "k"})
    assert own.forward == ((b"anthropic-version", b"2023-06-01"), (b"anthropic-beta", b""))
    assert own.betas == ("*",)
    other = good("x", {"kind": "anthropic", "base_url": "http://h", "api_key": "k", "betas": ["context-*", "a-1"]})
    assert other.betas == ("context-*", "a-1")
    assert good("x", {"kind": "anthropic", "api_key": "k", "betas": []}).betas == ()
    assert good("openai", {"api_key": "k"}).forward == ((b"openai-beta", b""),)


def test_what_is_known_better_of_its_models():
    """An operator could not mend what we do not know of their server."""
    written = {"facts": {"qwen*": {"thinks": "none", "tools": "false"}, "*": {"context": "32768"}}, "unsupported": "strict"}
    provider = good("x", {"kind": "openai", "api_key": "k", **written})
    assert provider.facts == (("qwen*", {"thinks": "", "tools": False}), ("*", {"context": 32768}))
    assert provider.strict
    assert not good("openai", {"api_key": "k"}).strict


def test_proxies_without_a_password_and_from_the_environment():
    """A provider behind a company's proxy could not be reached."""
    assert good("ollama", {"proxy": "http://p:1"}).origin.proxy is not None
    proxy = good("openai", {"api_key": "k"}, {"HTTPS_PROXY": "http://p:1"}).origin.proxy
    assert proxy is not None
    assert (proxy.host, proxy.port, proxy.authorization) == ("p", 1, None)
    assert good("openai", {"api_key": "k", "proxy": "none"}, {"HTTPS_PROXY": "http://p:1"}).origin.proxy is None


def test_short_values_are_no_secrets():
    """Masking `test` would eat words of every answer."""
    assert good("openai", {"api_key": "test"}).secrets == ()


def test_echo_needs_and_takes_nothing():
    """The first request would not work without an account."""
    echo = good("echo", {})
    assert (echo.builtin, echo.dialect, echo.head, echo.secrets) == (True, "openai_chat", b"", ())
    _, reported, _ = made("mine", {"kind": "echo", "base_url": "http://h", "api_key": "k"})
    assert len(reported) == 2


@pytest.mark.parametrize(
    ("name", "written", "environ", "says"),
    [
        ("opnai", {}, {}, "providers.opnai: 'opnai' is no kind of provider in this version; did you mean 'openai'?"),
        (
            "x",
            {"kind": "qqqqq"},
            {},
            "providers.x.kind: 'qqqqq' is no kind of provider in this version; known kinds: anthropic, azure, bedrock",
        ),
        (
            "ollama",
            {"dialect": "anthropic"},
            {},
            "providers.ollama.dialect: the kind ollama speaks no 'anthropic' in this version, but ollama or openai_chat",
        ),
        ("echo", {"dialect": "openai_chat"}, {}, "providers.echo.dialect: the echo provider answers by itself"),
        (
            "gemini",
            {},
            {},
            "providers.gemini.api_key: is required, or the environment variable GEMINI_API_KEY or GOOGLE_API_KEY;",
        ),
        ("gemini", {}, {"GOOGLE_API_KEY": "a b"}, "providers.gemini.api_key: the environment variable GOOGLE_API_KEY must be"),
        (
            "anthropic",
            {"api_key": "k", "headers": {"X-Api-Key": "x"}},
            {},
            "providers.anthropic.headers.x-api-key: the api_key is sent",
        ),
        (
            "anthropic",
            {"api_key": "k", "headers": {"Anthropic-Version": "x"}},
            {},
            "providers.anthropic.headers.anthropic-version: the client chooses this",
        ),
        ("openai", {}, {}, "providers.openai.api_key: is required, or the environment variable OPENAI_API_KEY"),
        ("openai", {}, {"OPENAI_API_KEY": "a b"}, "providers.openai.api_key: the environment variable OPENAI_API_KEY must be"),
        (
            "openai",
            {"base_url": "http://h"},
            {"OPENAI_API_KEY": "k"},
            "providers.openai.api_key: is required with a base_url of your own",
        ),
        (
            "openai",
            {"api_key": "k", "headers": {"Host": "x"}},
            {},
            "providers.openai.headers.host: this header is set by the gateway",
        ),
        (
            "openai",
            {"api_key": "k", "headers": {"Transfer-Encoding": "x"}},
            {},
            "providers.openai.headers.transfer-encoding: this header",
        ),
        (
            "openai",
            {"api_key": "k", "headers": {"Authorization": "x"}},
            {},
            "providers.openai.headers.authorization: the api_key is sent",
        ),
        ("openai", {"api_key": "k", "tls": {"ca": "none.pem"}}, {}, "providers.openai.tls.ca: there is no such file"),
        ("openai", {"api_key": "k", "tls": {"ca": "x" * 300}}, {}, "providers.openai.tls.ca: there is no such file"),
        ("openai", {"api_key": "k", "tls": {"key": __file__}}, {}, "providers.openai.tls.key: needs a cert"),
        (
            "openai",
            {"api_key": "k"},
            {"HTTPS_PROXY": "socks5://p"},
            "providers.openai.proxy: the environment variable HTTPS_PROXY only",
        ),
        ("ollama", {}, {"OLLAMA_HOST": "a b"}, "providers.ollama: the environment variable OLLAMA_HOST cannot be used"),
    ],
)
def test_what_cannot_be_called(name: str, written: dict, environ: dict[str, str], says: str):
    """The mistake would show only when the first request fails, or a key would go to a stranger."""
    _, reported, _ = made(name, written, environ)
    assert [found[: len(says)] for found in reported] == [says]


def test_files_are_relative_to_the_configuration(tmp_path):
    """A service started from another folder would not find its certificates."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    provider, reported, _ = made("openai", {"api_key": "k", "tls": {"ca": "ca.pem"}}, base=tmp_path)
    assert reported == []
    assert provider is not None
    assert provider.origin.tls.ca_file == str(tmp_path / "ca.pem")


@pytest.mark.parametrize("tls", [{"ca": "junk.pem"}, {"cert": "junk.pem"}, {"cert": "one.pem", "key": "other.pem"}])
def test_certificates_are_tried(tls: dict[str, str], tmp_path):
    """`check` would call fine what fails at the first request."""
    (tmp_path / "junk.pem").write_text("no certificate\n")
    one, other = (trustme.CA().issue_cert("localhost") for _ in range(2))
    one.private_key_and_cert_chain_pem.write_to_path(tmp_path / "one.pem")
    other.private_key_pem.write_to_path(tmp_path / "other.pem")
    _, reported, _ = made("openai", {"api_key": "k", "tls": tls}, base=tmp_path)
    assert len(reported) == 1
    assert reported[0].startswith("providers.openai.tls: these must be PEM files")
    assert made("openai", {"api_key": "k", "tls": {"cert": "one.pem"}}, base=tmp_path)[1] == []


def test_tls_that_is_never_spoken_is_warned_about(tmp_path):
    """Who sets a CA believes that the connection is safe."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    _, reported, warned = made("ollama", {"tls": {"ca": "ca.pem"}}, base=tmp_path)
    assert (reported, warned) == ([], ["providers.ollama.tls: has no effect: the address is http://"])


def test_unchecked_certificates_are_warned_about():
    """A setting made for a test would stay in production unseen."""
    _, _, warned = made("openai", {"api_key": "k", "tls": {"verify": False}})
    assert warned[0].startswith("providers.openai.tls.verify: certificates are not checked")


def test_deadlines_written_over_others():
    """One written timeout would reset the others."""
    written = Timeouts.model_validate({"idle": "1s"})
    assert deadlines(written, Deadlines(connect=9.0)) == Deadlines(connect=9.0, idle=1.0)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ({"api_key": "k"}, ["openai_chat", "openai_responses", "openai_completions"]),
        ({"api_key": "k", "base_url": "http://h/v1"}, ["openai_chat", "openai_completions"]),
        ({"api_key": "k", "base_url": "http://h/v1", "dialect": "openai_responses"}, ["openai_responses"]),
        (
            {"api_key": "k", "base_url": "http://h/v1", "dialect": ["openai_responses", "openai_chat", "openai_chat"]},
            ["openai_responses", "openai_chat"],
        ),
    ],
)
def test_a_server_of_ones_own_is_not_taken_for_all_that_the_kind_speaks(written: dict, spoken: list[str]):
    """llama.cpp would be asked for stored responses; or a server that has them would never be."""
    assert list(good("openai", written).speaks) == spoken


def test_families_are_those_of_the_kind():
    """A provider would be asked for what it has not, or refuse what it has."""
    assert good("groq", {"api_key": "k"}).families == {"speech", "transcriptions", "translations", "files", "batches"}
    assert good("lab", {"kind": "openai", "base_url": "http://127.0.0.1:1/v1", "api_key": "none"}).families == FAMILIES
    assert good("anthropic", {"api_key": "k"}).families == frozenset()
