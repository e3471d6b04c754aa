"""The fixtures: a real llama.cpp server or a scripted provider, a real gateway before it, and who speaks to them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from harness.gateway import Gateway
from real import line as lines
from real.line import Line
from real.scripted import Scripted
from real.sides import Sides, settings


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    """Both ways to the same model. Skipped where a part is not installed."""
    for part in ("xllamacpp", "gguf", "numpy"):
        if importlib.util.find_spec(part) is None:
            pytest.skip(f"{part} is not installed")
    from real.llama import Llama  # noqa: PLC0415 - not before its parts are known to be there

    with (
        Llama(tmp_path_factory.mktemp("llama")) as llama,
        Gateway(settings(llama.url), tmp_path_factory.mktemp("gateway")) as gateway,
        Sides(llama, gateway) as both,
    ):
        yield both


@pytest.fixture(scope="module")
def one_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """The gateway before the scripted provider, for all programs of a file."""
    with Scripted() as provider, Gateway(lines.settings(provider.url), tmp_path_factory.mktemp("gateway")) as gateway:
        yield Line(provider, gateway)


@pytest.fixture
def line(one_line: Line) -> Line:
    """The same with nothing seen yet."""
    one_line.clear()
    return one_line
