"""The Dockerfile and the compose file, without a daemon: their commands are ours, and fit together.

`python docker/try_without_docker.py` runs them; here is what is cheap.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest
import typer.main

from velocell.cli.app import app
from velocell.live.statuses import StatusPages
from velocell.live.supervised import Status

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytest.importorskip("distributed")
ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("try_without_docker", ROOT / "docker" / "try_without_docker.py")
tried = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tried)

STEPS = tried.instructions((ROOT / "docker" / "Dockerfile").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SERVICES = tried.services()
OURS = {name: each for name, each in SERVICES.items() if each["image"] == "velocell"}


def of(word):
    return [rest for each, rest in STEPS if each == word]


def test_instructions_are_read_as_docker_reads_them():
    text = "# x\nFROM a AS b\nRUN one \\\n  && two\n\nuser me\n"
    assert tried.instructions(text) == [("FROM", "a AS b"), ("RUN", "one    && two"), ("USER", "me")]


def test_the_image_holds_the_result_alone_and_does_not_run_as_root():
    assert len(of("FROM")) == 2
    last = STEPS[max(k for k, (word, _) in enumerate(STEPS) if word == "FROM") :]
    assert [rest for word, rest in last if word == "COPY"] == ["--from=build /opt/velocell /opt/velocell"]
    users = [rest for word, rest in last if word == "USER"]
    assert users == ["velocell"]
    assert any(word == "RUN" and re.search(r"useradd --uid [1-9]\d+ .*velocell", rest) for word, rest in last)
    assert json.loads(of("ENTRYPOINT")[0])[0] in PROJECT["scripts"]


def test_what_the_build_needs_is_let_through(tmp_path):
    tried.context(tmp_path)
    for name in (
        PROJECT["readme"],
        *PROJECT["license-files"],
        "CMakeLists.txt",
        "native/bind",
        "src/velocell/cli/app.py",
    ):
        assert (tmp_path / name).exists(), name
    assert not (tmp_path / "tests").exists()
    extras = re.search(r"\.\[(.*)\]", " ".join(tried.build_steps((ROOT / "docker" / "Dockerfile").read_text())))
    assert set(extras[1].split(",")) <= set(PROJECT["optional-dependencies"])


def test_the_health_check_is_that_of_the_pages(monkeypatch):
    program, option, code = json.loads(of("HEALTHCHECK")[0].partition("CMD ")[2])
    assert (program, option) == ("python", "-c")
    pages = StatusPages("http://127.0.0.1:0")
    monkeypatch.setenv("HEALTH", f"http://127.0.0.1:{pages.port}/health")
    try:
        pages(Status("udp://x"))
        exec(code)
        pages(Status("udp://x", healthy=False, why="no events for 6 s"))
        with pytest.raises(HTTPError, match="503"):
            exec(code)
    finally:
        pages.close()
    with pytest.raises(URLError):
        exec(code)
    default = re.search(r"HEALTH=http://(\S+)/health", of("ENV")[-1])[1]
    assert f"http://{default}" in SERVICES["live"]["command"]


@pytest.mark.parametrize("name", [name for name, each in OURS.items() if "command" in each])
def test_commands_of_the_services_are_velocells(name):
    command, *arguments = OURS[name]["command"]
    typer.main.get_command(app).commands[command].make_context(command, arguments)


@pytest.mark.parametrize("name", ["scheduler", "worker"])
def test_commands_of_the_cluster_are_dasks(name):
    from distributed.cli import dask_scheduler, dask_worker

    program, command, *arguments = SERVICES[name]["entrypoint"]
    assert (program, command) == ("dask", name)
    parser = {"scheduler": dask_scheduler, "worker": dask_worker}[name].main
    made = parser.make_context(command, arguments)
    page = made.params["dashboard_address"]
    assert SERVICES[name]["environment"]["HEALTH"] == f"http://127.0.0.1{page}/health"


def test_services_find_each_other():
    port = SERVICES["scheduler"]["entrypoint"][SERVICES["scheduler"]["entrypoint"].index("--port") + 1]
    address = f"tcp://scheduler:{port}"
    assert address in SERVICES["worker"]["entrypoint"]
    assert address in SERVICES["batch"]["command"]
    for each in SERVICES.values():
        assert set(each.get("depends_on", {})) <= set(SERVICES)
        assert all(published.startswith("127.0.0.1:") for published in each.get("ports", []))
    for name, each in OURS.items():
        assert each["volumes"] == ["../data:/data"], name
        assert each["read_only"], name
