"""Where noise may have stood: which place answers for which norm site."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from varshift._engine import (
    Batch,
    Flags,
    NormCall,
    Recorder,
    Regime,
    Session,
    norm_handles,
    untracked,
    walk,
)
from varshift._footprint.energy import WEIGHTED
from varshift.errors import UsageError, listed

__all__ = ["Feeds", "Hypothesis", "Judged", "check_places", "feeds", "hypotheses"]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """Noise stood on the input of `place`, and the norm site `path` remembers it."""

    path: str
    place: str
    placement: Literal["a", "b"]
    module: nn.Module


@dataclass(frozen=True, eq=False)
class Feeds:
    """One training pass: how often each norm and place ran, and which place feeds which norm."""

    direct: dict[str, str]
    norm_calls: dict[str, int]
    place_calls: dict[str, int]
    frozen: frozenset[str]


Judged = tuple[list[Hypothesis], dict[str, str]]


def check_places(model: nn.Module, places: Iterable[str] | None) -> list[str] | None:
    """The places as a list; refuses what is no place before anything runs."""
    if places is None:
        return None
    if isinstance(places, str):
        raise UsageError(f"places is the text {places!r}; pass a list of paths, as in [{places!r}]")
    asked = list(dict.fromkeys(places))
    if not asked:
        raise UsageError("places is empty; name layers, or leave it out to try every one")
    modules = dict(walk(model))
    for path in asked:
        _refuse_place(path, modules)
    return asked


def _refuse_place(path: str, modules: dict[str, nn.Module]) -> None:
    module = modules.get(path)
    if module is None:
        fit = [name for name, held in modules.items() if isinstance(held, (*WEIGHTED, _BatchNorm))]
        raise UsageError(
            f"places names {path!r}, which the model does not have; it has {listed(fit)}"
        )
    if isinstance(module, (*WEIGHTED, _BatchNorm)):
        return
    hint = "the layer that follows it, " if isinstance(module, _DropoutNd) else ""
    raise UsageError(
        f"places names {path!r}, a {type(module).__name__}; name {hint}a convolution or linear "
        "layer (noise on its input) or a BatchNorm (noise straight before it)"
    )


@dataclass
class _Watch(Recorder):
    """Follows the outputs of weight layers, by identity, to the norms they reach untouched."""

    outputs: list[tuple[str, Tensor, int]] = field(default_factory=list)
    direct: dict[str, str] = field(default_factory=dict)
    norm_calls: dict[str, int] = field(default_factory=dict)
    place_calls: dict[str, int] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)

    def ran(self, path: str) -> Callable[..., None]:
        """A hook for the layer at `path`."""

        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            self.place_calls[path] = self.place_calls.get(path, 0) + 1
            if isinstance(output, Tensor):
                # Held, so that no other tensor takes its address while this pass lasts.
                self.outputs.append((path, output, output._version))

        return hook

    def norm(self, call: NormCall) -> None:
        """A norm is about to normalise its input."""
        site, x = call.handle, call.x
        self.norm_calls[site.path] = self.norm_calls.get(site.path, 0) + 1
        if not site.module.training:
            self.frozen.add(site.path)
        for path, output, version in reversed(self.outputs):
            if _same(output, x) and output._version == version:
                self.direct[site.path] = path
                return


def feeds(run: Session, batch: Batch, flags: Flags) -> Feeds:
    """Watch one training pass."""
    seen = _Watch()
    weighted = [path for path, module in walk(run.model) if isinstance(module, WEIGHTED)]
    watch = {path: seen.ran(path) for path in weighted}
    run.once(batch, Regime(flags, record=(seen,), watch=watch))
    return Feeds(seen.direct, seen.norm_calls, seen.place_calls, frozenset(seen.frozen))


def hypotheses(model: nn.Module, seen: Feeds, places: list[str] | None) -> Judged:
    """What is to be estimated, in the order data reaches the norms, and what cannot be."""
    modules = dict(walk(model))
    skipped = _unfit(model, seen)
    wanted = seen.direct if places is None else _as_asked(modules, seen, places, skipped)
    found: list[Hypothesis] = []
    taken: dict[str, str] = {}
    for path in (path for path in seen.norm_calls if path not in skipped):
        if path not in wanted:
            skipped[path] = _no_place(places)
        elif seen.place_calls.get(wanted[path], 1) > 1:
            skipped[path] = f"its place {wanted[path]!r} runs more than once a pass"
        elif wanted[path] in taken:
            skipped[path] = f"its place {wanted[path]!r} is judged by {taken[wanted[path]]!r}"
        else:
            place = wanted[path]
            found.append(Hypothesis(path, place, "a" if place == path else "b", modules[place]))
            taken[place] = path
    return found, skipped


def _unfit(model: nn.Module, seen: Feeds) -> dict[str, str]:
    """Norm sites that nothing can be said about, wherever noise stood."""
    skipped = {path: why.value for path, why in untracked(model).items()}
    handles = norm_handles(model)
    for path, handle in handles.items():
        if handle.certain and path not in seen.norm_calls:
            skipped[path] = "no batch reached it"
    for path, calls in seen.norm_calls.items():
        if path not in handles:
            skipped[path] = "its statistics belong to no BatchNorm module"
        elif path in seen.frozen:
            skipped[path] = "frozen (in eval mode): its statistics were not taken in this training"
        elif calls > 1:
            skipped[path] = f"runs {calls} times a pass: its statistics mix several inputs"
    return skipped


def _as_asked(
    modules: dict[str, nn.Module], seen: Feeds, places: list[str], skipped: dict[str, str]
) -> dict[str, str]:
    """Norm path → place, for the places asked for; refuses those that reach no norm."""
    wanted: dict[str, str] = {}
    for place in places:
        for path in _norms_of(modules[place], place, seen):
            if path in skipped:
                raise UsageError(f"places names {place!r}, but {path!r} {_because(skipped[path])}")
            if path in wanted:
                raise UsageError(
                    f"places names both {wanted[path]!r} and {place!r} for the norm {path!r}: one "
                    "stored variance cannot tell two noises apart; name one of them"
                )
            wanted[path] = place
    return wanted


def _norms_of(module: nn.Module, place: str, seen: Feeds) -> list[str]:
    if isinstance(module, _BatchNorm):
        if place not in seen.norm_calls:
            raise UsageError(f"places names {place!r}, but no batch reached it; name another norm")
        return [place]
    fed = [path for path, feeder in seen.direct.items() if feeder == place]
    if not fed:
        raise UsageError(
            f"places names {place!r}, but its output goes straight into no BatchNorm; name a layer "
            "with nothing between itself and its norm, or the norm"
        )
    return fed


def _because(reason: str) -> str:
    return f"cannot be judged: {reason}; leave it out"


def _no_place(places: list[str] | None) -> str:
    if places is not None:
        return "no place was named for it"
    return (
        "no convolution or linear layer feeds it directly (a sum, an activation or a reshape lies "
        "between); name the norm itself in places= to ask for noise straight before it"
    )


def _same(one: Tensor, other: Tensor) -> bool:
    if one is other:
        return True
    return (
        one.shape == other.shape
        and one.stride() == other.stride()
        and one.numel() > 0
        and one.data_ptr() == other.data_ptr()
    )
