"""Scores of moving disks and their speeds: `score(rows, truth, edges)`."""

from .figures import FIGURES, score
from .tables import ScoreError, Table, read_csv

__all__ = ["FIGURES", "ScoreError", "Table", "read_csv", "score"]
