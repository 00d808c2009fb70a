"""From what to look for to a network: formulas, and what the recording itself tells of contrast and radius."""

from velocell.calibration.formulas import CROSSING_SHARE, MAX_DT_US, answer_width, calibrate, choose_dt_us
from velocell.calibration.peaks import passage_density, psi
from velocell.calibration.recipe import RING_WIDTH_PX, Recipe, bank_radii, bank_recipe

__all__ = [
    "CROSSING_SHARE",
    "MAX_DT_US",
    "RING_WIDTH_PX",
    "Recipe",
    "answer_width",
    "bank_radii",
    "bank_recipe",
    "calibrate",
    "choose_dt_us",
    "passage_density",
    "psi",
]
