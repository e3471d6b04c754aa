"""From a file, or from nothing, to a snapshot: every mistake at once, or a configuration that can run.

The environment comes in as an argument; nothing here reads `os.environ`. Priority: environment, then file, then defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from trunkline.config.compile import compile_snapshot, compile_store
from trunkline.config.document import MAX_BYTES, Document, parse
from trunkline.config.interpolate import Interpolator
from trunkline.config.mistakes import ConfigError, KeyPath, Mistake, Mistakes, Place, dotted
from trunkline.config.overrides import override
from trunkline.config.reach import Context
from trunkline.config.secrets import permission_warning, secret_values
from trunkline.config.snapshot import Snapshot, StoreSettings
from trunkline.config.validate import validate
from trunkline.providers.catalog import catalog

__all__ = ["ConfigError", "Mistake", "Snapshot", "find_config", "load", "load_store"]

DEFAULT_NAME = "trunkline.yaml"
NO_FILE = "environment"


def find_config(argument: Path | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    """The file to use: the argument, else `TRUNKLINE_CONFIG`, else `./trunkline.yaml` if there is one, else None.

    A file that was asked for is returned whether it exists or not, so that `load` says what is wrong with it.
    """
    if argument is not None:
        return argument
    if named := environ.get("TRUNKLINE_CONFIG"):
        return cwd / named
    default = cwd / DEFAULT_NAME
    return default if default.exists() else None


def load(path: Path | None, environ: Mapping[str, str], *, ollama_running: bool = False) -> Snapshot:
    """The snapshot of the file at `path`; without one, of what the environment offers. Raises `ConfigError`.

    Args:
        path: A YAML or JSON file, or None for zero configuration: every provider of the catalogue whose variable is set.
        environ: The environment.
        ollama_running: Whether something answered at the local Ollama's address; only used without a file.
    """
    mistakes = Mistakes()
    warnings: list[str] = []
    base = Path() if path is None else path.absolute().parent
    interpolate = Interpolator(base, environ, mistakes)
    document = _found(environ, ollama_running=ollama_running) if path is None else _read(path, interpolate, mistakes, warnings)
    override(document, environ, mistakes)
    interpolate.report(document)
    mistakes.secrets.update(secret for _, secret in secret_values(document.value))

    def report(at: KeyPath, message: str) -> None:
        if not mistakes.near(at):
            mistakes.add(document.place(at), at, message)

    def warn(at: KeyPath, message: str) -> None:
        place = document.place(at)
        warnings.append(str(Mistake(place.file, place.line, dotted(at), message)))

    def where(at: KeyPath) -> str:
        place = document.place(at)
        return str(Mistake(place.file, place.line, dotted(at), ""))

    context = Context(environ, base, report, warn, where)
    snapshot = compile_snapshot(validate(document, mistakes), context, document.source)
    if mistakes:
        raise mistakes.error()
    return msgspec.structs.replace(snapshot, warnings=tuple(warnings))


def load_store(path: Path | None, environ: Mapping[str, str]) -> StoreSettings:
    """Only where the store is: for who needs no more, mistakes elsewhere do not matter. Raises `ConfigError`."""
    mistakes = Mistakes()
    base = Path() if path is None else path.absolute().parent
    interpolate = Interpolator(base, environ, mistakes)
    document = Document(NO_FILE) if path is None else _read(path, interpolate, mistakes, [])
    override(document, environ, mistakes)
    interpolate.report(document)
    if isinstance(document.value, dict):
        document.value = {name: value for name, value in document.value.items() if name == "store"}
    mistakes.secrets.update(secret for _, secret in secret_values(document.value))
    context = Context(
        environ, base, lambda at, message: mistakes.add(document.place(at), at, message), lambda _at, _message: None
    )
    settings = compile_store(validate(document, mistakes).store, context)
    if mistakes.near(("store",)):
        raise mistakes.error()
    return settings


def _found(environ: Mapping[str, str], *, ollama_running: bool) -> Document:
    """Zero configuration, as the file a person would have written."""
    names = [
        kind
        for kind, row in catalog().items()
        if (
            all(any(map(environ.get, names.split("|"))) for names in row.found) if row.found else any(map(environ.get, row.env))
        )
    ]
    if ollama_running:
        names.append("ollama")
    document = Document(NO_FILE)
    document.value = {"providers": {name: {} for name in names}}
    return document


def _read(path: Path, interpolate: Interpolator, mistakes: Mistakes, warnings: list[str]) -> Document:
    try:
        data, warning = _bytes(path), permission_warning(path)
    except OSError as error:
        mistakes.add(Place(str(path), 0), (), f"the file cannot be read: {error.strerror}")
        return Document(str(path))
    except ValueError:
        mistakes.add(Place(str(path), 0), (), "this cannot be the name of a file")
        return Document(str(path))
    document = parse(data, str(path), mistakes, interpolate)
    if warning and any(at not in interpolate.filled for at, _ in secret_values(document.value)):
        warnings.append(warning)
    if document.value is None:
        document.value = {}
    return document


def _bytes(path: Path) -> bytes:
    """The file, a little more than is allowed at most. A pipe or device is refused: it might never end."""
    if path.exists() and not path.is_file():
        raise OSError(0, "it is not a regular file")
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
