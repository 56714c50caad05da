"""The noisy pass of a prediction: a training pass that keeps, at every norm, what theory needs.

It is a regime like any other, so that a verb which needs it beside passes of its own runs all of
them over the same batches, and what else it wants to know of the noisy pass is one more recorder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from varshift._engine import Norms, Recorder, Regime, fixed
from varshift._predict.algebras import Tensors
from varshift._predict.figures import Figures, figures_of
from varshift._predict.ledgers import Ledgers
from varshift._predict.recorders import AtTest, Books
from varshift._predict.setting import Setting
from varshift.results import Expected, Structure

__all__ = ["DirectNoise"]


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
        self, setting: Setting | None = None, names: Mapping[Any, str] | None = None
    ) -> None:
        self.setting = setting or Setting()
        algebra = Tensors()
        # By its own name: the books would hold `self`, which holds them, and so the model.
        self._ledgers = ledgers = Ledgers.plain(algebra, self.setting, names)
        self._books = Books(algebra, lambda: ledgers.now)

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
        anywhere = bool(self.setting.plants)
        return figures_of(self._books.sites, test, structure, laws, samples, anywhere=anywhere)

    def norms(self, structure: Structure) -> Norms:
        """What training under this noise would store, for norms to use; frozen ones keep theirs."""
        frozen = {norm.path for norm in structure.norms if norm.frozen}
        sites = self._books.sites.items()
        return fixed({path: site.statistics() for path, site in sites if path not in frozen})
