"""Recorded provider exchanges: where they lie and what they hold. Without them the tests that need them are skipped by name."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(os.environ.get("TRUNKLINE_WIRE") or Path(__file__).parents[3] / "shared" / "wire")


class Recording(NamedTuple):
    """One exchange. `body` is the provider's answer as it came over the wire."""

    id: str
    provider: str
    request: dict[str, Any]
    status: int
    content_type: str
    body: bytes
    headers: dict[str, str]
    """Those of the answer, as far as they were recorded; names in lower case."""
    endpoint: str = ""
    model: str = ""

    @property
    def streamed(self) -> bool:
        """The answer is an event stream."""
        return self.status == 200 and self.body.lstrip().startswith((b"data:", b":", b"event:"))


@cache
def recordings(endpoint: str) -> list[Recording]:
    """All recordings of an endpoint, such as `openai.chat`; none where the folder is absent."""
    index = ROOT / "index.json"
    rows = json.loads(index.read_text()) if index.exists() else []
    return [_load(row) for row in rows if row["endpoint"] == endpoint]


def parameters(found: list[Recording]) -> list[Any]:
    """One test parameter for each, or a single skipped one that says what is missing."""
    return [pytest.param(recording, id=recording.id) for recording in found] or [_missing("recording")]


def combined(names: str, found: Iterable[tuple[Any, ...]]) -> pytest.MarkDecorator:
    """Parametrizes a test by recordings, each with words such as a client's name: those combinations that make sense."""
    parameters = [pytest.param(one, *words, id="-".join([*words, one.id])) for one, *words in found]
    return pytest.mark.parametrize(names, parameters or [_missing(names)])


def _missing(names: str) -> Any:
    """The one test that is skipped where there are no recordings."""
    why = pytest.mark.skip(reason=f"no recordings at {ROOT} (set TRUNKLINE_WIRE)")
    return pytest.param(*(None for _ in names.split(",")), marks=why, id="recordings")


def _load(row: dict[str, Any]) -> Recording:
    told = json.loads((ROOT / row["file"]).read_text())
    answer = told["response"]
    request = (told["request"] or {}).get("json") or {}  # of a few only the answer was recorded
    text = answer["body"]
    body = base64.b64decode(text) if answer["body_encoding"] == "base64" else text.encode()
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    content_type = headers.get("content-type", "")
    return Recording(
        row["id"], row["provider"], request, row["status"], content_type, body, headers, row["endpoint"], row["model"] or ""
    )  # fmt: skip
