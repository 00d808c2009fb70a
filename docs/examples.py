"""The examples in the pages: found, and run as they stand, in a folder with small recordings under the names they use.

An example is a ```python block or an indented block of command lines. A ```text block right behind one is what it
prints. `<!-- not run: reason -->` right before a block keeps it from being run; it is parsed all the same.
`python docs/examples.py` runs every page and takes the pictures that the examples draw into docs/images.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer
import typer.main
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from velocell.cli.app import app
from velocell.formats import WRITERS
from velocell.simulate import notebook_scene, simulate

ROOT = Path(__file__).parents[1]
GROUP: Any = typer.main.get_command(app)
# These are looked at where there is something to look at, and never run.
_LEFT = ("make", "pip", "python", "source", "cd", "git")
_COMMANDS = re.compile(rf"^(velocell|{'|'.join(_LEFT)}) |\| velocell ", re.M)
_NOT_RUN = re.compile(r"\s*<!-- not run: (.+?) -->\s*")


def pages() -> list[Path]:
    """Every page with examples: the README, and what the documentation is built from."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


class Wrong(AssertionError):
    """An example that does not do what its page says."""


@dataclass(frozen=True)
class Example:
    """kind: `python` or `shell`. not_run: the reason that the page gives. printed: what the page says it prints."""

    page: str
    line: int
    kind: str
    text: str
    not_run: str | None = None
    printed: str | None = None

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def examples(text: str, page: str) -> list[Example]:
    """The examples of one page, in order.

    Raises Wrong for a block of unknown kind, and for a marker that no example follows.
    """
    found: list[Example] = []
    marker, follows = None, False  # whether what comes next may be what the last example prints
    for token in MarkdownIt().parse(text):
        if token.level or not token.map:
            continue
        line, kind = token.map[0] + 1, _kind(token)
        if kind == "unknown":
            raise Wrong(f"{page}:{line}: a block of kind {token.info!r}; use python, text, toml or an indented one")
        if kind in ("python", "shell"):
            found.append(Example(page, line, kind, token.content, marker))
            marker = None
        elif kind == "text" and follows:
            found[-1] = replace(found[-1], printed=token.content)
        if marker is not None:
            raise Wrong(f"{page}:{line}: 'not run' stands before something that is not an example")
        follows = kind in ("python", "shell")
        match = _NOT_RUN.fullmatch(token.content) if token.type == "html_block" else None
        marker = match[1] if match else None
    return found


def pictures(text: str, page: Path) -> list[str]:
    """Names of the pictures that a page shows from its own folder and that its examples draw."""
    drawn = "\n".join(example.text for example in examples(text, page.name))
    return [name for name in re.findall(rf"\(images/{page.stem}/([^)/]+)\)", text) if name in drawn]


def _kind(token: Any) -> str:
    """Of a token: python, shell, text, another block that is not an example, unknown, or "" for what is not a block."""
    if token.type == "code_block":
        return "shell" if _COMMANDS.search(token.content) else "other"
    if token.type != "fence":
        return ""
    if token.info in ("python", "text"):
        return str(token.info)
    return "other" if token.info == "toml" or token.info.startswith("{") else "unknown"


