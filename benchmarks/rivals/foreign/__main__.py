"""Makes the environments of other people's code: `python -m benchmarks.rivals.foreign [NAME ...] [--source NAME=PATH]`.

Without names it makes all that can be made, and says of each what is missing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .environments import ENVIRONMENTS, cache


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 if what was named is complete (without names: always), 1 otherwise, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rivals.foreign", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ENVIRONMENTS)}")
    parser.add_argument(
        "--source", action="append", default=[], metavar="NAME=PATH", help="where its own installation lies"
    )
    given = parser.parse_args(arguments)
    sources = {}
    for item in given.source:
        name, _, path = item.partition("=")
        if not path:
            parser.error(f"--source {item}: give NAME=PATH")
        sources[name] = Path(path)
    for name in (*given.names, *sources):
        if name not in ENVIRONMENTS:
            parser.error(f"there is no '{name}'; there are {', '.join(ENVIRONMENTS)}")
    print(f"in {cache()}", file=sys.stderr)
    wanted = dict.fromkeys((*given.names, *sources)) or ENVIRONMENTS
    reasons = {name: ENVIRONMENTS[name].make(sources.get(name)) for name in wanted}
    for name, reason in reasons.items():
        print(f"{name}: {reason or 'ready'}")
    return int(any(reasons.values()) and wanted is not ENVIRONMENTS)


if __name__ == "__main__":
    sys.exit(main())
