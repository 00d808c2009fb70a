"""A bill of materials (CycloneDX 1.6, JSON) of a release: its files, what is compiled into them, and what an install
brings, with the shared libraries that those packages bundle.

    python release/sbom.py -o velocell.cdx.json dist/*

To be run by the Python of an environment where Velocell and nothing else was installed. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

Component = dict[str, Any]

ROOT = Path(__file__).parents[1]
NAME = "velocell"
LIBRARY = re.compile(r"(?:\.libs|\.dylibs)/[^/]+\.(?:so|dylib|dll)[^/]*$")
# Of libraries that packages bundle without a word of their own about them, by the beginning of their names.
LICENCES = {
    "libx264": "GPL-2.0-or-later",
    "libx265": "GPL-2.0-or-later",
    "libav": "LGPL-3.0-or-later",  # as PyAV's FFmpeg says of itself; with the two above it is under the GPL as a whole
    "libsw": "LGPL-3.0-or-later",
    "libmp3lame": "LGPL-2.0-or-later",
    "libgnutls": "LGPL-2.1-or-later",
    "libnettle": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libhogweed": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libgmp": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libunistring": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libasound": "LGPL-2.1-or-later",
    "libopencore": "Apache-2.0",
    "libdav1d": "BSD-2-Clause",
    "libopus": "BSD-3-Clause",
    "libvpx": "BSD-3-Clause",
    "libSvtAv1": "BSD-3-Clause-Clear",
    "libwebp": "BSD-3-Clause",
    "libsharpyuv": "BSD-3-Clause",
    "libxcb": "X11",
    "libXau": "X11",
    "libdrm": "MIT",
    "libvpl": "MIT",
}
# What is linked into the core, without a file of its own; the versions are those of constraints.txt.
COMPILED_IN = {"nanobind": "BSD-3-Clause AND MIT"}  # with robin_map, which it contains


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the file. Exit code 1 with one sentence where Velocell is not installed or a file is missing."""
    parser = argparse.ArgumentParser(description="Writes a CycloneDX bill of materials of a release.")
    parser.add_argument("files", nargs="*", type=Path, help="wheels and the sdist")
    parser.add_argument("-o", "--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    try:
        bill = bill_of(given.files)
    except (metadata.PackageNotFoundError, OSError, zipfile.BadZipFile) as error:
        print(f"no bill of materials: {error}; install Velocell where this runs, and name its files", file=sys.stderr)
        return 1
    given.out.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
    return 0


def bill_of(files: Iterable[Path]) -> dict[str, Any]:
    """Of Velocell as it is installed here, and of its files."""
    installed = {name_of(one): one for one in closure(NAME)}
    mine = package(installed.pop(NAME))
    mine["components"] = [*map(artefact, files), *compiled_in(), *mine.get("components", [])]
    parts = [package(one) for _, one in sorted(installed.items())]
    refs = {part["name"]: part["bom-ref"] for part in (mine, *parts)}
    needed = {NAME: [refs[n] for n in required(metadata.distribution(NAME)) if n in refs]}
    needed |= {name: [refs[n] for n in required(one) if n in refs] for name, one in installed.items()}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {"timestamp": datetime.now(timezone.utc).isoformat(timespec="seconds"), "component": mine},
        "components": parts,
        "dependencies": [{"ref": refs[name], "dependsOn": sorted(set(to))} for name, to in sorted(needed.items())],
    }


def closure(name: str) -> Iterator[metadata.Distribution]:
    """The package and all that it needs without extras, as installed here."""
    waiting, seen = [name], set()
    while waiting:
        if (each := waiting.pop()) in seen:
            continue
        seen.add(each)
        try:
            one = metadata.distribution(each)
        except metadata.PackageNotFoundError:
            if each == name:
                raise
            continue  # for another Python or system
        yield one
        waiting += required(one)


def required(one: metadata.Distribution) -> list[str]:
    """Names of what a package asks for, those of extras left out."""
    plain = [text for text in one.requires or () if "extra ==" not in text.replace("extra==", "extra ==")]
    return [normal(re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0]) for text in plain]


def normal(name: str) -> str:
    """A name as an index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(one: metadata.Distribution) -> str:
    """Of a package, as an index compares it."""
    return normal(one.metadata["Name"])


def package(one: metadata.Distribution) -> Component:
    """A package with its licence and the shared libraries it bundles."""
    name, purl = name_of(one), f"pkg:pypi/{name_of(one)}@{one.version}"
    bundled = [
        library(path.name, Path(str(path.locate())).read_bytes(), purl)
        for path in one.files or ()
        if LIBRARY.search(path.as_posix())
    ]
    part: Component = {"type": "library", "name": name, "version": one.version, "purl": purl, "bom-ref": purl}
    if licence := licence_of(one):
        part["licenses"] = licence
    return part | ({"components": bundled} if bundled else {})


def licence_of(one: metadata.Distribution) -> list[dict[str, Any]]:
    """As the package states it: an expression, else a name."""
    said = one.metadata.json
    if expression := said.get("license_expression"):
        return [{"expression": expression}]
    names = [text.rsplit(" :: ", 1)[1] for text in said.get("classifier", ()) if text.startswith("License ::")]
    names = names or str(said.get("license", "")).splitlines()[:1]
    return [{"license": {"name": name}} for name in names]


def library(name: str, content: bytes, owner: str) -> Component:
    """A shared library that a package bundles."""
    part: Component = {
        "type": "library",
        "name": name,
        "bom-ref": f"{owner}#{name}",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}],
    }
    licence = next((text for begin, text in LICENCES.items() if name.startswith(begin)), None)
    return part | ({"licenses": [{"expression": licence}]} if licence else {})


def artefact(path: Path) -> Component:
    """A file of the release; of a wheel, with the libraries in it."""
    content = path.read_bytes()
    part: Component = {
        "type": "file",
        "name": path.name,
        "bom-ref": path.name,
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}],
    }
    if path.suffix != ".whl":
        return part
    with zipfile.ZipFile(path) as wheel:
        names = [name for name in wheel.namelist() if LIBRARY.search(name)]
        bundled = [library(name.rsplit("/", 1)[1], wheel.read(name), path.name) for name in names]
    return part | ({"components": bundled} if bundled else {})


def compiled_in() -> list[Component]:
    """What the core links statically."""
    pins = dict(re.findall(r"^([a-z-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M))
    return [
        {
            "type": "library",
            "name": name,
            "version": pins[name],
            "purl": f"pkg:pypi/{name}@{pins[name]}",
            "bom-ref": f"compiled-in/{name}@{pins[name]}",
            "licenses": [{"expression": licence}],
        }
        for name, licence in COMPILED_IN.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
