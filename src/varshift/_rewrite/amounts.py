"""What noise is asked for in place of a source's own, and the layer or rate that gives it."""

from __future__ import annotations

import copy
import glob
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from torch import nn

from varshift._predict.noises import Asked, Shape, asked_for, wanted
from varshift._rewrite.patches import Wish
from varshift._rewrite.rates import RATES, number_of, rate_of, tau_now
from varshift.errors import UsageError
from varshift.nn import GaussianDropout, Uout
from varshift.results import Noise, Structure
from varshift.results.structure import Sharing
from varshift.theory.noise import tau_of

__all__ = ["Aim", "What", "aims"]

Kind = Literal["rate", "layer", "uout", "gaussian", "dropout", "channel"]
What = float | str | nn.Module
_MATCHED = tuple(kind for kind in get_args(Kind) if kind not in ("rate", "layer"))
_CHANNEL: dict[int, type[nn.Module]] = {3: nn.Dropout1d, 4: nn.Dropout2d, 5: nn.Dropout3d}
_SHAPES: dict[str, Shape] = {"uout": "uniform", "gaussian": "gaussian"}
_BY_CHANNEL = ("dropout1d", "dropout2d", "dropout3d", "feature_dropout")


@dataclass(frozen=True, eq=False)
class Aim:
    """The noise that a source is to draw: what kind, and how much (τ, None where unknown)."""

    kind: Kind
    tau: float | None
    prototype: nn.Module | None = None
    sharing: Sharing | None = None

    def asked(self, source: Noise) -> Asked:
        """The same in the words of `predict`."""
        if self.tau is None:
            raise UsageError(
                f"{source.name!r} has no known τ under the noise asked for, so max_severity cannot "
                "lower it; ask for a rate"
            )
        if self.kind == "layer":
            return replace(_law(self.prototype), tau=self.tau)
        sharing = None if self.sharing == source.sharing else self.sharing
        return Asked(self.tau, _SHAPES.get(self.kind, "bernoulli"), sharing)

    def layer(self, source: Noise, old: nn.Module, ranks: set[int]) -> nn.Module:
        """A new layer that draws it, to stand in the place of `old`."""
        if self.prototype is not None:
            new = copy.deepcopy(self.prototype)
            name = rate_of(new)
            if name is not None and self.tau is not None:
                value = number_of(name, self.tau, source)
                if abs(value - getattr(new, name)) > 1e-9:  # lowered by max_severity
                    setattr(new, name, value)
        else:
            new = self._matched(source, ranks)
            if hasattr(old, "inplace") and hasattr(new, "inplace"):
                new.inplace = old.inplace
        for module in new.modules():
            module.training = old.training
        return new

    def wish(self, source: Noise) -> Wish | None:
        """What a dropout call in code is to become; None where no call says it."""
        prototype = self.prototype
        if isinstance(prototype, nn.Identity):
            return Wish(None)
        if self.tau is None:
            return None
        if self.kind == "uout" or isinstance(prototype, Uout):
            return Wish(self.tau, "varshift.nn.functional.uout", self._shared())
        if self.kind == "gaussian" or isinstance(prototype, GaussianDropout):
            return Wish(self.tau, "varshift.nn.functional.gaussian_dropout", self._shared())
        own = {"dropout": ("dropout",), "channel": _BY_CHANNEL}.get(self.kind, ())
        if self.kind == "rate" or source.operation in own:
            return Wish(self.tau)
        name = "dropout" if self.kind == "dropout" else type(prototype).__name__.lower()
        if name in ("dropout", *_BY_CHANNEL):
            return Wish(self.tau, f"torch.nn.functional.{name}")
        return None

    def _shared(self) -> str:
        return self.sharing or getattr(self.prototype, "sharing", None) or "element"

    def _matched(self, source: Noise, ranks: set[int]) -> nn.Module:
        tau = self.tau or 0.0
        if self.kind == "uout":
            return Uout(number_of("beta", tau, source), sharing=self._shared())
        if self.kind == "gaussian":
            return GaussianDropout(number_of("sigma", tau, source), sharing=self._shared())
        drop_p = number_of("p", tau, source)
        if self.kind == "dropout" or ranks == {2}:  # (N, C): a value is a channel
            return nn.Dropout(drop_p)
        rank = next(iter(ranks), 0)
        if len(ranks) != 1 or rank not in _CHANNEL:
            raise UsageError(
                f"{source.name!r} saw inputs of {sorted(ranks)} dimensions; channel-wise dropout "
                "needs one number of dimensions, from 2 to 5: ask for 'dropout' or a layer there"
            )
        return _CHANNEL[rank](drop_p)


def aims(noise: Mapping[str, What] | What, structure: Structure) -> dict[str, Aim]:
    """What is asked of each source, by its name. What is no mapping is asked of all."""
    if not isinstance(noise, Mapping) and not structure.noises:
        return {}
    asked = noise if isinstance(noise, Mapping) else {"*": noise}
    found: dict[str, Aim] = {}
    for pattern, value in asked.items():
        full = any(pattern in (source.name, source.path) for source in structure.noises)
        for name in wanted({glob.escape(pattern) if full else pattern: 0.0}, structure):
            source = structure.noise(name)
            if source.active or full:
                found[name] = _aim(value, source)
    return found


def _aim(value: Any, source: Noise) -> Aim:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Aim("rate", tau_of(float(value)))
    if isinstance(value, str) and value in _MATCHED:
        kind: Kind = value  # type: ignore[assignment]
        shared: dict[str, Sharing] = {"dropout": "element", "channel": "channel"}
        return Aim(kind, tau_now(source), None, shared.get(value) or _kept(source))
    if isinstance(value, nn.Module):
        _refuse_state(value)
        return Aim("layer", _tau_of_layer(value), value)
    said = repr(value) if isinstance(value, (str, bool)) else f"a {type(value).__name__}"
    raise UsageError(
        f"noise is {said}; pass a drop_p, a noise layer such as vs.nn.Uout(0.2), or one of "
        f"{', '.join(map(repr, _MATCHED))} for the same amount of noise"
    )


def _kept(source: Noise) -> Sharing:
    """The sharing that our layers can take over. Channels must be dimension 1 for that."""
    ours = source.module.startswith(("Uout", "GaussianDropout"))
    if source.sharing == "channel" and (ours or source.operation in _BY_CHANNEL):
        return "channel"
    return "sample" if source.sharing == "sample" else "element"


def _law(layer: nn.Module | None) -> Asked:
    if isinstance(layer, nn.Identity):
        return Asked(0.0)
    name = None if layer is None else rate_of(layer)
    law = Asked(0.0) if name not in ("p", "beta", "sigma") else asked_for(layer)
    # The layer itself will stand there, so its own sharing counts, "element" included.
    usual = "element" if type(layer) is nn.Dropout else law.sharing
    return replace(law, sharing=getattr(layer, "sharing", usual))


def _refuse_state(layer: nn.Module) -> None:
    held = [name for name, _ in [*layer.named_parameters(), *layer.named_buffers()]]
    if held:
        raise UsageError(
            f"{type(layer).__name__} holds {held[0]!r}, which would change the keys of the "
            "state_dict; pass a layer without parameters or buffers"
        )


def _tau_of_layer(layer: nn.Module) -> float | None:
    if isinstance(layer, nn.Identity):
        return 0.0
    name = rate_of(layer)
    if isinstance(layer, nn.AlphaDropout) or name is None:
        return None
    value = getattr(layer, name)
    return tau_of(value) if name in RATES else asked_for(layer).tau
