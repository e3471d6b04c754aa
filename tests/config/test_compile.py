"""References between parts, and settings that reach the snapshot."""

from __future__ import annotations

import hashlib

import pytest
import trustme

from trunkline.config.load import ConfigError, load
from trunkline.config.snapshot import MediaSettings, MemorySettings
from trunkline.routing.retry import Retry

LAB = 'providers: {lab: {kind: openai, base_url: "http://127.0.0.1:1/v1", api_key: none}, groq: {api_key: none}}\n'
SECRET = "0123456789abcdef"
DIGEST = hashlib.sha256(SECRET.encode()).hexdigest()


def compiled(text: str, tmp_path):
    file = tmp_path / "t.yaml"
    file.write_text(text)
    file.chmod(0o600)
    return load(file, {})


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("server: {listen: '127.0.0.1:1', admin: '127.0.0.1:1'}", 1, "server.admin: must not be the same address"),
        ("server: {workers: 2}", 1, "server.workers: several processes count limits and budgets together only through Redis"),
        ("server: {workers: 257}\nredis: {url: 'redis://127.0.0.1'}", 1, "server.workers: must be at most 256"),
        ("server: {tls: {cert: a, key: b}}", 1, "server.tls.cert: there is no such file"),
        ("log: {}\nserver: {tls: {cert: t.yaml, key: t.yaml}}", 2, "server.tls: the certificate and its key must be a pair"),
        (LAB + "models:\n  m: {targets: [labb/x]}", 3, "models.m.targets[0]: there is no provider 'labb'; did you mean 'lab'?"),
        (LAB + "models:\n  m: {targets: [lab]}", 3, "models.m.targets[0]: must be provider/model"),
        (LAB + "models:\n  m: {targets: [lab/]}", 3, "models.m.targets[0]: must be provider/model"),
        (
            LAB + "models:\n  m:\n    targets: [lab/x]\n    fallbacks:\n      - z/x",
            6,
            "models.m.fallbacks[0]: there is no provider 'z'",
        ),
        (LAB + "models: {lab/x: {targets: [groq/x]}}", 2, "models.lab/x: this name already means the provider 'lab'"),
        ("models: {echo/x: {targets: [echo/x]}}", 1, "models.echo/x: this name already means the provider 'echo'"),
        (
            f"keys:\n- {{name: a, secret: {SECRET}}}\n- {{name: a, secret: {SECRET}x}}",
            3,
            "keys[1].name: keys[0] has the same name",
        ),
        (
            f"keys:\n- {{name: a, secret: {SECRET}}}\n- {{name: b, secret: {SECRET}}}",
            3,
            "keys[1].secret: keys[0] has the same secret",
        ),
        (
            f"keys:\n- {{name: a, secret: {SECRET}}}\n- {{name: b, hash: 'sha256:{DIGEST}'}}",
            3,
            "keys[1].hash: keys[0] has the same secret",
        ),
        (f"keys: [{{name: a, secret: {SECRET}, hash: 'sha256:{DIGEST}'}}]", 1, "keys[0]: give either secret or hash"),
        ("keys: [{name: a}]", 1, "keys[0]: give either secret or hash"),
        (
            LAB + f"models: {{m: {{targets: [lab/x]}}}}\nkeys: [{{name: a, secret: {SECRET}, models: [n]}}]",
            3,
            "keys[0].models[0]: there is no model 'n'",
        ),
        (
            LAB + f"keys: [{{name: a, secret: {SECRET}, models: [lab]}}]",
            2,
            "keys[0].models[0]: 'lab' is a provider; for every model",
        ),
        (
            LAB + f"keys: [{{name: a, secret: {SECRET}, models: ['labb/*']}}]",
            2,
            "keys[0].models[0]: there is no provider 'labb'; did",
        ),
    ],
)
def test_mistakes_of_one_part_about_another(text: str, line: int, says: str, tmp_path):
    """The mistake would show only when a client asks for the model or uses the key."""
    with pytest.raises(ConfigError) as refusal:
        compiled(text, tmp_path)
    found = [(mistake.line, f"{mistake.path}: {mistake.message}"[: len(says)]) for mistake in refusal.value.mistakes]
    assert (line, says) in found
    assert SECRET not in str(refusal.value)


def test_a_consequence_is_not_reported_beside_its_cause(tmp_path):
    """One slip would look like three."""
    with pytest.raises(ConfigError) as refusal:
        compiled("keys: [{name: a, secret: short}]\nproviders: {openai: {api_key: ''}}", tmp_path)
    assert [mistake.path for mistake in refusal.value.mistakes] == ["keys[0].secret", "providers.openai.api_key"]


def test_keys_become_principals(tmp_path):
    """A configured key would be refused."""
    snapshot = compiled(
        LAB + f"models: {{m: {{targets: [lab/x]}}}}\nkeys:\n- {{name: a, secret: {SECRET}, models: [m, lab/y, 'echo/*']}}\n"
        f"- {{name: b, hash: 'sha256:{'AB' * 32}', priority: low}}\n",
        tmp_path,
    )
    first, second = snapshot.principals
    assert (first.name, first.digest.hex(), first.models) == ("a", DIGEST, {"m", "lab/y", "echo/*"})
    assert (second.name, second.digest.hex(), second.models) == ("b", "ab" * 32, None)
    assert (first.priority, second.priority) == ("normal", "low")
    assert snapshot.secrets() == (SECRET.encode(),)


