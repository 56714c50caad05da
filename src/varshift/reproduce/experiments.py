"""The paper's tables and figures by name: which runs each is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from varshift.errors import UsageError
from varshift.reproduce.nets import Placing, three_noises
from varshift.reproduce.run import Run
from varshift.reproduce.scales import Scale

__all__ = ["EXPERIMENTS", "Experiment", "chosen", "runs_of"]

NONE = Placing()
Cells = Iterator[tuple[str, Placing, int | None]]


@dataclass(frozen=True)
class Experiment:
    """One table or figure: its name, what it shows, and the (network, placing, width) it needs."""

    name: str
    title: str
    cells: Callable[[Scale], Cells]


def _figure1(scale: Scale) -> Cells:
    yield from (("DenseNet", placing, None) for placing in (NONE, Placing("a", "dropout", 0.5)))


def _table1(scale: Scale) -> Cells:
    yield from ((family, NONE, None) for family in scale.shapes)


def _figure3(scale: Scale) -> Cells:
    yield from _table1(scale)
    for family, widths in scale.widths.items():
        for width in widths:
            yield family, NONE, width
            yield family, Placing("b", "dropout", 0.5), width
        yield family, Placing("b", "dropout", 0.5), None


def _table3(scale: Scale) -> Cells:
    for family in scale.shapes:
        yield family, NONE, None
        yield family, Placing("a", "dropout", 0.5), None
        yield family, Placing("b", "dropout", 0.5), None


def _figure4(scale: Scale) -> Cells:
    yield from _table3(scale)
    for family, rates in scale.ratios.items():
        for rate in rates:
            yield family, Placing("a", "dropout", rate), None
            yield family, Placing("b", "dropout", rate), None


def _figure5(scale: Scale) -> Cells:
    for family in ("PreResNet", "DenseNet"):
        yield family, NONE, None
        yield family, Placing("a", "dropout", 0.5), None


def _table4(scale: Scale) -> Cells:
    for family in scale.shapes:
        yield family, NONE, None
        for rate in scale.heads.get(family, ()):
            yield family, Placing("last", "dropout", rate), None


def _table6(scale: Scale) -> Cells:
    for family in scale.shapes:
        if family in scale.betas or family in scale.matched:
            yield family, NONE, None
        for beta in scale.betas.get(family, ()):
            yield family, Placing("b", "uout", beta), None
        for drop_p in scale.matched.get(family, ()):
            yield from ((family, placing, None) for placing in three_noises(drop_p))


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment("fig1", "variance at every norm, stored and at test", _figure1),
        Experiment("fig3", "d·cos²θ grows with d in trained filters", _figure3),
        Experiment("fig4", "shift by layer, and error, at every drop rate", _figure4),
        Experiment("fig5", "accuracy on training data, noise on and off, by epoch", _figure5),
        Experiment("table1", "cos²θ and d·cos²θ of trained filters", _table1),
        Experiment("table3", "test error at drop 0.5, as trained and repaired", _table3),
        Experiment("table4", "one dropout before the classifier", _table4),
        Experiment("table6", "Uout, and three noises of one size", _table6),
    )
}


def chosen(name: str) -> list[Experiment]:
    """One experiment, or "all" of them; raises UsageError for a name that is none."""
    if name == "all":
        return list(EXPERIMENTS.values())
    if name not in EXPERIMENTS:
        raise UsageError(f"no experiment {name!r}; there are {', '.join(EXPERIMENTS)} and all")
    return [EXPERIMENTS[name]]


def runs_of(experiments: Sequence[Experiment], scale: Scale, seeds: int | None = None) -> list[Run]:
    """The runs of some experiments, each once, on all data sets of the scale.

    Without a number of seeds, as many as the scale has for each kind of network. Ordered by seed
    within an experiment, so that a whole table stands early, if roughly.
    """
    if seeds is not None and seeds < 1:
        raise UsageError(f"--seeds {seeds}; at least one is needed")
    found: dict[Run, None] = {}
    for experiment in experiments:
        for name in scale.images:
            cells = [
                (cell, scale.seeds_of(*cell) if seeds is None else seeds)
                for cell in experiment.cells(scale)
                if scale.trains(cell[0], name, cell[2])
            ]
            for seed in range(max((count for _, count in cells), default=0)):
                for (family, placing, width), count in cells:
                    if seed < count:
                        found[scale.run(family, placing, seed, data=name, width=width)] = None
    return list(found)
