"""Options in a file, `--json` for every command, examples in the help."""

from __future__ import annotations

import json
import shlex

import pytest
import tomllib
import typer.main
from commands import call, ok

from velocell.cli.app import app
from velocell.cli.examples import EXAMPLES
from velocell.formats import write_npz
from velocell.simulate import notebook_scene, simulate

GROUP = typer.main.get_command(app)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "rec.npz"
    write_npz(simulate(notebook_scene())[0], path)
    return path


def parsed(command, *words):
    """The values that a command would get."""
    found = GROUP.commands[command].make_context(command, [str(word) for word in words], parent=typer.Context(GROUP))
    return found.params


def test_what_was_saved_gives_the_same_run_again(recording, tmp_path):
    run, first, second = tmp_path / "run.toml", tmp_path / "a.csv", tmp_path / "b.csv"
    ok("detect", recording, "--bands", "16,62,177,500", "--roi", "0,0,50,30", "--no-mask-hot", "--radius", "5",
       "-o", first, "--save-config", run)  # fmt: skip
    held = tomllib.loads(run.read_text())
    assert held == {
        "files": [str(recording)], "out": str(first), "bands": "16,62,177,500", "radius": "5", "roi": ["0,0,50,30"],
        "mask-hot": False,
    }  # fmt: skip
    ok("detect", "--config", run, "-o", second)  # the command line comes first
    assert first.read_bytes() == second.read_bytes()


def test_precedence_is_command_line_then_file_then_usual(tmp_path):
    run = tmp_path / "run.toml"
    run.write_text("bands = [16, 62]\nradius = 4\nevery = '10ms'\nroi = '1,2,3,4'\n")
    values = parsed("detect", "x", "-o", "y.csv", "--config", run, "--radius", "7")
    assert (values["bands"], values["radius"], values["every"], values["dt"]) == ("16,62", "7", "10ms", "auto")
    assert values["roi"] == ["1,2,3,4"]


def test_one_file_for_several_commands(tmp_path):
    run = tmp_path / "run.toml"
    run.write_text("bands = '16,62'\n[live]\nspeed = 'max'\nbands = '1,2'\n[detect]\nout = 'x.csv'\n")
    assert parsed("detect", "x", "--config", run)["out"] == "x.csv"
    live = parsed("live", "x", "--config", run)
    assert (live["speed"], live["bands"]) == ("max", "1,2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("radios = 5", "velocell detect has no option 'radios'; did you mean 'radius'?"),
        ("mask_hot = false", "has no option 'mask_hot'; did you mean 'mask-hot'?"),
        ("zzz = 1", "has no option 'zzz'; velocell COMMAND --help lists them"),
        ("[life]\nspeed = 1", "there is no command [life]; did you mean 'live'?"),
        ("mask-hot = 'no'", "'mask-hot' must be true or false"),
        ("bands = true", "'bands' must be a value, not true or false"),
        ("config = 'x'", "has no option 'config'"),
        ("radius = ", "is not TOML"),
        (None, "cannot read"),
    ],
)
def test_a_wrong_file_is_one_sentence(recording, tmp_path, text, words):
    run = tmp_path / "run.toml"
    if text is not None:
        run.write_text(text)
    result = call("detect", recording, "--bands", "16,62", "-o", tmp_path / "x.csv", "--config", run)
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize("command", sorted(GROUP.commands))
def test_every_command_takes_a_file_has_json_and_shows_examples(command):
    options = {name for parameter in GROUP.commands[command].params for name in parameter.opts}
    assert {"--config", "--save-config", "--json"} <= options
    shown = " ".join(call(command, "-h").stdout.replace("│", " ").split())
    assert EXAMPLES[command]
    for example in EXAMPLES[command]:
        assert example[:40] in shown
        program, name, *words = shlex.split(example)
        assert (program, name) == ("velocell", command)
        words = [word for k, word in enumerate(words) if "--config" not in (word, words[k - 1])]  # no such file here
        parsed(command, *words)


def test_json_says_what_happened(recording, tmp_path):
    result = ok("detect", recording, "--bands", "16,62,177,500", "-o", tmp_path / "x.csv", "--json")
    told = json.loads(result.stdout)
    assert (told["command"], told["ok"], told["error"], result.stderr) == ("detect", True, None, "")
    assert any("rows in" in each["text"] for each in told["said"])
    bad = call("detect", tmp_path / "gone.npz", "--bands", "16,62", "-o", tmp_path / "y.csv", "--json")
    told = json.loads(bad.stdout)
    assert (bad.exit_code, told["ok"], bad.stderr) == (1, False, "")
    assert "gone.npz" in told["error"]


def test_json_and_a_table_on_stdout_are_refused(recording):
    result = call("detect", recording, "--bands", "16,62", "-o", "-", "--json")
    assert result.exit_code == 1
    assert "--json writes to stdout, and so does the output" in result.stderr
