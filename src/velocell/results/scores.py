"""`Scores`: the figures of one evaluation, as numbers and as text."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Scores:
    """Figures of one evaluation. Bands are rows of `confusion` (true) and columns (predicted); the last
    row and column stand for "outside all bands".

    recall: share of 10 ms steps of the objects with a matching row within 10 ms.
    precision: share of rows later than 30 ms that match. band_accuracy: share of matching rows, of
    objects not too near to an edge, with the right band. purity: for each final channel, the
    share of its spikes near an object of that band; None for a silent channel, empty without spikes.
    localisation_median_px, localisation_rms_px, speed_error_median (relative), heading_error_median_deg:
    over the matching rows. id_switches: how often the id on an object changed, in total and (in
    `switches_per_object`) by true id; ids_per_object: different ids that it had.
    mota, idf1, hota, fragmentations (how often an object is found again): those of MOTChallenge, by the boxes, frame by
    frame over the whole truth (`results.mot`); NaN and 0 where a table has no radii, or rows at uneven times.
    false_tracks: ids of which most rows later than 30 ms match nothing.
    rows, matched_rows, scored_rows (later than 30 ms), objects, steps: counts.
    """

    recall: float
    precision: float
    band_accuracy: float
    confusion: tuple[tuple[int, ...], ...]
    purity: tuple[float | None, ...]
    localisation_median_px: float
    localisation_rms_px: float
    speed_error_median: float
    heading_error_median_deg: float
    id_switches: int
    switches_per_object: dict[int, int]
    ids_per_object: dict[int, int]
    fragmentations: int
    mota: float
    idf1: float
    hota: float
    false_tracks: int
    rows: int
    matched_rows: int
    scored_rows: int
    objects: int
    steps: int

    @property
    def precision_of(self) -> str:
        """What the precision is a share of, in words."""
        matching = round(self.precision * self.scored_rows) if self.scored_rows else 0
        return f"{matching} of {self.scored_rows} rows after 30 ms"

    @property
    def band_accuracy_of(self) -> str:
        """What the band accuracy is a share of, in words."""
        right = sum(row[k] for k, row in enumerate(self.confusion))
        return f"{right} of {sum(map(sum, self.confusion))} matching rows"

    def to_dict(self) -> dict[str, Any]:
        """Plain values; NaN becomes None."""
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(self).items()
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)

    def table(self) -> str:
        """The figures as plain text, one a line, and the confusion matrix."""
        ids = self.ids_per_object.values()
        lines = [
            ("recall", f"{_text(self.recall, '.4f')}  ({self.objects} objects, {self.steps} steps)"),
            ("precision", f"{_text(self.precision, '.4f')}  ({self.precision_of})"),
            ("band accuracy", f"{_text(self.band_accuracy, '.4f')}  ({self.band_accuracy_of})"),
            ("localisation", f"{_text(self.localisation_median_px, '.3f')} px median, "
             f"{_text(self.localisation_rms_px, '.3f')} px rms"),
            ("speed error", f"{_text(100 * self.speed_error_median, '.2f')} % median"),
            ("heading error", f"{_text(self.heading_error_median_deg, '.2f')} deg median"),
            ("id switches", f"{self.id_switches}  (at most {max(ids, default=0)} ids on one object)"),
            ("fragments", f"{self.fragmentations}"),
            *((name.upper(), _text(getattr(self, name), ".4f")) for name in ("idf1", "hota", "mota")),
            ("false tracks", f"{self.false_tracks}"),
        ]  # fmt: skip
        if self.purity:
            values = ", ".join("silent" if value is None else f"{value:.4f}" for value in self.purity)
            lines.append(("purity", f"{values}  (channels 0 to {len(self.purity) - 1})"))
        return "\n".join([*(f"{name:<15}{value}" for name, value in lines), *_matrix(self.confusion)])

    def __str__(self) -> str:
        return self.table()


def _text(value: float, form: str) -> str:
    return "-" if math.isnan(value) else f"{value:{form}}"


def _matrix(confusion: tuple[tuple[int, ...], ...]) -> list[str]:
    names = [*(str(k) for k in range(len(confusion) - 1)), "outside"]
    width = max(8, *(len(str(n)) + 1 for row in confusion for n in row))
    lines = ["", "true band \\ predicted" + "".join(f"{name:>{width}}" for name in names)]
    return lines + [
        f"{name:>21}" + "".join(f"{n:>{width}}" for n in row) for name, row in zip(names, confusion, strict=True)
    ]
