"""The command line, called from a test."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from velocell.cli.app import app


def call(*arguments: object) -> Result:
    """Run a command in this process; the result has exit_code, stdout, stderr."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def ok(*arguments: object) -> Result:
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr or result.exception
    return result
