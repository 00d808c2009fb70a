"""The Dockerfile's steps and the compose file's services without Docker: `python docker/try_without_docker.py`.

A copy of what .dockerignore lets through is built in a new virtual environment by the Dockerfile's own commands; then
scheduler, worker and batch run as the compose file has them, on a simulated recording. Not run: apt-get, useradd, and
what only a daemon does (images, users, networks, limits). Takes some minutes, most of them for the C++ core.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
NOT_RUN = ("apt-get", "useradd")


def instructions(text: str) -> list[tuple[str, str]]:
    """Each instruction of a Dockerfile with its arguments, in order."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    pairs = (line.partition(" ") for line in joined.splitlines())
    return [(word.upper(), rest.strip()) for word, _, rest in pairs]


def build_steps(text: str) -> list[str]:
    """What is run to build, in order."""
    return [rest for word, rest in instructions(text) if word == "RUN"]


def context(folder: Path) -> None:
    """What the build sees, by the rule of Dockerfile.dockerignore: nothing but what is let through."""
    for line in (HERE / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines():
        if line.startswith("!"):
            source, target = ROOT / line[1:], folder / line[1:]
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
            else:
                shutil.copy(source, target)


def build(place: Path) -> Path:
    """Run the steps that can be; the folder of the environment."""
    source, made = place / "src", place / "velocell"
    source.mkdir()
    context(source)
    environment = {**os.environ, "PIP_CONSTRAINT": str(source / "constraints.txt")}
    for step in build_steps((HERE / "Dockerfile").read_text(encoding="utf-8")):
        if step.startswith(NOT_RUN):
            print(f"not run: {step}", flush=True)
            continue
        command = step.replace("/opt/velocell", str(made)).replace("python -m", f"{sys.executable} -m")
        print(f"run: {step}", flush=True)
        subprocess.run(command, shell=True, check=True, cwd=source, env=environment)
    return made


def healthy(made: Path, url: str) -> bool:
    """Whether the Dockerfile's own check says so."""
    rest = next(rest for word, rest in instructions((HERE / "Dockerfile").read_text(encoding="utf-8"))
                if word == "HEALTHCHECK")  # fmt: skip
    command = json.loads(rest[rest.index("[") :])
    return subprocess.run(
        [made / "bin" / command[0], *command[1:]], env={"HEALTH": url}, capture_output=True, check=False
    ).returncode == 0  # fmt: skip


def services() -> dict[str, Any]:
    """Those of the compose file, by name."""
    import yaml

    found: dict[str, Any] = yaml.safe_load((HERE / "compose.yaml").read_text(encoding="utf-8"))["services"]
    return found


def run(made: Path, place: Path) -> None:
    """Scheduler, worker and batch, as the compose file has them, with this machine for each of its hosts."""
    wanted, data = services(), place / "data"
    (data / "in").mkdir(parents=True)
    subprocess.run([made / "bin" / "velocell", "demo", "--out", place / "demo"], check=True)
    shutil.copy(place / "demo" / "recording.npz", data / "in")

    def command(name: str) -> list[str]:
        words = wanted[name].get("entrypoint", ["velocell"]) + wanted[name].get("command", [])
        here = [word.replace("//scheduler:", "//127.0.0.1:").replace("/data", str(data)) for word in words]
        return [str(made / "bin" / here[0]), *here[1:]]

    started = []
    try:
        for name in ("scheduler", "worker"):
            started.append(subprocess.Popen(command(name), cwd=data))
            until = time.monotonic() + 120
            while not healthy(made, wanted[name]["environment"]["HEALTH"]):
                if time.monotonic() > until or started[-1].poll() is not None:
                    raise SystemExit(f"{name} is not healthy")
                time.sleep(0.5)
            print(f"{name} is healthy: {shlex.join(map(str, command(name)[1:]))}", flush=True)
        subprocess.run(command("batch"), check=True, cwd=data)
        print((data / "out" / "batch.jsonl").read_text(encoding="utf-8"))
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        run(build(Path(folder)), Path(folder))
