"""Imports go one way, and `import velocell` loads NumPy and nothing heavier.

A part of the list below imports parts that stand before it, and itself without going round in a circle;
imports inside functions count, imports for type checking do not. There is no exception. `import_module`,
which would get round this, stands in `engines` and in the table of moved names only.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import velocell

SOURCE = Path(velocell.__file__).parent

# From the data up. A part is a package or a module of that name.
PARTS = [
    "errors", "data", "formats", "filters", "network", "simulate", "results", "engines", "tracking", "calibration",
    "pipeline", "studies", "pictures", "batch", "_moved", "__init__", "demo", "live", "viewer", "cli",
]  # fmt: skip
BY_NAME = {"engines", "_moved", "data.apart"}  # may look modules up by name; the last one only libraries of others

# Third-party modules that may be loaded by importing a module, beside NumPy and TOML.
WITH_IMPORT = {"cli": {"click", "typer", "rich", "typing_extensions"}, "engines.norse": {"torch", "norse"}}
LIGHT = {"numpy", "tomli", "tomli_w"}
HEAVY = (
    "scipy",
    "matplotlib",
    "av",
    "PIL",
    "torch",
    "norse",
    "typer",
    "rich",
    "pyarrow",
    "pandas",
    "IPython",
    "dask",
    "distributed",
    "fsspec",
)


# --- reading the sources ------------------------------------------------------------------------------


def modules(source: Path) -> dict[str, ast.Module]:
    """All modules by their name inside the package; packages by the name of their folder."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        name = ".".join(path.relative_to(source).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def statements(node: ast.AST, *, inside_functions: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports that are run: not those for type checking and, on request, not those inside functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        elif inside_functions or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from statements(child, inside_functions=inside_functions)


def imported(name: str, tree: ast.Module, *, inside_functions: bool = True) -> set[str]:
    """Full names of what a module imports; relative imports are resolved."""
    found = set()
    for node in statements(tree, inside_functions=inside_functions):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
            continue
        base = node.module or ""
        if node.level:
            outer = ["velocell", *name.split(".")][: -node.level]
            base = ".".join([*outer, *([base] if base else [])])
        found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def graph(source: Path) -> dict[str, set[str]]:
    """Module -> modules of the package that it imports. `from velocell import x` with x no module counts
    as importing `__init__`."""
    trees = modules(source)
    edges: dict[str, set[str]] = {}
    for name, tree in trees.items():
        edges[name] = set()
        for full in imported(name, tree):
            root, _, inner = full.partition(".")
            if root != "velocell":
                continue
            while inner and inner not in trees and inner != "_native":
                inner = inner.rpartition(".")[0]
            if inner != "_native":
                edges[name].add(inner or "__init__")
    return edges


def place_of(module: str) -> int:
    part = module.split(".")[0]
    assert part in PARTS, f"{module} has no place in the list of parts; give it one"
    return PARTS.index(part)


def wrong_ways(edges: dict[str, set[str]]) -> list[str]:
    """Imports from a part to one that stands behind it."""
    places = {module: place_of(module) for module in edges}
    return [
        f"{module} imports {other}"
        for module, others in edges.items()
        for other in sorted(others)
        if places[other] > places[module]
    ]


def lookups_by_name(source: Path) -> list[str]:
    """Modules that import others by a name that nobody can follow, and may not."""
    found = []
    for name, tree in modules(source).items():
        named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        named |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        named |= {node.name for node in ast.walk(tree) if isinstance(node, ast.alias)}
        if not {name, name.split(".")[0]} & BY_NAME and named & {"import_module", "__import__"}:
            found.append(name)
    return found


def check(source: Path) -> None:
    edges = graph(source)
    assert wrong_ways(edges) == []
    assert lookups_by_name(source) == []
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        raise AssertionError(f"imports go round in a circle: {' -> '.join(error.args[1])}") from None


def heavy_at_import(source: Path) -> list[str]:
    """Third-party imports outside of functions that have no leave to be there."""
    found = []
    for name, tree in modules(source).items():
        roots = {full.split(".")[0] for full in imported(name, tree, inside_functions=False)}
        allowed = {"velocell", *LIGHT, *sys.stdlib_module_names}
        allowed |= next((more for where, more in WITH_IMPORT.items() if f"{name}.".startswith(f"{where}.")), set())
        found += [f"{name} imports {root}" for root in sorted(roots - allowed)]
    return found


