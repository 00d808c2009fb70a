"""What to install for an extra: a line that works wherever Velocell itself came from.

`pip install 'velocell[mat]'` asks an index for a package named velocell, which may not be there, or be another one; in
a source tree it would build anew. The packages that an extra stands for are in the metadata of every installation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Packages whose own requirements are not wanted; see docs/dependencies.md.
_ALONE = {"norse": "norse>=1.1"}
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


def install_line(*extras: str) -> str:
    """`pip install ...` with the packages of the extras, for a shell of any system.

    From a source tree that was never installed, or before it had an extra of that name: with the extra itself.
    """
    from importlib import metadata

    try:
        requirements = metadata.requires("velocell") or []
    except metadata.PackageNotFoundError:
        requirements = []
    needed = [one for extra in extras for one in needed_by(extra, requirements)]
    if not needed:
        return f'pip install ".[{",".join(extras)}]"'
    line = "pip install " + " ".join(f'"{one}"' for one in dict.fromkeys(needed))
    alone = [f'"{_ALONE[extra]}"' for extra in extras if extra in _ALONE]
    return line + (f" and then pip install --no-deps {' '.join(alone)}" if alone else "")


def needed_by(extra: str, requirements: Iterable[str]) -> list[str]:
    """Of requirements as metadata lists them, those of an extra, without the condition."""
    needed = []
    for one in requirements:
        what, _, condition = one.partition(";")
        found = _EXTRA.search(condition)
        if found and found[1] == extra:
            needed.append(what.strip())
    return needed
