"""The documentation says what the program does: every setting, failure, metric and log field is in it."""

from __future__ import annotations

import base64
import json
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from harness.gateway import Gateway
from harness.gateway import settings as settings_of_a_gateway
from trunkline.canon.errors import _FACTS, Kind
from trunkline.config.load import load
from trunkline.config.schema import File
from trunkline.telemetry.lines import Json, RequestLine
from trunkline.telemetry.mask import Mask

ROOT = Path(__file__).parents[1]


def page(name: str) -> str:
    """The text of a page."""
    return (ROOT / name).read_text(encoding="utf-8")


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every setting below `model` as a dotted path; `*` stands for a name that the user chooses."""
    for name, field in model.model_fields.items():
        yield from below(field.annotation, f"{prefix}{field.alias or name}")


def below(annotation: object, path: str) -> Iterator[str]:
    """The settings that a field of this type holds."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from settings(annotation, f"{path}.")
    elif origin is typing.Annotated:
        yield from below(arguments[0], path)
    elif origin in {typing.Union, types.UnionType}:
        models = [part for part in arguments if isinstance(part, type) and issubclass(part, BaseModel)]
        yield from below(models[0], path) if models else (path,)
    elif origin in {list, dict}:
        inner = arguments[-1]
        while typing.get_origin(inner) is typing.Annotated:
            inner = typing.get_args(inner)[0]
        is_model = isinstance(inner, type) and issubclass(inner, BaseModel)
        yield from below(inner, path + ("[]" if origin is list else ".*")) if is_model else (path,)
    else:
        yield path


@pytest.mark.parametrize("setting", sorted(set(settings(File))))
def test_every_setting_is_documented(setting: str) -> None:
    """An operator would have to read the source to find it."""
    assert f"`{setting}`" in page("docs/configuration.md")


def test_every_documented_setting_exists() -> None:
    """An operator would write what the documentation says and be told it is unknown."""
    documented = set(
        re.findall(
            r"`((?:server|log|ledger|providers|models|keys|tokens|alerts|redis)(?:\.\*|\[\])?\.[\w.\[\]*]+)`",
            page("docs/configuration.md"),
        )
    )
    assert documented - set(settings(File)) <= {"models.*.targets", "models.*.fallbacks", "models.*.facts", "providers.*.facts"}


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_failure_is_documented_with_its_status(kind: Kind) -> None:
    """Somebody who is paged would not know what it means."""
    row = re.search(rf"^\| `{kind}` \| (.*?) \|", page("docs/errors.md"), re.MULTILINE)
    assert row is not None
    status, fault, _ = _FACTS[kind]
    assert row[1] == str(status) or (fault == "upstream" and row[1].startswith("its own"))


def test_every_metric_is_documented(tmp_path: Path) -> None:
    """Nobody would build an alert on it, or somebody on one that is not there."""
    documented = set(re.findall(r"^\| `(trunkline_\w+)`", page("docs/operations.md"), re.MULTILINE))
    with Gateway(
        {**settings_of_a_gateway("http://127.0.0.1:9/v1"), "redis": {"url": "redis://127.0.0.1:9"}}, tmp_path
    ) as gateway:
        text = gateway.get("/metrics", admin=True).body.decode()
    names = {family.name + ("_total" if family.type == "counter" else "") for family in text_string_to_metric_families(text)}
    assert {name for name in names if not name.startswith(("process_", "python_"))} == documented


def test_every_fault_that_a_test_names_is_documented() -> None:
    """Who reads a failed test would look for its case in vain."""
    listed = set(re.findall(r"^\| ([A-Z]\d+) \|", page("docs/faults.md"), re.MULTILINE))
    named = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r"faults\.md ([A-Z]\d+)", text))
        if path.parent.name == "faults":
            named |= {case.upper() for case in re.findall(r"^def test_([a-z]\d+)_", text, re.MULTILINE)}
    assert named == listed


def test_every_log_field_is_documented() -> None:
    """A log pipeline would be built by guessing."""
    line = Json(Mask()).request(RequestLine(0, "", "", "", "", "", "", "", "", 200, "ok"))
    text = page("docs/operations.md")
    assert [name for name in json.loads(line) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", ["README.md", "docs/configuration.md", "docs/tokens.md", "docs/alerts.md"])
def test_configuration_examples_can_be_loaded_as_they_stand(name: str, tmp_path: Path) -> None:
    """The first thing a newcomer copies would be refused."""
    examples = re.findall(r"```yaml\n(.*?)```", page(name), re.DOTALL)
    assert examples
    names = ("OPENAI_API_KEY", "OPENAI_SECOND_KEY", "ANTHROPIC_API_KEY", "AZURE_OPENAI_API_KEY", "LAPTOP_KEY")
    environ = {name: f"{name}-0123456789abcdef" for name in names}
    environ["ALERT_SECRET"] = base64.b64encode(bytes(32)).decode()
    for example in examples:
        (tmp_path / "t.yaml").write_text(example)
        assert load(tmp_path / "t.yaml", environ).warnings == ()


def test_links_lead_somewhere() -> None:
    """A reader would be sent to a page that is not there."""
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.name}: {target}"