def command_lines(text: str) -> Iterator[list[str]]:
    """The words of each line, comments removed, continued lines joined."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield words


def programs(words: list[str]) -> Iterator[list[str]]:
    """The programs of one line, each with its arguments: `a x | b y` holds two."""
    piece: list[str] = []
    for word in words:
        if word in ("|", "&&", ";"):
            yield piece
            piece = []
        else:
            piece.append(word)
    yield piece


def check_mentions(text: str, page: str) -> None:
    """Whether commands and options exist that a page names in running text, such as `velocell info FILE --json`."""
    for token in MarkdownIt().enable("table").parse(text):
        for child in token.children or ():
            words = child.content.split()
            if child.type != "code_inline" or words[:1] != ["velocell"] or len(words) == 1:
                continue
            place = f"{page}:{(token.map or [0])[0] + 1}"
            name = next((word for word in words[1:] if not word.startswith("-")), None)
            if name is None or name.isupper():  # `velocell --version`, `velocell COMMAND --help`
                continue
            if name not in GROUP.commands:
                raise Wrong(f"{place}: no such command: velocell {name}")
            known = {option for one in GROUP.commands[name].params for option in (*one.opts, *one.secondary_opts)}
            unknown = {word for word in words if word.startswith("--")} - known - {"--help", "--debug"}
            if unknown:
                raise Wrong(f"{place}: velocell {name} has no {', '.join(sorted(unknown))}")


def check_command(words: list[str], place: str) -> None:
    """Whether this could be typed: commands and options exist, values have their form, targets are in the Makefile."""
    program, arguments = words[0], words[1:]
    if program == "velocell":
        _parse(arguments, place)
    elif program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
        if not set(arguments) <= set(targets):
            raise Wrong(f"{place}: no such target: make {' '.join(arguments)}")
    elif program == "python" and arguments[:1] == ["-m"] and arguments[1].startswith("benchmarks."):
        module = ROOT / arguments[1].replace(".", "/")
        if not (module.with_suffix(".py").is_file() or (module / "__main__.py").is_file()):
            raise Wrong(f"{place}: no such module: {arguments[1]}")
    elif program == "python" and arguments and arguments[0].endswith(".py"):
        if not (ROOT / arguments[0]).is_file():
            raise Wrong(f"{place}: no such file: {arguments[0]}")
    elif program == "pip":
        extras = re.findall(r"^([a-z0-9]+) = \[", (ROOT / "pyproject.toml").read_text(), re.M)
        for named in re.findall(r"\[([a-z0-9,]+)\]", " ".join(arguments)):
            if not set(named.split(",")) <= set(extras):
                raise Wrong(f"{place}: no such extra: {named}")


def _parse(arguments: list[str], place: str) -> None:
    """Through the parser of the command line, which reads all options and values and runs nothing."""
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            context = GROUP.make_context("velocell", list(arguments))
            rest = list(getattr(context, "_protected_args", ())) + list(context.args)
            name, command, rest = GROUP.resolve_command(context, rest)
            command.make_context(name, rest, parent=context)
    except typer.Exit:  # --help, --version
        pass
    except Exception as problem:
        message = getattr(problem, "message", None) or str(problem) or repr(problem)
        raise Wrong(f"{place}: velocell {shlex.join(arguments)}: {message}") from problem


def run_page(found: list[Example]) -> None:
    """Every example of a page, in order, in the current folder; Python blocks share their names."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for example in found:
        if example.kind == "python":
            printed = _run_python(example, names)
        else:
            printed = "".join(_run_line(words, example) for words in command_lines(example.text))
        if example.printed is not None and example.not_run is None and not _same(printed, example.printed):
            raise Wrong(f"{example.place}: the page says\n{example.printed}\nbut it prints\n{printed}")


def _run_python(example: Example, names: dict[str, Any]) -> str:
    try:
        code = compile("\n" * example.line + example.text, example.page, "exec")
        if example.not_run is not None:
            return ""
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, names)
    except Exception as problem:
        raise Wrong(f"{example.place}: {type(problem).__name__}: {problem}") from problem
    return printed.getvalue()


def _run_line(words: list[str], example: Example) -> str:
    pieces = list(programs(words))
    for piece in pieces:
        check_command(piece, example.place)
    if example.not_run is not None or words[0] in _LEFT:
        return ""
    if words[0] != "velocell":
        raise Wrong(f"{example.place}: {shlex.join(words)}: neither velocell nor one of {', '.join(_LEFT)}")
    endless = words[1] == "view" or (words[1] == "live" and not words[2].startswith("replay:"))
    if len(pieces) > 1 or endless:
        raise Wrong(f"{example.place}: {shlex.join(words)}: cannot be run here; mark it with <!-- not run: reason -->")
    result = CliRunner().invoke(app, words[1:])
    if result.exit_code:
        raise Wrong(f"{example.place}: {shlex.join(words)}: exit code {result.exit_code}: {result.stderr}")
    return result.stdout


def _same(printed: str, expected: str) -> bool:
    return [line.rstrip() for line in printed.strip().splitlines()] == [
        line.rstrip() for line in expected.strip().splitlines()
    ]


def prepare(folder: Path) -> None:
    """The files that the examples name: the three disks in several formats, their truth, and what goes with them."""
    import torch
    from PIL import Image, ImageDraw

    recording, truth = simulate(notebook_scene())
    for suffix in (".npz", ".raw", ".csv"):
        WRITERS[suffix]([recording], folder / f"recording{suffix}")
    counts = torch.from_numpy(recording.with_polarity("drop").to_dense())
    torch.save(counts.to_sparse(), folder / "2404_circle.dat")
    truth.write(folder / "truth.csv")
    truth.write(folder / "labels.csv")
    CliRunner().invoke(app, ["calibrate", "--bands", "16,62,177,500", "-o", str(folder / "net.toml")])
    (folder / "hot.csv").write_text("x,y\n3,4\n")
    (folder / "plane.json").write_text("[[0.25, 0, 0], [0, 0.25, 0], [0, 0, 1]]\n")
    picture = Image.new("L", (15, 15))
    ImageDraw.Draw(picture).ellipse((2, 2, 12, 12), fill=255)
    picture.save(folder / "disk.png")


def main() -> None:
    """Run all pages; keep the pictures that a page both draws and shows."""
    import matplotlib as mpl

    mpl.use("agg")
    for page in pages():
        text = page.read_text()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            prepare(folder)
            os.chdir(folder)
            run_page(examples(text, page.name))
            os.chdir(ROOT)
            for shown in pictures(text, page):
                target = ROOT / "docs" / "images" / page.stem / shown
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / shown, target)
                print(target.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())
