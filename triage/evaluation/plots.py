"""Pictures of a calibration: the reliability plot and the risk-coverage curve of each facet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from triage.calibration import Calibrator, FacetCalibration


def plot_calibration(calibrator: Calibrator, path: Path) -> None:
    """Write the plots as one picture; the ending of `path` (.png, .svg, .pdf) chooses the format."""
    from matplotlib.figure import Figure

    facets = {name: facet for name, facet in calibrator.facets.items() if facet.reliability}
    figure = Figure(figsize=(9, 3.6 * max(len(facets), 1)), layout="constrained")
    for row, (name, facet) in enumerate(facets.items()):
        left = figure.add_subplot(len(facets), 2, 2 * row + 1)
        right = figure.add_subplot(len(facets), 2, 2 * row + 2)
        _draw_reliability(left, name, facet)
        _draw_coverage(right, name, facet)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def _draw_reliability(axes: Axes, name: str, facet: FacetCalibration) -> None:
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="as stated")
    for bins, ece, label, style in (
        (facet.reliability_before, facet.ece_before, "before", "s--"),
        (facet.reliability, facet.ece, "calibrated", "o-"),
    ):
        if bins and ece is not None:
            axes.plot([b.stated for b in bins], [b.right for b in bins], style, label=f"{label}, ECE {ece:.2f}")
    axes.set(
        title=f"{name}, n = {facet.n}", xlabel="stated probability", ylabel="share right", xlim=(0, 1), ylim=(0, 1)
    )
    axes.legend(loc="upper left")


def _draw_coverage(axes: Axes, name: str, facet: FacetCalibration) -> None:
    curve = facet.risk_coverage
    axes.plot([p.coverage for p in curve], [p.accuracy for p in curve], drawstyle="steps-post")
    axes.axhline(facet.target_precision, color="0.6", linestyle=":", label=f"target {facet.target_precision:.0%}")
    if facet.coverage is not None and facet.precision is not None:
        chosen = f"answered above {facet.abstain_below:.2f}: {facet.coverage:.0%}"
        axes.plot([facet.coverage], [facet.precision], "o", label=chosen)
    axes.set(
        title=f"{name}: accuracy of the surest",
        xlabel="share of the cases answered",
        ylabel="accuracy",
        xlim=(0, 1),
        ylim=(0, 1.02),
    )
    axes.legend(loc="lower left")
