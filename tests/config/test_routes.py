"""Models as written into routes: names, rules, several credentials, and what is wrong about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.config.load import ConfigError, load
from trunkline.config.snapshot import Snapshot
from trunkline.providers.provider import Target
from trunkline.routing.retry import Retry

LAB = """\
providers:
  lab: {kind: openai, base_url: "http://127.0.0.1:1/v1", api_key: none}
  far: {kind: openai, base_url: "http://127.0.0.1:2/v1", api_keys: [far-key-1, far-key-2, far-key-3]}
"""


def compiled(text: str, folder: Path) -> Snapshot:
    file = folder / "t.yaml"
    file.write_text(LAB + text)
    file.chmod(0o600)
    return load(file, {})


def names(targets: tuple[Target, ...]) -> list[str]:
    return [f"{target.provider.name}/{target.model}#{target.provider.seat}" for target in targets]


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ("m: {targets: [labb/x]}", "models.m.targets[0]: there is no provider 'labb'; did you mean 'lab'?"),
        ("m: {targets: [x]}", "models.m.targets[0]: must be provider/model"),
        ("m: {targets: [lab/]}", "models.m.targets[0]: must be provider/model"),
        (
            "m: {targets: [lab/x], fallbacks: [n]}\n  nn: {targets: [lab/y]}",
            "models.m.fallbacks[0]: must be provider/model; did you mean",
        ),
        ("m: {targets: ['lab/x-*']}", "models.m.targets[0]: a * stands for what the one * of the model's own name stands for"),
        ("'m-*': {targets: ['lab/*-*']}", "targets[0]: a * stands for what"),
        ("'m-*-*': {targets: [lab/x]}", "models.m-*-*: takes one * at most"),
        ("lab/m: {targets: [lab/x]}", "models.lab/m: this name already means the provider 'lab'"),
        ("m: {targets: [lab/x], aliases: [lab/y]}", "models.m.aliases[0]: this name already means the provider 'lab'"),
        ("m: {targets: [lab/x], aliases: [n]}\n  n: {targets: [lab/y]}", "models.m.aliases[0]: 'n' is a model of its own"),
        (
            "m: {targets: [lab/x], aliases: [a]}\n  n: {targets: [lab/y], aliases: [a]}",
            "models.n.aliases[0]: another model has this alias",
        ),
        (
            "m: {targets: [lab/x], aliases: ['a*']}\n  n: {targets: [lab/y], aliases: ['a*']}",
            "models.n.aliases[0]: another model has this",
        ),
        ("'m-*': {targets: ['lab/*'], aliases: [a]}", "models.m-*.aliases[0]: must have a * as 'm-*' has"),
        ("m: {targets: [lab/x], rules: [{when: {}, use: lab/y}]}", "models.m.rules[0].when: must name at least one condition"),
        (
            "m: {targets: [lab/x], rules: [{when: {tools: true}, use: nn}]}\n  n: {targets: [lab/y]}",
            "models.m.rules[0].use: must be",
        ),
        (
            "m: {targets: [lab/x], rules: [{when: {tools: true}, use: m}]}",
            "models.m.rules[0].use: leads back to where it began: m -> m",
        ),
        (
            "a: {targets: [lab/x], rules: [{when: {tools: true}, use: b}]}\n"  # noqa: ISC004 - one text in three lines
            "  b: {targets: [lab/x], fallbacks: [c]}\n"
            "  c: {targets: [lab/x], fallbacks: [a]}",
            "models.c.fallbacks[0]: leads back to where it began: a -> b -> c -> a",
        ),
        (
            "m: {targets: [lab/x], rules: [{when: {tools: true}, use: 'n-*'}]}\n  'n-*': {targets: ['lab/*']}",
            "models.m.rules[0].use: must be one model: what would * stand for here?",
        ),
        ("'m-*': {targets: [lab/x], rules: [{when: {tools: true}, use: 'lab/*'}]}", "rules[0].use: a * stands for"),
        (
            "m: {targets: [far/x, " + ", ".join(f"far/m{n}" for n in range(90)) + "]}",
            "models.m: has 273 targets and fallbacks in all",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, models: str, says: str) -> None:
    """A slip of the pen would be a request that goes nowhere, or round and round."""
    with pytest.raises(ConfigError) as refusal:
        compiled(f"models:\n  {models}\n", tmp_path)
    assert says in str(refusal.value)


def test_several_credentials_are_several_targets(tmp_path: Path) -> None:
    """Rotation is routing: each credential must be a target, and all of them together weigh what is written."""
    snapshot = compiled(
        "models:\n  m: {strategy: weighted, targets: [{to: far/x, weight: 3}, lab/y], fallbacks: [far/z]}\n", tmp_path
    )
    route = snapshot.routes["m"]
    assert names(route.targets) == ["far/x#0", "far/x#1", "far/x#2", "lab/y#0"]
    assert [target.weight for target in route.targets] == [1.0, 1.0, 1.0, 1.0]
    assert names(route.fallbacks) == ["far/z#0", "far/z#1", "far/z#2"]
    heads = [target.provider.head for target in route.targets[:3]]
    assert [f"Bearer far-key-{n}".encode() in head for n, head in enumerate(heads, 1)] == [True] * 3
    assert set(snapshot.secrets()) == {b"far-key-1", b"far-key-2", b"far-key-3"}
    assert route.retry == Retry(attempts=7)
    direct = snapshot.route("far/q")
    assert direct is not None
    assert names(direct.targets) == ["far/q#0", "far/q#1", "far/q#2"]
    assert direct.retry.attempts == 3


def test_a_configured_model_as_fallback_is_all_of_its_targets(tmp_path: Path) -> None:
    """Its name would be taken for a provider's, or only its first target be tried."""
    snapshot = compiled(
        "models:\n  m: {targets: [lab/x], fallbacks: [n, lab/z]}\n  n: {targets: [far/y], fallbacks: [lab/w]}\n", tmp_path
    )
    assert names(snapshot.routes["m"].fallbacks) == ["far/y#0", "far/y#1", "far/y#2", "lab/w#0", "lab/z#0"]


