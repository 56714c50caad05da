"""Before and after a repair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varshift._draw.plots.axes import COLOURS, draw, lines, rows, width
from varshift.errors import UsageError
from varshift.results import Repair

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__: list[str] = []

_NUMBER = 55  # points that a small change, -0.0015, needs below its tick


@lines.register(Repair)
def _(result: Repair) -> int:
    return len(result.candidates) + 2


@draw.register(Repair)
def _repair(result: Repair, ax: Axes) -> Axes:
    """How each repair changes the held-out loss, with the paired interval; kept: in colour.

    The change, not the loss: samples differ far more from each other than repairs do, and what the
    gate judges is the difference on the same samples.
    """
    if result.before is None:
        raise UsageError(f"nothing was judged, so there is nothing to plot: {result.reason}")
    tried = [one for one in result.candidates if one.trial is not None]
    names = ["as trained", *(one.method for one in tried)]
    ax.plot(0, 0, "o", color=COLOURS["train"], markersize=5)
    for place, one in enumerate(tried, 1):
        assert one.trial is not None
        change = one.trial.loss
        ax.errorbar(
            *(change.mean, place),
            xerr=[[change.mean - change.low], [change.high - change.mean]],
            fmt="o",
            markersize=5,
            color=COLOURS["test" if one.method == result.method else "stored"],
            capsize=3,
        )
    if result.reference is not None:
        known = result.reference.loss - result.before.loss
        # Hollow: what it scores is known, but not sample by sample beside the others.
        ax.plot(known, len(names), "o", color=COLOURS["data"], fillstyle="none", markersize=5)
        names.append("(noisy average)")
    ax.axvline(0, color="black", linewidth=0.8, linestyle="--")
    judged = "loss" if result.judged_by == "labels" else "divergence"
    ax.set_xlabel(
        f"change of held-out {judged}, paired,\n"
        f"95 % interval ({result.before.loss:.4g} as trained)",
        fontsize="small",
    )
    ax.locator_params(axis="x", nbins=max(3, int(width(ax) // _NUMBER)))
    ax.tick_params(axis="x", labelsize="small")
    rows(ax, names)
    return ax
