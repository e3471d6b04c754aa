"""The program as a whole."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from trunkline import __version__
from trunkline.cli.main import app


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_version():
    """A bug report could not say what it is about."""
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"trunkline {__version__}\n")


@pytest.mark.parametrize("command", ["serve", "init", "check", "connect", "keys", "usage"])
def test_every_command_is_there_and_explains_itself(command: str):
    """A command of the documentation would be missing."""
    assert command in run("--help").stdout
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


@pytest.mark.parametrize("arguments", [["nonsense"], ["check", "--nonsense"], []])
def test_wrong_usage_is_exit_status_2_without_a_traceback(arguments: list[str]):
    """A script could not tell a wrong call from a wrong configuration."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
