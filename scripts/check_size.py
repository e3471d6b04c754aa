"""The size gate: no file over 400 lines, no function over 50, but for a short list of exceptions that each give a reason.

Reads `[tool.trunkline.size]` in pyproject.toml: `roots`, `max_file_lines`, `max_function_lines` and `exceptions`, a table of
`path` or `path::Qualified.name` to the reason. An exception that is not needed any more
is a failure too: the list only shrinks.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path


def functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Every function below `node` as (qualified name, lines from `def` to its last line)."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{child.name}"
            if not isinstance(child, ast.ClassDef):
                yield name, (child.end_lineno or child.lineno) - child.lineno + 1
            yield from functions(child, f"{name}.")
        else:
            yield from functions(child, prefix)


def too_large(root: Path, folders: list[str], max_file: int, max_function: int) -> Iterator[tuple[str, str]]:
    """What exceeds, as (its name in the exceptions table, what is wrong with it)."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            name = path.relative_to(root).as_posix()
            lines = len(text.splitlines())
            if lines > max_file:
                yield name, f"{lines} lines, at most {max_file} are allowed"
            for function, length in functions(ast.parse(text, name)):
                if length > max_function:
                    yield f"{name}::{function}", f"{length} lines, at most {max_function} are allowed"


def main(root: Path) -> int:
    """Print what is wrong; 0 when nothing is."""
    with (root / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)["tool"]["trunkline"]["size"]
    exceptions: dict[str, str] = settings.get("exceptions", {})
    found = dict(too_large(root, settings["roots"], settings["max_file_lines"], settings["max_function_lines"]))
    wrong = [f"{name}: {what}" for name, what in found.items() if name not in exceptions]
    wrong += [f"{name}: an exception, but within its size; take it off the list" for name in exceptions.keys() - found]
    wrong += [f"{name}: an exception needs its reason" for name, reason in exceptions.items() if not reason.strip()]
    print("\n".join(wrong) if wrong else f"size: all within bounds, {len(exceptions)} exceptions")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
