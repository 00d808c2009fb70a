"""The help of every command: required options first, no types of Python, examples below."""

from __future__ import annotations

import re

import pytest
import typer.main
from commands import ok

from velocell.cli.app import app
from velocell.cli.examples import EXAMPLES

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_is_plain(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    text = re.sub(r"\x1b\[[0-9;]*m", "", ok(name, "--help").stdout)
    assert not re.findall(r"<(?:bool|int|float|str|path|list\[.*?\])>", text)
    assert "Examples:" in text
    assert EXAMPLES[name][0][:40] in text


@pytest.mark.parametrize("name", COMMANDS)
def test_required_options_come_first(name: str) -> None:
    options = [p for p in COMMANDS[name].params if p.param_type_name == "option"]
    required = [p.required for p in options]
    assert required == sorted(required, reverse=True)
    assert all(p.rich_help_panel is None for p in options if p.required)
