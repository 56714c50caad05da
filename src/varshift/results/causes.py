"""What `explain` names beside noise and age: norms that only one mode runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from varshift._base import Record, plain
from varshift.results.figure import Figure

__all__ = ["OtherNorms"]


@dataclass(frozen=True, eq=False, repr=False)
class OtherNorms(Record):
    """Evaluation runs other norms than training did: per domain, auxiliary, split, or by a branch.

    Attributes:
        training: norms that training runs on the data given and evaluation does not.
        evaluation: norms that evaluation runs and training does not.
        pairs: which norm of evaluation (second) stands where training runs the first.
        fresh: those of `evaluation` that still hold the statistics they were made with.
        mean_shift: by output, how far that moves its mean, in deviations with noise on: against
            the same pass of evaluation with the norms of training. Outputs where it is not shown
            are left out.
        displacement: the same with half the log variance ratio: what the verdict goes by.

    >>> import torch, varshift as vs
    >>> class PerMode(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.one, self.other = torch.nn.BatchNorm1d(4), torch.nn.BatchNorm1d(4)
    ...     def forward(self, x):
    ...         return self.one(x) if self.training else self.other(x)
    >>> _ = torch.manual_seed(0)
    >>> data = [3 * torch.randn(256, 4) + 3 for _ in range(4)]
    >>> x = vs.explain(PerMode(), data)  # 'other' divides by 1 and takes no mean off
    >>> x.verdict, x.other_norms.pairs, x.other_norms.fresh
    ('other-norms', (('one', 'other'),), ('other',))
    >>> round(x.other_norms.mean_shift["output"])
    3
    """

    training: tuple[str, ...]
    evaluation: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    fresh: tuple[str, ...]
    mean_shift: Mapping[str, Figure]
    displacement: Mapping[str, Figure]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "training": list(self.training),
            "evaluation": list(self.evaluation),
            "pairs": plain(self.pairs),
            "fresh": list(self.fresh),
            "mean_shift": {name: held.to_dict() for name, held in self.mean_shift.items()},
            "displacement": {name: held.to_dict() for name, held in self.displacement.items()},
        }