# --- the project's own --------------------------------------------------------------------------------


def test_imports_go_one_way():
    check(SOURCE)


def test_every_part_of_the_list_is_there_and_every_module_has_a_place():
    assert {name.split(".")[0] for name in modules(SOURCE)} == set(PARTS)
    assert len(PARTS) == len(set(PARTS))


def test_heavy_modules_are_imported_inside_functions():
    assert heavy_at_import(SOURCE) == []


# --- these tests can fail -----------------------------------------------------------------------------

GOOD = {
    "__init__.py": "from velocell.network import Network",
    "errors.py": "import numpy",
    "network/__init__.py": "from velocell.network.layers import Network",
    "network/layers.py": "from velocell.errors import X",
    "engines/__init__.py": "from importlib import import_module\ndef f():\n    import_module('x')",
    "cli/__init__.py": "import typer\nfrom velocell import network, read",
    "pictures/plots.py": "def f():\n    import matplotlib",
}


def package(folder: Path, **changes: str) -> Path:
    for name, text in {**GOOD, **{path.replace("__", "/") + ".py": text for path, text in changes.items()}}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_good_package_passes(tmp_path):
    source = package(tmp_path)
    check(source)
    assert heavy_at_import(source) == []
    assert graph(source)["cli"] == {"network", "__init__"}


@pytest.mark.parametrize(
    ("module", "text", "words"),
    [
        ("errors", "from velocell.network import Network", "errors imports network"),
        ("errors", "def f():\n    from velocell import network", "errors imports network"),
        ("errors", "from .network import Network", "errors imports network"),
        ("errors", "import velocell.network", "errors imports network"),
        ("errors", "if True:\n    import velocell.network.layers as n", "errors imports network.layers"),
        ("network__kernels", "from velocell import Network", "network.kernels imports __init__"),
        ("network__kernels", "from velocell import _native, Network", "network.kernels imports __init__"),
        ("data__tables", "from ..pictures.plots import a", "data.tables imports pictures.plots"),
        ("brandnew", "", "brandnew has no place in the list"),
        ("network__kernels", "from velocell.network import Network\nimport velocell.network.loop", "in a circle"),
        ("live__loop", "import importlib\nimportlib.import_module('velocell.cli')", "live.loop"),
        ("data__html", "def f():\n    from importlib import import_module as get\n    import_module('a')", "data.html"),
        ("data__html", "def f():\n    __import__('velocell.pictures')", "data.html"),
    ],
)
def test_a_wrong_way_is_found(tmp_path, module, text, words):
    extra = {"network__loop": "import velocell.network.kernels"} if "circle" in words else {}
    source = package(tmp_path, **{module: text, **extra})
    with pytest.raises(AssertionError, match=words):
        check(source)


def test_imports_for_type_checking_are_no_imports(tmp_path):
    text = "if TYPE_CHECKING:\n    from velocell.network import Network\n    import torch"
    source = package(tmp_path, errors=text)
    check(source)
    assert heavy_at_import(source) == []


@pytest.mark.parametrize("text", ["import torch.nn", "from matplotlib import pyplot", "class A:\n    import torch"])
def test_a_heavy_import_is_found(tmp_path, text):
    assert len(heavy_at_import(package(tmp_path, errors=text))) == 1
    assert heavy_at_import(package(tmp_path, errors="def f():\n    import torch")) == []


# --- in a fresh interpreter -----------------------------------------------------------------------------


def loaded_by(code: str) -> set[str]:
    """Which of the heavy packages are loaded after running `code`."""
    script = f"{code}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_velocell_loads_nothing_heavy():
    assert loaded_by("import velocell") == set()


def test_no_part_of_the_library_loads_anything_heavy():
    library = [
        name for name in modules(SOURCE) if not name.startswith("cli") and name not in ("engines.norse", "__init__")
    ]
    assert len(library) > 20
    assert loaded_by("\n".join(f"import velocell.{name}" for name in library if not name.startswith("__"))) == set()


def test_detection_loads_nothing_heavy():
    work = "velocell.detect(velocell.simulate(velocell.notebook_scene())[0], (16, 62, 177, 500))"
    assert loaded_by(f"import velocell\n{work}") == set()


def test_the_check_for_heavy_modules_can_fail():
    assert loaded_by("import velocell, PIL") == {"PIL"}
