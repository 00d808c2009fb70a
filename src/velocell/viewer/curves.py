"""The tuning curves of the network on show: predicted at once, measured on request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from velocell.errors import OptionError
from velocell.network import Network
from velocell.studies.tuning import tuning
from velocell.viewer import describe
from velocell.viewer.analysis import Analysis
from velocell.viewer.run import Results
from velocell.viewer.worker import failed


class Curves:
    """Each is made once for a network; of a range of radii it is the network for the smallest."""

    commands = ("measure_curves",)

    def __init__(self, analysis: Analysis, on_change: Callable[[], None]) -> None:
        self._analysis, self._on_change = analysis, on_change
        self._predicted: tuple[Network | None, dict[str, Any]] = (None, {})
        self._measured: tuple[Network | None, dict[str, Any]] = (None, {})
        self._measuring: Network | None = None

    def of(self, results: Results | None) -> dict[str, Any]:
        """Predicted curves, and the measured ones where they are of the same network; none for a template."""
        network = None if results is None or results.settings.search.templates else results.network
        if network is None or network.bands is None or network.radius_px is None:
            return {}
        if self._predicted[0] is not network:
            self._predicted = network, describe.predicted_curves(network)
        measured = self._measured
        return {**self._predicted[1], "measured": measured[1] if measured[0] is network else None}

    def measure_curves(self) -> None:
        """On simulated disks, in the analysis' thread. Raises OptionError where there is no network for disks."""
        results = self._analysis.results
        if results is None:
            raise OptionError("there is no network yet; wait for the first results")
        if results.settings.search.templates:
            raise OptionError("tuning curves are measured with disks; move the radius to look for disks")
        network = results.network
        if self._measuring is network or self._measured[0] is network:
            return  # asked for already

        def job() -> None:
            self._analysis.doing = "measuring tuning curves"
            self._on_change()
            try:
                self._measured = network, describe.measured_curves(tuning(network))
            except Exception as error:  # the analysis itself goes on
                self._analysis.error = failed(error)
            self._analysis.doing, self._measuring = "", None
            self._on_change()

        self._analysis.submit(job)
        self._measuring = network