def test_rules_lead_to_models(tmp_path: Path) -> None:
    """A rule would be read otherwise than it is written, or two that name one place would each remember it for themselves."""
    snapshot = compiled(
        """\
models:
  m:
    targets: [lab/x]
    aliases: [a]
    affinity: session
    hedge: {after: 2s, share: 10%}
    rules:
    - when: {images: true, tools: false, stream: true, tokens_over: 5, tokens_under: 9, tags: [t], headers: {X-Team: "r-*"}}
      use: n
    - {when: {tags: [u]}, use: lab/other}
  n: {targets: [lab/y], strategy: cost, rules: [{when: {tags: [u]}, use: lab/other}]}
""",
        tmp_path,
    )
    route = snapshot.routes["m"]
    first, second = route.rules
    assert (first.use, second.use.targets[0].model) == (snapshot.routes["n"], "other")
    assert second.use is first.use.rules[0].use
    when = first.when
    assert (when.images, when.tools, when.stream, when.tokens_over, when.tokens_under) == (True, False, True, 5, 9)
    assert when.tags == {"t"}
    ((name, wanted),) = when.headers
    assert name == b"x-team"
    assert wanted.match(b"r-1")
    assert route.looks == {"media", "tools", "size"}
    assert snapshot.routes["n"].looks == {"size"}, "the cheapest depends on the size"
    assert (route.affinity, route.hedge and (route.hedge.after, route.hedge.share)) == ("session", (2.0, 0.1))
    alias = snapshot.routes["a"]
    assert (alias.name, alias.entry, alias.rules) == ("a", "m", route.rules)


def test_a_weight_without_effect_is_warned_about(tmp_path: Path) -> None:
    """An operator would believe in a share that is not there."""
    text = "models:\n  {}: {{strategy: {}, targets: [{{to: lab/x, weight: 3}}]}}\n"
    for strategy, counts in (("ordered", False), ("latency", False), ("cost", False), ("weighted", True), ("least_busy", True)):
        warnings = compiled(text.format("m", strategy), tmp_path).warnings
        assert [warning.partition(": ")[2] for warning in warnings] == (
            [] if counts else ["models.m.targets[0].weight: counts only with strategy: weighted or least_busy"]
        )


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("aliases: {gpt: nowhere}", "keys[0].aliases.gpt: there is no model 'nowhere'"),
        ("aliases: {'gpt-*': m}", "keys[0].aliases.gpt-*: takes no *: one name for one model"),
        ("aliases: {gpt: 'c-*'}", "keys[0].aliases.gpt: takes no *: one name for one model"),
        ("models: [d-1]", "keys[0].models[0]: there is no model 'd-1'"),
    ],
)
def test_a_keys_names_must_mean_something(tmp_path: Path, key: str, says: str) -> None:
    """A key could not do what it was made for."""
    with pytest.raises(ConfigError) as refusal:
        compiled(
            "models: {m: {targets: [lab/x], aliases: [a]}, 'c-*': {targets: ['lab/*']}}\n"
            f"keys: [{{name: k, secret: 0123456789abcdef, {key}}}]\n",
            tmp_path,
        )
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("key", "warned"),
    [
        ("aliases: {gpt: m, x: lab/q, y: c-1, z: a}", []),
        ("aliases: {gpt: m, y: c-1, z: a}, models: [m, 'c-*']", []),
        ("aliases: {gpt: m, z: a}, models: [a]", ["gpt"]),
        ("aliases: {x: lab/q}, models: [gpt, 'lab/*', 'c-1']", None),
    ],
)
def test_a_name_that_its_key_may_not_use_is_warned_about(tmp_path: Path, key: str, warned: list[str] | None) -> None:
    """It would be refused each time, and look as if it were configured."""
    text = "models: {m: {targets: [lab/x], aliases: [a]}, 'c-*': {targets: ['lab/*']}}\n"
    text += f"keys: [{{name: k, secret: 0123456789abcdef, tags: [t], {key}}}]\n"
    if warned is None:
        with pytest.raises(ConfigError, match="there is no model 'gpt'"):
            compiled(text, tmp_path)
        return
    snapshot = compiled(text, tmp_path)
    found = [warning.partition("aliases.")[2].partition(":")[0] for warning in snapshot.warnings if "may not use" in warning]
    assert found == warned
    assert snapshot.principals[0].tags == {"t"}


@pytest.mark.parametrize(
    ("provider", "says"),
    [
        ("{kind: openai, base_url: 'http://h/v1', api_key: a-key, api_keys: [b-key]}", "give either api_key or api_keys"),
        ("{kind: openai, base_url: 'http://h/v1', api_keys: [b-key, none]}", "takes keys; where none is needed"),
        ("{kind: openai, base_url: 'http://h/v1', api_keys: [b-key, b-key]}", "the same key stands here twice"),
    ],
)
def test_several_credentials_are_several(tmp_path: Path, provider: str, says: str) -> None:
    """One account would be asked twice in a round, or a request go out without a credential."""
    file = tmp_path / "t.yaml"
    file.write_text(f"providers:\n  p: {provider}\n")
    with pytest.raises(ConfigError) as refusal:
        load(file, {})
    assert f"providers.p.api_keys: {says}" in str(refusal.value)
