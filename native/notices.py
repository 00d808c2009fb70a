"""Writes the licences of what is compiled into the core, which must go wherever its binaries go.

Run by CMake: python native/notices.py OUT
"""

import sys
from importlib import metadata
from pathlib import Path

nanobind = metadata.distribution("nanobind")
texts = [path for path in nanobind.files or () if path.name.upper().startswith("LICEN")]
headers = [path for path in nanobind.files or () if path.as_posix().endswith("tsl/robin_map.h")]
if not texts or not headers:
    sys.exit("nanobind came without its licence or without robin_map")
nanobind_says = Path(str(texts[0].locate())).read_text(encoding="utf-8")
robin_map_says = Path(str(headers[0].locate())).read_text(encoding="utf-8").partition("*/")[0]
robin_map_says = "\n".join(line.strip(" /*") for line in robin_map_says.splitlines()).strip()
Path(sys.argv[1]).write_text(
    f"velocell._native contains parts of the following.\n\nnanobind {nanobind.version}\n\n{nanobind_says.strip()}\n\n"
    f"tsl::robin_map\n\n{robin_map_says}\n",
    encoding="utf-8",
)