def test_settings_reach_the_snapshot(tmp_path):
    """A written setting would not be in force."""
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "c")
    snapshot = compiled(
        """
server:
  listen: 0.0.0.0:1
  admin: "[::1]:2"
  tls: {cert: c, key: c}
  cors: {origins: ["*"]}
  limits: {max_header: 1, max_body: 2, max_upload: 16, header_timeout: 3, body_grace: 4, body_min_rate: 5, keep_alive: 6,
    stall_timeout: 7, max_connections: 8, max_connections_per_ip: 9, max_requests: 17}
  drain_timeout: 10
  drain_grace: 11
  media: {enabled: false, max_size: 12, timeout: 13, allow_http: true}
  memory: {max_size: 14, ttl: 15}
log: {format: json, level: debug}
ledger: {required: true}
""",
        tmp_path,
    )
    server, limits = snapshot.server, snapshot.server.limits
    assert (server.listen, server.admin) == (("0.0.0.0", 1), ("::1", 2))
    assert (server.tls_cert, server.tls_key) == (str(tmp_path / "c"),) * 2
    assert server.cors_origins == ("*",)
    assert (limits.max_header, server.max_body, limits.header_timeout, limits.body_grace) == (1, 2, 3.0, 4.0)
    assert (server.max_upload, server.max_requests) == (16, 17)
    assert (limits.body_min_rate, limits.keep_alive, limits.stall_timeout) == (5.0, 6.0, 7.0)
    assert (limits.max_connections, limits.max_connections_per_ip) == (8, 9)
    assert (server.drain_timeout, server.drain_grace) == (10.0, 11.0)
    assert server.media == MediaSettings(enabled=False, max_size=12, timeout=13.0, allow_http=True)
    assert server.memory == MemorySettings(max_bytes=14, ttl=15.0)
    assert (snapshot.log.format, snapshot.log.level, snapshot.ledger.required) == ("json", "debug", True)
    assert snapshot.warnings == ()


def test_what_is_written_is_in_force(tmp_path):
    """An operator would believe in a strategy that is not there; fallbacks and retries are."""
    snapshot = compiled(
        LAB + "models:\n  m:\n    strategy: least_busy\n    targets: [{to: lab/x, weight: 3}, groq/y]\n"
        "    fallbacks: [echo/z]\n    retry: {}\n  n: {targets: [lab/x, groq/y]}\nserver: {admin: 0.0.0.0:4001}\n",
        tmp_path,
    )
    file = tmp_path / "t.yaml"
    assert set(snapshot.warnings) == {
        f"{file}:9: server.admin: the admin listener asks for no sign-in in this version; keep it to this machine",
    }
    route = snapshot.route("m")
    assert route is not None
    assert route.strategy == "least_busy"
    assert [(target.provider.name, target.model, target.weight) for target in route.targets] == [
        ("lab", "x", 3),
        ("groq", "y", 1),
    ]
    assert [target.model for target in route.fallbacks] == ["z"]
    assert route.retry == Retry(attempts=3, backoff=0.2, max_backoff=5.0)
    plain = snapshot.route("n")
    assert plain is not None
    assert plain.retry.attempts == len(plain.targets) == 2, "each target once, unless more is written"


def test_echo_is_always_there_unless_taken(tmp_path):
    """The first request of the quick start would fail."""
    assert list(compiled(LAB, tmp_path).providers) == ["echo", "lab", "groq"]
    mine = compiled("providers: {echo: {kind: openai, api_key: none}}", tmp_path).providers
    assert {name: provider.dialect for name, provider in mine.items()} == {"echo": "openai_chat"}


FACTS = """
providers:
  lab: {kind: openai, base_url: "http://h/v1", api_key: none, unsupported: strict, facts: {"big*": {context: 8, tools: false}}}
  ant: {kind: anthropic, api_key: none}
models:
  a: {targets: [lab/big-1], facts: {context: 9}, unsupported: lenient}
  b: {targets: [lab/big-1]}
  c: {targets: [ant/claude-opus-5-5], unsupported: strict}
"""


def test_facts_from_the_general_to_the_particular(tmp_path):
    """What an operator says of one model would be lost against what holds for all, or the other way round."""
    snapshot = compiled(FACTS, tmp_path)
    found = {}
    for name in ("a", "b", "c", "lab/big-1", "lab/small", "ant/claude-sonnet-5-5"):
        route = snapshot.route(name)
        assert route is not None
        target = route.targets[0]
        found[name] = (target.facts.context, target.facts.tools, target.facts.thinks, target.strict)
    assert found == {
        "a": (9, False, "effort", False),
        "b": (8, False, "effort", True),
        "c": (1_000_000, True, "adaptive", True),
        "lab/big-1": (8, False, "effort", True),
        "lab/small": (None, True, "effort", True),
        "ant/claude-sonnet-5-5": (1_000_000, True, "adaptive", False),
    }


def test_a_wrong_fact_is_reported_at_its_line(tmp_path):
    """A misspelt fact would be ignored, and its model go on refusing."""
    with pytest.raises(ConfigError) as refusal:
        compiled(FACTS.replace("context: 9", "contxt: 9").replace("tools: false", "tools: perhaps"), tmp_path)
    assert [(mistake.line, mistake.path, mistake.message) for mistake in refusal.value.mistakes] == [
        (3, "providers.lab.facts.big*.tools", "must be true or false"),
        (6, "models.a.facts.contxt", "unknown field; did you mean 'context'?"),
    ]
