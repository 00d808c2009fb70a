"""`disk-scores ROWS.csv TRUTH.csv --bands 40,160,640 [--every 5ms] [--span 0,600000]`: scores as JSON on stdout."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from .figures import score
from .tables import ScoreError, read_csv

_UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="disk-scores", description=__doc__)
    parser.add_argument("rows", help="CSV of what was found")
    parser.add_argument("truth", help="CSV of what is true")
    parser.add_argument("--bands", required=True, help="edges in px/s, such as 40,160,640,1800")
    parser.add_argument("--every", default="5ms", help="reporting interval of the rows")
    parser.add_argument("--span", help="of the recording, FROM,TO in us; else that of the truth")
    arguments = parser.parse_args(argv)
    try:
        rows, truth = read_csv(arguments.rows), read_csv(arguments.truth)
        span = _numbers(arguments.span, "--span") if arguments.span else []
        if not span and not len(truth):
            raise ScoreError(
                f"{arguments.truth} has no rows, so it does not say how long the recording is; give --span"
            )
        if span and len(span) != 2:
            raise ScoreError(f"--span {arguments.span} is not two times; give FROM,TO in us")
        first, last = (int(span[0]), int(span[1])) if span else (int(truth.t_us[0]), int(truth.t_us[-1]))
        bands = _numbers(arguments.bands, "--bands")
        result = score(rows, truth, bands, span_us=(first, last), every_us=_time(arguments.every))
    except ScoreError as error:
        sys.exit(f"disk-scores: {error}")
    print(json.dumps(result, indent=2))


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ScoreError(f"{option} {text} is not a list of numbers; write them as 40,160,640") from None


def _time(text: str) -> int:
    for unit, factor in _UNITS.items():
        number = text.removesuffix(unit)
        if number != text and number.isdecimal() and int(number) > 0:
            return int(number) * factor
    raise ScoreError(f"--every {text} is not a time; write it as 5ms")


if __name__ == "__main__":
    main()
