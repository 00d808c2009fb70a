"""Options as dataclasses that are spread into commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from commands import call
from typer.testing import CliRunner

from velocell.cli import options as o
from velocell.cli.app import app
from velocell.cli.spread import spread
from velocell.tracking.rules import Rules


@dataclass(frozen=True)
class Group:
    needed: Annotated[int, typer.Option("--needed", help="A number.")]
    often: Annotated[list[str] | None, typer.Option("--often")] = None


def made():
    seen = []
    program = typer.Typer()

    @program.command()
    @spread
    def run(
        name: Annotated[str, typer.Argument()], group: Group, loud: Annotated[bool, typer.Option("--loud")] = False
    ):
        """What it does."""
        seen.append((name, group, loud))

    return program, seen


def test_the_command_gets_the_dataclass_and_typer_the_fields():
    program, seen = made()
    result = CliRunner().invoke(program, ["me", "--needed", "3", "--often", "a", "--often", "b", "--loud"])
    assert result.exit_code == 0, result.output
    assert seen == [("me", Group(3, ["a", "b"]), True)]
    assert CliRunner().invoke(program, ["me"]).exit_code == 2  # --needed has no default
    shown = CliRunner().invoke(program, ["--help"]).output
    assert "What it does." in shown
    assert "A number." in shown


def options_of(command):
    names = {name for parameter in typer.main.get_command(app).commands[command].params for name in parameter.opts}
    return {name for name in names if name.startswith("--")}


SHARED = {name for group in (o.LookFor, o.Part, o.Clean, o.Measures) for name in group.__dataclass_fields__}


def test_detect_live_and_view_share_their_options():
    wanted = {
        "--bands", "--band-names", "--radius", "--template", "--contrast", "--dt", "--network", "--rule", "--polarity",
        "--keep", "--every", "--engine", "--size", "--frame-time", "--from", "--to", "--roi", "--ignore", "--mask-hot",
        "--flicker", "--refractory", "--denoise", "--camera", "--px-per-mm", "--homography", "--count-line", "--budget",
        "--time-unit", "--recipe",
    }  # fmt: skip
    assert len(SHARED) == len(wanted)
    for command in ("detect", "live", "view"):
        assert wanted <= options_of(command), command
    assert not wanted <= options_of("calibrate")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--keep", "-1s"], "--keep is -1s; it must be 0s, to keep no id, or more"),
        (["--keep", "2"], "--keep '2' is not a time; write a number with us, ms, s or min, such as 5ms"),
        (["--keep", "long"], "--keep 'long' is not a time; write a number with us, ms, s or min, such as 5ms"),
        (["--keep", "2000min"], "rule keep_s is 120000 s; it must be 0 to 100000 s"),
        (
            ["--keep", "2s", "--rule", "keep_s=3"],
            "--keep and --rule keep_s both say how long an id is kept; give one of them",
        ),
    ],
)
@pytest.mark.parametrize("command", ["detect", "live", "view"])
def test_a_wrong_time_to_keep_ids_is_one_sentence(tmp_path, command, options, sentence):
    (tmp_path / "a.csv").write_text("t,x,y,p\n1,2,3,1\n")
    source = f"replay:{tmp_path / 'a.csv'}" if command == "live" else str(tmp_path / "a.csv")
    out = [] if command == "view" else ["-o", str(tmp_path / "o.jsonl")]
    result = call(command, source, "--bands", "10,100", *options, *out)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [f"velocell: error: {sentence}"]
    assert not (tmp_path / "o.jsonl").exists()


def test_keep_is_the_rule():
    assert o.LookFor(bands="10,100", keep="1500ms", rule=["coast_px=5"]).search().rules == Rules(keep_s=1.5, coast_px=5)
    assert o.LookFor(bands="10,100", keep="0s").search().rules.keep_s == 0
    assert o.LookFor(bands="10,100").search().rules.keep_s == 2


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("coast=3", "there is no rule 'coast'; the closest name is coast_px"),
        ("coast_px=-1", "rule coast_px is -1 px; it must be 0 to 1000 px"),
        ("coast_px=soon", "coast_px"),
        ("coast_px", "coast_px"),
    ],
)
def test_wrong_rules_are_one_sentence(tmp_path, rule, words):
    (tmp_path / "a.csv").write_text("t,x,y,p\n1,2,3,1\n")
    result = call("detect", tmp_path / "a.csv", "--bands", "10,100", "--rule", rule, "-o", tmp_path / "o.csv")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert words in line
    assert not (tmp_path / "o.csv").exists()
