"""What is built, published and said of packages: workflows, cibuildwheel, the sdist, the conda recipe, the bill of
materials, and a core that needs no compiler or system in particular."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from places import ROOT

from release import sbom

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, WHEELS = PYPROJECT["project"], PYPROJECT["tool"]["cibuildwheel"]
WORKFLOWS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")}
RELEASE = yaml.safe_load(WORKFLOWS["release.yml"])["jobs"]
USES = re.compile(r"^\s*(?:- )?uses: *(.*)$", re.M)
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+")


def loose(text):
    """What is wrong with a workflow."""
    found = [f"{one} is not at a commit" for one in USES.findall(text) if not PINNED.fullmatch(one)]
    workflow = yaml.safe_load(text)
    if "write" in json.dumps(workflow.get("permissions", "write")):
        found.append("permissions of all jobs must be stated and only read")
    for name, job in workflow["jobs"].items():
        steps = job["steps"]
        checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
        if any(step["with"]["persist-credentials"] is not False for step in checkouts):
            found.append(f"{name} keeps its credentials")
        writes = "write" in json.dumps(job.get("permissions", {}))
        if writes and (checkouts or any("pip " in step.get("run", "") for step in steps)):
            found.append(f"{name} may write, and runs what it has checked out or installed")
    return found


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_workflows_are_pinned_and_may_do_little(name):
    assert loose(WORKFLOWS[name]) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda t: re.sub(r"@[0-9a-f]{40}  # v7.0.1", "@v7", t), "actions/checkout@v7 is not at a commit"),
        (lambda t: t.replace("permissions: {}\n", ""), "must be stated"),
        (lambda t: t.replace("permissions: {}\n", "permissions:\n  contents: write\n"), "only read"),
        (lambda t: t.replace("persist-credentials: false", "persist-credentials: true"), "keeps its credentials"),
        (lambda t: t.replace("      contents: read\n", "      contents: write\n"), "sdist may write, and runs"),
    ],
)
def test_a_planted_looseness_is_found(wrong, told):
    assert any(told in one for one in loose(wrong(WORKFLOWS["release.yml"])))


def test_an_action_has_one_pin_everywhere():
    pins = {one for text in WORKFLOWS.values() for one in USES.findall(text)}
    assert len(pins) == len({one.partition("@")[0] for one in pins})


def test_only_what_signs_can_ask_for_an_identity():
    signing = [name for name, job in RELEASE.items() if job.get("permissions", {}).get("id-token") == "write"]
    assert signing == ["attest", "publish"]
    assert RELEASE["publish"]["permissions"] == {"id-token": "write"}
    assert RELEASE["publish"]["environment"] == "pypi"
    assert not any(word in WORKFLOWS["release.yml"] for word in ("secrets.", "password:", "pull_request"))


def test_every_python_that_is_promised_is_built_and_tried():
    minors = [int(one.rsplit(".", 1)[1]) for one in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", one)]
    assert minors == [10, 11, 12, 13, 14]
    assert PROJECT["requires-python"] == f">=3.{minors[0]}"
    assert WHEELS["build"] == [f"cp3{minor}-*" for minor in minors]
    assert any(command.startswith("velocell demo") for command in WHEELS["test-command"])
    # manylinux and musllinux on two machines, macOS on two, Windows on one
    assert len(RELEASE["wheels"]["strategy"]["matrix"]["os"]) == 5
    assert f'-eq {len(minors) * 7} && test "$(ls dist/*.tar.gz' in WORKFLOWS["release.yml"]


def test_one_version_everywhere():
    recipe = yaml.safe_load((ROOT / "release" / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {recipe["context"]["version"], str(citation["version"])} == {PROJECT["version"]}


def test_the_conda_recipe_asks_for_what_the_wheel_asks_for():
    recipe = yaml.safe_load((ROOT / "release" / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    theirs = {"matplotlib-base": "matplotlib", "python-lz4": "lz4"}
    run = [one if isinstance(one, str) else one["then"] for one in recipe["requirements"]["run"]]
    asked = {theirs.get(name, name): rest for name, _, rest in (one.partition(" ") for one in run) if name != "python"}
    plain = [re.match(r"([\w.-]+)(>=[\w.]+)", one).groups() for one in PROJECT["dependencies"]]
    assert asked == dict(plain)
    host = [one.split()[0] for one in recipe["requirements"]["host"]]
    assert {re.match(r"[\w-]+", one)[0] for one in PYPROJECT["build-system"]["requires"]} <= set(host)


# --- the sdist ---------------------------------------------------------------------------------------


def test_the_sdist_holds_what_a_build_needs_and_no_more(tmp_path, monkeypatch):
    build = pytest.importorskip("scikit_build_core.build")
    monkeypatch.chdir(ROOT)
    with tarfile.open(tmp_path / build.build_sdist(str(tmp_path))) as packed:
        names = {name.split("/", 1)[1] for name in packed.getnames() if "/" in name}
    needed = {"CMakeLists.txt", "LICENSE", "README.md", "pyproject.toml", "PKG-INFO", "src/velocell/py.typed"}
    for folder in ("native", "src/velocell"):
        needed |= {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / folder).rglob("*")
            if path.suffix in {".py", ".cpp", ".hpp", ".js", ".html", ".css", ".svg"}
        }
    assert needed <= names
    more = {name for name in names - needed if not name.endswith("/")}
    assert more <= {"CHANGELOG.md", "CITATION.cff", "SECURITY.md"}


def test_the_licences_of_what_is_compiled_in_go_along(tmp_path):
    pytest.importorskip("nanobind")
    subprocess.run([sys.executable, ROOT / "native" / "notices.py", tmp_path / "NOTICES.txt"], check=True)
    said = (tmp_path / "NOTICES.txt").read_text(encoding="utf-8")
    assert re.search(r"nanobind \d.*Redistributions in binary form.*tsl::robin_map\n\nMIT License\n", said, re.DOTALL)
    assert re.search(r"NOTICES.txt\" DESTINATION velocell", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))


# --- the bill of materials -----------------------------------------------------------------------------


def each(component):
    yield component
    for part in component.get("components", []):
        yield from each(part)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    path = tmp_path_factory.mktemp("dist") / "velocell-0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("velocell/__init__.py", "")
        packed.writestr("velocell.libs/libx264-0.so.1", "code")
    return path


def test_the_bill_names_files_packages_and_bundled_libraries(wheel, tmp_path):
    out = tmp_path / "bill.json"
    assert sbom.main(["-o", str(out), str(wheel)]) == 0
    bill = json.loads(out.read_text())
    parts = {one["bom-ref"]: one for one in [*each(bill["metadata"]["component"]), *each(bill)] if "bom-ref" in one}
    named = {one["name"]: one for one in parts.values()}
    assert {"velocell", "numpy", "matplotlib", "av", "pillow", "typer", "nanobind", wheel.name} <= named.keys()
    assert "torch" not in named  # no extras
    assert named["libx264-0.so.1"]["licenses"] == [{"expression": "GPL-2.0-or-later"}]
    assert all(len(one["content"]) == 64 for part in parts.values() for one in part.get("hashes", []))
    for line in bill["dependencies"]:
        assert {line["ref"], *line["dependsOn"]} <= parts.keys()
    assert len([*each(bill["metadata"]["component"]), *each(bill)]) == len(parts) + 1  # of the bill itself


def test_without_a_file_there_is_one_sentence(tmp_path, capsys):
    assert sbom.main(["-o", str(tmp_path / "bill.json"), str(tmp_path / "gone.whl")]) == 1
    assert "gone.whl" in capsys.readouterr().err
    assert not (tmp_path / "bill.json").exists()


# --- the core ------------------------------------------------------------------------------------------

# What only some compilers or systems have, and who may name it, behind an #if.
PARTICULAR = re.compile(
    r"__builtin_\w+|__attribute__|__int128|__extension__|_mm\d*_\w+|__cpuid\w*|#include <(?:sys/\w+|unistd|poll|"
    r"netinet/\w+|arpa/\w+|fcntl|pthread|dlfcn|winsock2|ws2tcpip|windows|intrin|immintrin)\.h>"
)
GUARDED = {
    "engine/lanes.hpp", "engine/patch.cpp", "engine/patch_body.hpp", "engine/patch_baseline.cpp",
    "engine/patch_avx2.cpp", "engine/patch_avx512.cpp", "engine/pages.hpp", "engine/portable.hpp", "formats/unpack.cpp",
    "live/datagram.cpp", "tracker/two.hpp",
}  # fmt: skip


def outside_of_conditions(text):
    """Particular things that no #if stands before."""
    depth, found = 0, []
    for line in text.splitlines():
        depth += line.startswith("#if") - line.startswith("#endif")
        if depth == 0 and (match := PARTICULAR.search(line.split("//")[0])):
            found.append(match[0])
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "native").rglob("*.[ch]pp")), ids=lambda path: path.name)
def test_the_core_is_for_every_compiler_and_system(path: Path):
    text = path.read_text(encoding="utf-8")
    if path.relative_to(ROOT / "native").as_posix() in GUARDED:
        assert outside_of_conditions(text) == []
    else:
        assert PARTICULAR.findall("\n".join(line.split("//")[0] for line in text.splitlines())) == []


def test_something_particular_is_found():
    assert outside_of_conditions("#if defined(X)\n#include <poll.h>\n#endif\n") == []
    assert outside_of_conditions("#include <poll.h>\n") == ["#include <poll.h>"]
    assert outside_of_conditions("x = __builtin_ctz(y);  // __int128\n") == ["__builtin_ctz"]
