"""Where other people's code lies, how its environments are made, and what is missing.

Two kinds: a package of PyPI, installed here at a pinned version into a virtual environment of its own; and a program
that its user installs by its own instructions and names by a folder (`--source NAME=PATH`): it is then only looked for,
never built here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CHILDREN = Path(__file__).resolve().parent / "children"
MAKE = "python -m benchmarks.rivals.foreign"


def cache() -> Path:
    """VELOCELL_RIVALS, else `velocell-rivals` in the user's cache folder."""
    own = os.environ.get("VELOCELL_RIVALS")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(base) / "velocell-rivals"


@dataclass(frozen=True)
class Environment:
    """packages: pinned, installed into a virtual environment. folder: what must lie in the user's own installation,
    named by `--source`; empty for none. after: what else is made here, in our own folder, when both are there."""

    name: str
    packages: tuple[str, ...] = ()
    folder: str = ""
    what: str = ""
    after: Callable[[Environment], str | None] | None = None

    @property
    def root(self) -> Path:
        return cache() / self.name

    @property
    def python(self) -> Path:
        return self.root / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def made(self) -> dict[str, str]:
        try:
            return dict(json.loads((self.root / "made.json").read_text("utf-8")))
        except (OSError, ValueError):
            return {}

    @property
    def source(self) -> Path:
        return Path(self.made.get("source", ""))

    def _state(self, source: Path | None) -> dict[str, str]:
        return {"packages": " ".join(self.packages), "source": str(source or "")}

    def missing(self) -> str | None:
        """A sentence, None where it is made and still what is asked for."""
        made = self.made
        if made.get("packages") != " ".join(self.packages):
            asked = f" --source {self.name}=PATH" if self.folder else ""
            return f"not installed; `{MAKE}{asked}` does it"
        if self.folder and not (self.source / self.folder).exists():
            return f"{self.source} no longer holds {self.folder}; name it again by `{MAKE} --source {self.name}=PATH`"
        return None

    def make(self, source: Path | None) -> str | None:
        """Makes it; a sentence about what is missing, None where it is complete."""
        source = (source or self.source).expanduser().resolve() if source or self.made.get("source") else None
        if self.folder and source is None:
            return f"needs {self.what}; install it as its authors say and name it by --source {self.name}=PATH"
        if self.folder and source is not None and not (source / self.folder).exists():
            return f"{source} holds no {self.folder}; name {self.what} by --source {self.name}=PATH"
        if self.made != self._state(source):
            shutil.rmtree(self.root, ignore_errors=True)
        if self.packages and not self.made:
            venv.create(self.root / "venv", with_pip=True)
            pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *self.packages]
            done = subprocess.run(pip, capture_output=True, text=True, check=False)
            if done.returncode:
                lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no reason given"]
                return f"pip could not install {' '.join(self.packages)}: {lines[-1]}"
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "made.json").write_text(json.dumps(self._state(source)), "utf-8")
        reason = self.after(self) if self.after else None
        if reason:
            (self.root / "made.json").unlink()
        return reason


def jaer_classes(environment: Environment) -> str:
    """The class path of a user's jAER: compiled classes or its jar, and the jars that it ships with."""
    classes = environment.source / "build" / "classes"
    jars = sorted(environment.source.rglob("*.jar"))
    places = (environment.root / "driver", *([classes] if classes.exists() else []), *jars)
    return os.pathsep.join(str(path) for path in places)


def _compile_driver(environment: Environment) -> str | None:
    """Compiles our driver, and nothing else, against the user's jAER."""
    if not shutil.which("javac") or not shutil.which("java"):
        return "needs `java` and `javac` (Debian: default-jdk-headless)"
    classes = jaer_classes(environment)
    (environment.root / "driver").mkdir(exist_ok=True)
    command = [
        "javac", "-nowarn", "-proc:none", "-implicit:none", "-sourcepath", str(CHILDREN), "-cp", classes,
        "-d", str(environment.root / "driver"), str(CHILDREN / "RectangularClusters.java"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    return f"its classes do not fit our driver: {errors[0].strip()}" if done.returncode else None


ENVIRONMENTS = {
    each.name: each
    for each in (
        Environment("dv_processing", ("dv-processing==2.0.4", "numpy==2.4.6")),
        Environment("eventcv", ("eventcv==1.0.8", "numpy==2.4.6")),
        Environment(
            "dotie", ("torch==2.13.0", "snntorch==1.0.0", "scikit-learn==1.9.1", "opencv-python-headless==5.0.0.93"),
            folder="Clustering_techniques.py", what="a checkout of its repository",
        ),
        Environment("jaer", folder="jars", what="an installation of jAER", after=_compile_driver),
    )
}  # fmt: skip
