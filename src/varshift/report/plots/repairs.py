"""Before and after a repair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varshift.errors import UsageError
from varshift.repair import Repair, Score
from varshift.report.plots.axes import COLOURS, draw, rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__: list[str] = []


@draw.register(Repair)
def _repair(result: Repair, ax: Axes) -> Axes:
    """Held-out loss as trained and under each repair, ± one standard error; kept: in colour."""
    if result.before is None:
        raise UsageError(f"nothing was judged, so there is nothing to plot: {result.reason}")
    scores: list[tuple[str, Score, str]] = [("as trained", result.before, "train")]
    scores += [
        (
            candidate.method,
            candidate.score,
            "test" if candidate.method == result.method else "stored",
        )
        for candidate in result.candidates
        if candidate.score is not None
    ]
    if result.reference is not None:
        scores.append(("(noisy average)", result.reference, "data"))
    for place, (_, score, role) in enumerate(scores):
        ax.errorbar(score.loss, place, xerr=score.loss_se, fmt="o", color=COLOURS[role], capsize=3)
    ax.axvline(result.before.loss, color="black", linewidth=0.8, linestyle="--")
    labels = result.judged_by == "labels"
    ax.set_xlabel(f"held-out {'loss' if labels else 'divergence from the noisy average'}")
    rows(ax, [name for name, _, _ in scores])
    return ax
