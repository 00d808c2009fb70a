"""The documentation: it builds without a warning, stands alone, covers what is public, and its examples run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from places import ROOT

import velocell
from docs import examples, reference
from docs.examples import Wrong

DOCS = ROOT / "docs"
PAGES = {page.name: page for page in examples.pages()}

# What the pages show but no test runs; a new one has to be entered here.
NOT_RUN = {
    ("packages.md", "the address is that of the repository you are looking at"),
    ("README.md", "serves a page until it is stopped"),
    ("start.md", "serves a page until it is stopped"),
    ("viewer.md", "serves a page until it is stopped"),
    ("live.md", "waits for a camera"),
    ("batch.md", "takes folders"),
    ("batch.md", "needs the results of the command above"),
    ("batch.md", "needs several machines"),
    ("batch.md", "needs SLURM"),
    ("batch.md", "starts processes"),
    ("batch.md", "takes a long recording"),
    ("training.md", "takes minutes"),
    ("worked.md", "needs a network"),
    ("worked.md", "needs the recording"),
}


def build(source, out):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(source), str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built pages' folder."""
    out = tmp_path_factory.mktemp("site") / "html"
    result = build(DOCS, out)
    assert (result.returncode, result.stderr) == (0, "")
    return out


def test_every_page_is_built(site):
    assert {page.stem for page in DOCS.glob("*.md")} <= {page.stem for page in site.glob("*.html")}


def test_a_dead_link_and_a_page_without_place_fail_the_build(tmp_path):
    source = tmp_path / "docs"
    source.mkdir()
    for name in ("conf.py", "reference.py"):
        shutil.copyfile(DOCS / name, source / name)
    (source / "index.md").write_text("# Home\n\n[gone](gone.md)\n")
    (source / "lost.md").write_text("# Lost\n")
    result = build(source, tmp_path / "out")
    assert result.returncode == 1
    assert "gone" in result.stderr
    assert "lost.md" in result.stderr


def test_nothing_is_fetched_from_elsewhere_and_no_path_of_this_machine_is_in_the_pages(site):
    loaded = re.compile(r"""<(?:script|img|iframe|source)[^>]+src="(?:https?:)?//|<link[^>]+href="(?:https?:)?//""")
    styled = re.compile(r"""(?:@import|url\()\s*['"]?(?:https?:)?//""")
    for file in site.rglob("*"):
        if file.suffix in (".html", ".css", ".js"):
            text = file.read_text()
            assert not loaded.search(text), file
            assert not (file.suffix == ".css" and styled.search(text)), file
            for folder in (str(ROOT), str(Path.home()), sys.prefix):
                assert folder not in text, file
    assert "edit this page" not in (site / "index.html").read_text().lower()


def test_every_public_name_is_on_the_api_page(site):
    text = (site / "api.html").read_text()
    for name in velocell.__all__:
        home = getattr(velocell, name).__module__
        assert f'id="{home}.{name}"' in text, name


def test_every_command_and_option_is_on_the_command_page(site):
    text = re.sub(r"<[^>]+>", "", (site / "commands.html").read_text())
    for name, command in reference.group().commands.items():
        _, _, section = text.partition(f"velocell {name} [OPTIONS]")
        section = section.partition("[OPTIONS]")[0]
        for parameter in command.params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert option in section, (name, option)


def test_docstrings_become_restructured_text():
    lines = [
        "Sum of `x` and |y|.",
        "",
        "    s = x + |y|",
        "",
        "x, y: numbers, such as",
        "    1 and 2.",
        "z: no number.",
        "",
    ]
    assert reference.restructured(lines) == [
        "Sum of ``x`` and \\|y\\|.",
        "",
        "::",
        "",
        "    s = x + |y|",
        "",
        "* ``x, y``: numbers, such as",
        "  1 and 2.",
        "* ``z``: no number.",
        "",
    ]


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    page = PAGES[name]
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


def test_what_is_not_run_is_known():
    found = {(e.page, e.not_run) for page in PAGES.values() for e in examples.examples(page.read_text(), page.name)}
    assert {(page, reason) for page, reason in found if reason is not None} == NOT_RUN


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    pytest.importorskip("torch", reason="the course's recording is written with torch")
    folder = tmp_path_factory.mktemp("examples")
    examples.prepare(folder)
    return folder


@pytest.fixture
def workplace(prepared, tmp_path, monkeypatch):
    """An own copy of the files that the examples name, as the current folder."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("agg")
    yield tmp_path
    plt.close("all")


def run(text, page="planted.md"):
    examples.run_page(examples.examples(text, page))


WITH_EXAMPLES = [name for name, page in PAGES.items() if examples.examples(page.read_text(), name)]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_run_and_print_what_the_page_says(name, workplace):
    text = PAGES[name].read_text()
    run(text, name)
    for shown in examples.pictures(text, PAGES[name]):
        assert (workplace / shown).stat().st_size > 1_000, shown


def test_the_pictures_of_a_page_are_found():
    assert examples.pictures(PAGES["tutorial.md"].read_text(), PAGES["tutorial.md"])[:2] == [
        "surfaces.png",
        "kernel.png",
    ]


@pytest.mark.parametrize("name", PAGES)
def test_commands_and_options_named_in_running_text_exist(name):
    examples.check_mentions(PAGES[name].read_text(), name)


@pytest.mark.parametrize("text", ["Say `velocell infos x`.", "| `velocell info FILE --jason` | |\n|---|---|\n"])
def test_a_wrong_mention_is_found(text):
    with pytest.raises(Wrong, match=r"infos|--jason"):
        examples.check_mentions(f"`velocell --version`, `velocell COMMAND --help`\n\n{text}\n", "planted.md")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n", "planted.md:5: AssertionError"),
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "the page says\n2"),
        ("```python\nx ==\n```\n", "SyntaxError"),
        ("    velocell detect recording.npz --radios 5 -o out.csv\n", "--radios"),
        ("    velocell detct recording.npz\n", "detct"),
        ("    velocell detect gone.npz --bands 1,2 -o out.csv\n", "exit code 1"),
        ("    velocell detect recording.npz --polarity neither --bands 1,2 -o out.csv\n", "neither"),
        ("    velocell view demo\n", "mark it"),
        ("    velocell live udp://0.0.0.0:3333\n", "mark it"),
        ("<!-- not run: no camera -->\n\n    velocell live udp://0.0.0.0:3333 --sizes 3x3\n", "--sizes"),
        ("<!-- not run: no camera -->\n\nNo example.\n", "not an example"),
        ("    velocell info recording.npz\n    rm recording.npz\n", "rm recording.npz"),
        ("    make demos\n", "make demos"),
        ("    pip install '.[viewers]'\n", "viewers"),
        ("    python -m benchmarks.nothing\n", "benchmarks.nothing"),
        ("```bash\nvelocell info recording.npz\n```\n", "'bash'"),
    ],
)
def test_a_planted_error_is_found(text, told, workplace):
    with pytest.raises(Wrong, match=re.escape(told)):
        run(text)


def test_what_is_right_passes(workplace):
    run("```python\nx = 1\n```\n\nAnd\n\n```python\nprint(x)\n```\n\n```text\n1\n```\n")
    run("    velocell info recording.npz   # told\n    velocell --version\n    make demo\n")
    run("<!-- not run: no camera -->\n\n    cat x | velocell live - --network net.toml\n")
    run("<!-- not run: no camera -->\n\n```python\nraise SystemExit\n```\n")
