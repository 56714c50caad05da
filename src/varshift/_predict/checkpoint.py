"""What a checkpoint says of each norm site, met in order: stored statistics, weights, γ and β."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from varshift._engine import Handle, NormCall, Operation, Recorder, norm_handles
from varshift._predict.beliefs import Belief, Beliefs, Piece
from varshift._predict.ledger import Ledger, LedgerEntry
from varshift._predict.parts import Base, Masked, energy_at
from varshift.errors import listed
from varshift.results import Expected
from varshift.results.expected import How, noise_var
from varshift.theory.spread import median

__all__ = ["HOMELESS", "Checkpoint", "is_fresh"]

HOMELESS = (
    "its statistics do not belong to a BatchNorm: they are passed to F.batch_norm, or kept by a "
    "norm of another kind"
)

# Half the band of Δ (docs/predict.md): what is always open; how far log(noise ÷ signal) by Gaussian
# moments, and by stored statistics, was off on trained networks; and what earlier norms leave open.
_OPEN, _CARRIED = 0.02, 0.18
_OFF = {"moments": 0.8, "inverted": 0.3}
_GROWS = 1.3  # by what signal was seen to grow where noise only came through norms


def is_fresh(handle: Handle) -> bool:
    """Whether a norm holds the statistics it was made with."""
    return bool((handle.running_var == 1).all()) and bool((handle.running_mean == 0).all())


def _half(how: How, own: float) -> float:
    """Half the band of Δ by the direct noise alone."""
    return _OPEN + _OFF[how] * own * (1 - own) if how in _OFF else 0.0


@dataclass(eq=False)
class Checkpoint(Recorder):
    """Sites as they are met; each knows the shift expected of those before it.

    `ledger`: gives the one that follows the pass. `through`: the sites that noise reaches;
    `carried`: those that it reaches through a norm; both are added to as sites are met.
    `known`: the variance without noise, found under the noise that the model was trained with.
    `lasting`: sources that evaluation draws from as training does.
    `wild`: the model draws numbers that decide what runs, out of sight.
    `undetermined`: of those skipped, the ones that data would give.
    `stored`: the variance that each norm met has stored.
    `ranges`: for sites that have no figure of their own, between what bounds their Δ is taken to be
    when it comes to the sites behind them.
    """

    handles: dict[str, Handle]
    known: Mapping[str, Tensor] | None = None
    wild: bool = False
    lasting: frozenset[str] = frozenset()
    through: set[str] = field(default_factory=set)
    carried: set[str] = field(default_factory=set)
    beliefs: Beliefs = field(default_factory=Beliefs)
    sites: dict[str, Expected] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    undetermined: set[str] = field(default_factory=set)
    ledger: Callable[[], Ledger | None] = lambda: None
    stored: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, model: nn.Module) -> Checkpoint:
        """Of the norms that a model holds."""
        return cls(norm_handles(model))

    def norm(self, call: NormCall) -> None:
        """What noise reaches a norm, and what that makes of it."""
        path, ledger = call.path, self.ledger()
        assert ledger is not None
        sources = ledger.reaching(call.x)
        ways = sources.values()
        if ways:
            self.through.add(path)
        self._reaching = listed(sources)
        if not all(trail.direct for trails in ways for trail in trails):
            self.carried.add(path)
        self._taus = ledger.taus
        # As stored: the pass moves what the module holds.
        self.stored[path] = call.handle.running_var.detach().double().cpu().clone()
        self._arrive(path, call.x, ledger.completed(call.x))

    def _arrive(self, path: str, x: Tensor, entry: LedgerEntry | None) -> None:
        handle = self.handles.get(path)
        if handle is None:
            self.skipped[path] = HOMELESS
            return
        if path in self.sites or path in self.skipped:
            self.sites.pop(path, None)
            self._skip(path, "runs more than once a pass: its stored statistics mix the runs")
            return
        var = handle.running_var.detach().double().cpu()
        mean = handle.running_mean.detach().double().cpu()
        if is_fresh(handle):
            self.skipped[path] = "holds the statistics it was made with: it has not been trained"
            return
        if (entry is None or not entry.parts) and path in self.through:
            self._skip(
                path,
                f"not predicted without data: the noise of {self._reaching} reaches it through "
                "other norms only, and what weights make of that is not in a checkpoint",
            )
            self.ranges[path] = self._range(self.beliefs.feeds(x))
            return
        if self.wild and (entry is None or not entry.parts):
            self.skipped[path] = (
                "not predicted without data: the model also draws which of its parts run, and no "
                "route shows that"
            )
            return
        feeds = self.beliefs.feeds(x)
        found = self._signal(path, mean, var, entry)
        if not isinstance(found, str):
            found = self._unknown(path, feeds) or self._impossible(found[0], var) or found
        if isinstance(found, str):
            self._skip(path, found)
            return
        signal, energies, how = found
        var = signal + noise_var(energies, self._taus, signal)
        self.sites[path] = self._expected(path, signal, var, energies, how, feeds)

    def _skip(self, path: str, reason: str) -> None:
        self.skipped[path] = reason
        self.undetermined.add(path)

    def hand_on(self, path: str, operation: Operation) -> None:
        """What the norm gives in training: mean β, variance γ²·V/(V + ε)."""
        out, var = operation.outputs()[0], self.stored.get(path)
        if path not in self.handles or var is None:
            return
        eps = float(operation.argument("eps") or 0.0)
        weight, bias = operation.argument("weight"), operation.argument("bias")
        gamma = torch.ones_like(var) if weight is None else weight.detach().double().cpu()
        beta = torch.zeros_like(var) if bias is None else bias.detach().double().cpu()
        piece = Piece(path, beta, gamma.square() * var / (var + eps), lambda x: x)
        self.beliefs.put(out, Belief((piece,), tuple(out.shape[2:])))

    def _signal(
        self, path: str, mean: Tensor, var: Tensor, entry: LedgerEntry | None
    ) -> tuple[Tensor, dict[str, Tensor], How] | str:
        """Variance without the direct noise, N by source, and how; or why not."""
        known = None if self.known is None else self.known.get(path)
        if self.known is not None and known is None:
            return "not predicted: its variance under the noise of training is not known"
        if entry is None or not entry.parts:
            return var if known is None else known, {}, "no noise"
        taus = self._taus
        patches = self._patches(entry, len(var))
        if patches is not None:
            tau = noise_var(patches, taus, var)
            left = ((var - tau * mean.square()) / (1 + tau)).clamp(min=0)
            clean = left if known is None else known
            second = mean.square() + clean
            return clean, {source: mask * second for source, mask in patches.items()}, "inverted"
        energies: dict[str, Tensor] = {}
        for source, part in entry.parts.items():
            energy = energy_at(part, self.beliefs)
            if energy is None:
                where = getattr(part, "where", "")
                if where:
                    return f"not predicted: {source!r} is followed no further than {where}"
                return f"not predicted: the moments of what {source!r} multiplies are not known"
            energies[source] = energy
        left = (var - noise_var(energies, taus, var)).clamp(min=0)
        return left if known is None else known, energies, "moments"

    @staticmethod
    def _patches(entry: LedgerEntry, channels: int) -> dict[str, Tensor] | None:
        """The channels of each source, where every channel is wholly one source's or nobody's."""
        masks = {}
        for source, part in entry.parts.items():
            if isinstance(part, Masked):
                masks[source] = part.mask.double()
            elif isinstance(part, Base) and part.pure:
                masks[source] = torch.ones(channels, dtype=torch.float64, device="cpu")
            else:
                return None
        return masks if bool((torch.stack(list(masks.values())).sum(0) <= 1).all()) else None

    def _unknown(self, path: str, feeds: tuple[Piece, ...]) -> str | None:
        """Why it cannot be told what earlier norms make of the noise that reaches them; or None."""
        for root in dict.fromkeys(piece.root for piece in feeds):
            if root in self.skipped and root in self.through and root not in self.ranges:
                return f"not predicted: noise also comes through {root!r}, which is not predicted"
        if path in self.carried and not feeds:
            return (
                f"not predicted: the noise of {self._reaching} also comes through a norm that is "
                "not followed"
            )
        return None

    def _impossible(self, signal: Tensor, var: Tensor) -> str | None:
        """Why the stored variances cannot be those of training with this noise; or None."""
        none, live = int(((signal == 0) & (var > 0)).sum()), int((var > 0).sum())
        if 2 * none < live or not live:
            return None
        return (
            f"not predicted without data: in {none} of {live} channels the noise of "
            f"{self._reaching} alone would make more than the stored variance, so that it is not "
            "that of training with this noise: pass data"
        )

    def _expected(
        self,
        path: str,
        signal: Tensor,
        var: Tensor,
        energies: dict[str, Tensor],
        how: How,
        feeds: tuple[Piece, ...],
    ) -> Expected:
        shrink, least, most = self._shrinks(feeds)
        live = var > 0
        stays = {source: n for source, n in energies.items() if source in self.lasting}
        calm = signal + noise_var(stays, self._taus, signal)
        own = torch.where(live, calm / var, torch.nan)
        middle = median(own)
        off = _half(how, middle)
        low, high = middle - off, min(middle + off, 1.0)
        # The output of earlier norms is smaller at test by `shrink`; of that, noise which passed
        # them was a part that weights average out: the truth lies between all and nothing.
        delta = own * shrink**0.5
        shift = median(delta)
        far = off + (_CARRIED if path in self.carried and how != "no noise" else 0.0)
        return Expected(
            path=path,
            low=max(min(low * min(least, 1.0), shift - far), 0.0),
            high=max(high * max(most, 1.0), shift + far),
            delta=delta,
            how=how,
            var_test=delta * var,
            var_train=var,
            signal=signal,
            energies=energies,
            taus={source: self._taus[source] for source in energies},
            samples=0,
            local_band=(max(low, 0.0), high),
        )

    def _range(self, feeds: tuple[Piece, ...]) -> tuple[float, float]:
        """Bounds of Δ where noise arrives through norms only: weights may average all of it out.

        The least is what the norms before it lose at most; signal that noise held down in training
        grows at test, on trained networks by up to a third.
        """
        roots = {piece.root for piece in feeds}
        lows = [site.low for path, site in self.sites.items() if path in roots or not roots]
        lows += [low for path, (low, _) in self.ranges.items() if path in roots or not roots]
        return min([*lows, 1.0]), _GROWS

    def _shrinks(self, feeds: tuple[Piece, ...]) -> tuple[float, float, float]:
        """By what the variance from earlier norms is smaller at test: middle, least, most.

        Weights are left aside. A norm without a figure keeps its variance in the middle.
        """
        calm, noisy = [0.0, 0.0, 0.0], 0.0
        for piece in feeds:
            site, range_ = self.sites.get(piece.root), self.ranges.get(piece.root)
            if site is not None:
                less = [piece.shrunk(site.delta.nan_to_num(1.0).clamp(min=0))] * 3
            elif range_ is not None:
                less = [piece.shrunk(torch.full_like(piece.var, to)) for to in (1.0, *range_)]
            else:
                continue
            calm = [total + part for total, part in zip(calm, less, strict=True)]
            noisy += piece.total
        middle, least, most = [total / noisy if noisy > 0 else 1.0 for total in calm]
        return middle, least, most
