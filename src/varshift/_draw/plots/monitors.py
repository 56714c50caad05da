"""Severity by norm over the steps of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varshift._draw.figures import shortened
from varshift._draw.plots.axes import COLOURS, draw
from varshift._visible import flat
from varshift.errors import UsageError
from varshift.results import Monitoring

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__: list[str] = []

_NAMED = 8  # lines that a legend can tell apart; the rest is grey


@draw.register(Monitoring)
def _monitoring(result: Monitoring, ax: Axes) -> Axes:
    """One line a norm; those that are worst at the end by name, the others in grey behind them."""
    if not result.history:
        raise UsageError(
            f"no look was taken in {result.steps} steps, so there is nothing to plot"
            + "".join(f" ({note})" for note in result.notes[-1:])
        )
    paths = dict.fromkeys(path for record in result.history for path in record.norms)
    ranked = sorted(paths, key=lambda path: -_last(result, path))
    for path in reversed(ranked):
        steps, severities = _line(result, path)
        if path in ranked[:_NAMED]:
            label = shortened(flat(path), 24).replace("$", r"\$")
            ax.plot(steps, severities, ".-", linewidth=1.2, markersize=4, label=label)
        else:
            ax.plot(steps, severities, color=COLOURS["stored"], linewidth=0.6, alpha=0.5)
    ax.axhline(result.threshold, color=COLOURS["stored"], linewidth=0.8, linestyle=":")
    ax.set_yscale("log")
    from varshift._draw.plots.ticks import Magnitudes, Plain

    ax.yaxis.set_major_locator(Magnitudes())
    ax.yaxis.set_major_formatter(Plain())
    ax.yaxis.set_minor_formatter(Plain(minor=True))
    ax.tick_params(axis="both", which="both", labelsize="small")
    ax.set_xlabel("step", fontsize="small")
    ax.set_ylabel("severity", fontsize="small")
    ax.legend(frameon=False, fontsize="small", reverse=True)
    return ax


def _line(result: Monitoring, path: str) -> tuple[list[int], list[float]]:
    met = [record for record in result.history if path in record.norms]
    return [record.step for record in met], [record.norms[path].severity for record in met]


def _last(result: Monitoring, path: str) -> float:
    severity = _line(result, path)[1][-1]
    return severity if severity == severity else 0.0
