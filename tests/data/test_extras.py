"""Lines that say what to install work wherever Velocell came from."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys

import pytest
from places import ROOT

from velocell.data.extras import install_line, needed_by

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
METADATA = [
    "numpy>=1.26",
    'tomli>=2.0; python_version < "3.11"',
    'scipy>=1.11; extra == "mat"',
    "h5py>=3.10; extra == 'hdf5'",
    'hdf5plugin>=5.0 ; (python_version < "4") and extra == "hdf5"',
    'torch>=2.4; extra == "norse"',
]


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: METADATA)


def test_an_extra_becomes_its_packages(installed):
    assert install_line("mat") == 'pip install "scipy>=1.11"'
    assert install_line("hdf5", "mat") == 'pip install "h5py>=3.10" "hdf5plugin>=5.0" "scipy>=1.11"'


def test_norse_comes_without_what_it_asks_for(installed):
    assert install_line("norse") == 'pip install "torch>=2.4" and then pip install --no-deps "norse>=1.1"'


def test_without_metadata_the_tree_itself_is_installed(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", missing)
    assert install_line("mat") == 'pip install ".[mat]"'


def test_of_metadata_older_than_the_extra_too(installed):
    assert install_line("train") == 'pip install ".[train]"'


def test_no_line_names_an_index_s_velocell():
    """Which nobody has published; whoever did would be installed."""
    wrong = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in (ROOT / "src").rglob("*.py")
        if path.name != "extras.py"
        for found in [re.search(r"pip install ['\"]?velocell.*", path.read_text(encoding="utf-8"))]
        if found
    ]
    assert wrong == []


def test_every_extra_that_is_asked_for_is_there():
    asked = {
        argument.value
        for path in (ROOT / "src").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "install_line"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    }
    assert len(asked) > 8
    assert asked <= EXTRAS.keys()


def test_no_extra_asks_for_norse_which_would_bring_torchvision():
    for name in ("norse", "all", "test"):
        assert not [one for one in EXTRAS[name] if re.match(r"(norse|torchvision)\b", one)]


def test_conditions_are_read(installed):
    assert needed_by("hdf5", METADATA) == ["h5py>=3.10", "hdf5plugin>=5.0"]
    assert needed_by("nothing", METADATA) == []
