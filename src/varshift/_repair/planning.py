"""Which statistics a recalibration renews, with what, and what they were."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import Tensor, nn

from varshift._engine import Handle, norm_handles, put, refuse_overflow, untracked
from varshift.errors import DataError, ModelError, UsageError, listed
from varshift.results import Change, Recalibration, Statistics
from varshift.theory.moments import Moments

__all__ = ["Plan"]

_OWN = (
    "in evaluation it does not do what torch's BatchNorm does with these statistics: it is "
    "measured, and never rewritten"
)
_BY_HAND = (
    "a norm written by hand, which may be frozen on purpose: it is measured, and never rewritten; "
    "let it call F.batch_norm, or be a BatchNorm by class"
)


@dataclass(frozen=True, eq=False)
class _Kept:
    """The buffers of one site and what they held."""

    site: Handle
    mean: Tensor
    var: Tensor

    def restore(self) -> None:
        put([(self.site.running_mean, self.mean), (self.site.running_var, self.var)])


@dataclass(frozen=True, eq=False)
class _Written:
    """New statistics of one site, and the buffers they belong in."""

    site: Handle
    moments: Moments

    def pairs(self) -> list[tuple[Tensor, Tensor]]:
        """Mean and variance: unbiased, as torch stores it."""
        return [
            (self.site.running_mean, self.moments.mean),
            (self.site.running_var, self.moments.var()),
        ]

    def refuse_misfit(self) -> None:
        """Raise ModelError for statistics that the buffers' dtype cannot hold."""
        path, pairs = self.site.path, self.pairs()
        for key, (tensor, value) in zip(("running_mean", "running_var"), pairs, strict=True):
            refuse_overflow(f"{path}.{key}".lstrip("."), tensor, value)
        tensor, var = pairs[1]
        eps = getattr(self.site.module, "eps", None)
        if tensor.element_size() > 2 or not isinstance(eps, float):
            return
        # Of float16 nothing lies between 0 and 6e-8; a usual eps of 1e-5 makes that no matter.
        if bool((var.to(tensor.dtype).double() + eps < (var + eps) / 2).any()):
            raise ModelError(
                f"{path!r} has a variance of {float(var[var > 0].min()):.2g}, which "
                f"{str(tensor.dtype).removeprefix('torch.')} rounds to 0, and an eps of {eps:.2g}: "
                "it would divide by almost nothing; keep the norm in float32 (norm.float()), or "
                "raise eps; nothing was written"
            )


class Plan:
    """Which norms are rewritten, with what, and how to go back."""

    def __init__(self, skipped: dict[str, str], paths: list[str]) -> None:
        self.skipped = skipped
        self._paths = paths
        self._new: dict[str, _Written] = {}
        self._old: dict[str, _Kept] = {}

    @classmethod
    def of(cls, model: nn.Module, include_frozen: bool, frozen: Iterable[str] = ()) -> Plan:
        """Decide before anything runs."""
        skipped = {path: why.value for path, why in untracked(model).items()}
        handles = norm_handles(model)
        for path, handle in handles.items():
            if model.training and not handle.module.training and not include_frozen:
                skipped[path] = "frozen (in eval mode inside a model in train mode)"
        skipped |= dict.fromkeys(_named_by(frozen, handles), "named in frozen=")
        certain = [p for p, handle in handles.items() if handle.certain and handle.registered]
        return cls(skipped, certain)

    def wanted(self, path: str) -> bool:
        """Whether this norm is to be rewritten."""
        return path not in self.skipped

    def settle(self, site: Handle, moments: Moments) -> None:
        """Let the norm use its new statistics for the rest of the pass."""
        if moments.count < 2:
            raise DataError(
                f"{site.path!r} saw one value per channel in all, which has no variance; pass at "
                "least 2 samples"
            )
        if site.path not in self._old:
            kept = _Kept(site, site.running_mean.clone(), site.running_var.clone())
            self._old[site.path] = kept
        self._new[site.path] = _Written(site, moments)
        self._new[site.path].refuse_misfit()
        put(self._new[site.path].pairs())

    def leave_out(self, by_batch: Iterable[str]) -> None:
        """These normalise by their batch in evaluation too."""
        for path in by_batch:
            self.skipped[path] = (
                "it normalises by its batch in evaluation too: nothing that it stores is read"
            )

    def keep(self, own: Iterable[str], by_hand: Iterable[str]) -> None:
        """These evaluate by arithmetic of their own, or are no BatchNorm by class."""
        for path in own:
            self.skipped.setdefault(path, _OWN)
        for path in by_hand:
            if path not in self._new:
                self.skipped.setdefault(path, _BY_HAND)

    def refuse_nothing(self) -> None:
        """Raise if there was no norm to rewrite, nor one to leave alone."""
        if not self._new and not self._paths:
            raise ModelError(_no_norm(self.skipped))

    def pairs(self) -> list[tuple[Tensor, Tensor]]:
        """The statistics' tensors, and what they are to hold."""
        return [pair for new in self._new.values() for pair in new.pairs()]

    def restart(self) -> None:
        """Put the old statistics back, bit for bit, and forget the new ones."""
        self._new.clear()
        for kept in self._old.values():
            kept.restore()

    def old(self) -> dict[str, tuple[Tensor, Tensor]]:
        """What the statistics of each rewritten norm were, by its path."""
        return {path: (kept.mean, kept.var) for path, kept in self._old.items()}

    def result(
        self,
        before: Mapping[str, tuple[Tensor, Tensor]],
        samples: int,
        count: int,
        notes: tuple[str, ...],
        undo: Callable[[], None],
    ) -> Recalibration:
        """The finished record, with the statistics that there were before."""
        unreached = {
            path: "no batch reached it"
            for path in self._paths
            if path not in self._new and path not in self.skipped
        }
        sites = {path: self._change(path, *before[path]) for path in self._new}
        return Recalibration(sites, self.skipped | unreached, samples, count, notes, _undo=undo)

    def _change(self, path: str, mean: Tensor, var: Tensor) -> Change:
        new = self._new[path]
        tracked = getattr(new.site.module, "num_batches_tracked", None)
        return Change(
            path,
            Statistics(
                mean.double().cpu(), var.double().cpu(), 0 if tracked is None else int(tracked)
            ),
            Statistics(new.moments.mean.cpu(), new.moments.var().cpu(), new.moments.count),
        )


def _named_by(patterns: Iterable[str], paths: Iterable[str]) -> Iterator[str]:
    """The norms that `frozen=` names. Raises UsageError for a name that none has."""
    paths = list(paths)
    for pattern in (patterns,) if isinstance(patterns, str) else patterns:
        found = [path for path in paths if fnmatchcase(path, pattern)]
        if not found:
            raise UsageError(
                f"frozen names {pattern!r}, but no norm is called that: {listed(paths)}"
            )
        yield from found


def _no_norm(skipped: dict[str, str]) -> str:
    text = "the model has no BatchNorm with running statistics: there is nothing to recalibrate"
    if skipped:
        path, reason = next(iter(skipped.items()))
        text += f" ({path}: {reason})"
    return text
