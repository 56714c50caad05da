"""The noisy pass of a prediction: a training pass that keeps, at every norm, what theory needs.

It is a regime like any other, so that a verb which needs it beside passes of its own runs all of
them over the same batches, and what else it wants to know of the noisy pass is one more recorder.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from varshift._engine.control import Key, names_of
from varshift._engine.normcall import Fixed
from varshift._engine.regime import Insert, Recorder, Regime
from varshift._predict.algebras import Tensors
from varshift._predict.books import SiteBooks
from varshift._predict.figures import Figures
from varshift._predict.ledger import Ledger
from varshift._predict.noises import Asked, drawn
from varshift._predict.recorders import AtTest, Books
from varshift._predict.setting import Setting
from varshift.errors import UsageError
from varshift.results.expected import Expected
from varshift.results.structure import Structure
from varshift.theory.moments import Moments

__all__ = ["DirectNoise", "Ledgers"]


class Ledgers:
    """Builds the ledger of each pass, as `Regime(control=…)` wants it; `now` is the latest.

    Sources are named as the first pass meets them; later ones know them by those names.

    Args:
        make: takes the arguments of `Control`, `setting` and `names` and gives a ledger.
        setting: what is asked of sources.
        names: those of an earlier trace.
    """

    def __init__(self, make: Any, setting: Setting, names: Mapping[Key, str] | None = None) -> None:
        self.setting = setting
        self.now: Ledger | None = None
        self._make = make
        self._names = names

    def __call__(self, *arguments: Any, **keywords: Any) -> Ledger:
        if self._names is None and self.now is not None:
            self._names = names_of(self.now)
        self.now = self._make(*arguments, setting=self.setting, names=self._names, **keywords)
        return self.now

    def plants(self) -> dict[str, Insert]:
        """By module path, what plants the setting's noises before it."""
        by_path: dict[str, dict[str, Asked]] = {}
        for name, path in self.setting.plants.items():
            by_path.setdefault(path, {})[name] = self.setting.laws[name]
        return {path: partial(self._plant, laws) for path, laws in by_path.items()}

    def _plant(
        self, laws: Mapping[str, Asked], module: nn.Module, inputs: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        """The module's arguments, the first multiplied by noise under its plants' names."""
        x = inputs[0] if inputs else None
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise UsageError(
                f"noise cannot stand before {type(module).__name__}: its first input is no tensor "
                "of numbers"
            )
        assert self.now is not None
        for name, law in laws.items():
            self.now.planted = name
            try:
                x = x * drawn(law, x, law.sharing or "element")
            finally:
                self.now.planted = None
        return (x, *inputs[1:])


class DirectNoise:
    """What theory needs to know of noisy passes: at every norm N by source, and the signal.

    Each batch passes once under `regime()`. Whatever else is asked of these passes is recorded
    beside it, and passes at test are recorded by `AtTest`, in the same call of `run` or in another
    one over the same batches:

        noisy, test, seen = DirectNoise(), AtTest(), Recording("train")
        passed = run.run(batches, {
            "train": noisy.regime(seen),
            "test": Regime("evaluation", record=(test,)),
        })
        sites = noisy.sites(run.structure, passed.samples, test)

    Any number of test passes can be set against the same noisy ones (as lent, and with other
    statistics), each by a recorder of its own. Where only the variances at test are known they are
    given as `{path: (C,) float64}`; the bands then hold the noisy passes' error alone.

    Args:
        setting: what is asked of sources; by default the model as it is.
        names: of its sources, from the trace that the setting was made of.
    """

    def __init__(
        self, setting: Setting | None = None, names: Mapping[Key, str] | None = None
    ) -> None:
        self.setting = setting or Setting()
        algebra = Tensors()
        self._ledgers = Ledgers(partial(Ledger, algebra=algebra), self.setting, names)
        self._books = Books(algebra, lambda: self._ledgers.now)

    def regime(self, *further: Recorder) -> Regime:
        """A training pass under the setting; the first one of a session shows the structure."""
        return Regime(
            "training",
            record=(self._books, *further),
            control=self._ledgers,
            insert=self._ledgers.plants(),
            structure=True,
        )

    def sites(
        self, structure: Structure, samples: int, test: AtTest | Mapping[str, Tensor]
    ) -> dict[str, Expected]:
        """By path, what is expected at every site that was met in both kinds of passes.

        `energies`, `taus` and `signal` of each are those of the noisy passes; `delta` and its band
        set them against `test`.
        """
        return {path: f.expected() for path, f in self.figures(structure, samples, test).items()}

    def figures(
        self, structure: Structure, samples: int, test: AtTest | Mapping[str, Tensor]
    ) -> dict[str, Figures]:
        """The same, with the reasons why a site has no closed form."""
        laws = self.setting.taus_in(structure)
        through = {route.norm for route in structure.routes if not route.direct}
        twice = {r.norm for r in structure.routes if r.direct and "through-norm" in r.placements}
        return {
            path: Figures(
                site=site,
                test=tested,
                laws=laws,
                twice=path in twice,
                carried=path in through or bool(self.setting.plants),
                samples=samples,
            )
            for path, site in self._books.sites.items()
            if (tested := _tested(test, path, site)) is not None
        }

    def statistics(self, structure: Structure) -> dict[str, Fixed]:
        """By path, what training under this noise would store; frozen norms keep what they have."""
        frozen = {norm.path for norm in structure.norms if norm.frozen}
        sites = self._books.sites.items()
        return {path: site.statistics() for path, site in sites if path not in frozen}


def _tested(
    test: AtTest | Mapping[str, Tensor], path: str, site: SiteBooks
) -> Mapping[int, Moments] | Tensor | None:
    """What is known of a site at test; None where too little is."""
    if not isinstance(test, AtTest):
        return test.get(path)
    groups = test.at.get(path, {})
    return groups if site.groups.keys() <= groups.keys() else None
