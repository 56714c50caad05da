"""Looks at a model in training: what each takes, and what the last few have shown together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine import Forward, both, unusable
from varshift._monitor.apart import apart_from_ranks
from varshift._monitor.figures import NormLook, figures_of
from varshift._monitor.updates import StoredBefore
from varshift._monitor.watch import Watch, watch
from varshift.results import MonitoredNorm

__all__ = ["Looks"]


_TRACES = 8  # more than the first, where parts of the model come into play


class Looks:
    """The looks at one model. First `trace`; then `make_ready` at one step, `take` at the next.

    Attributes:
        watch: what the trace has shown; None before it, and where the model has changed since.
        codes, behind: by path of a norm, as in `Watch`, of the last trace.
        notes: what looks have to say of themselves.
    """

    def __init__(
        self, model: nn.Module, forward: Forward | None, window: int, *, apart: bool
    ) -> None:
        self.watch: Watch | None = None
        self.codes: Mapping[str, str] = {}
        self.behind: Mapping[str, tuple[str, ...]] = {}
        self.notes: list[str] = []
        self._model, self._forward, self._window = model, forward, window
        self._last: dict[str, deque[NormLook]] = {}
        self._before: StoredBefore | None = None
        self._traces_left = _TRACES
        self._apart = apart  # whether each rank looks at steps of its own

    @property
    def light(self) -> bool:
        """Whether a look is one pass, and must be made ready at the step before."""
        return self.watch is not None and self.watch.glance is not None

    @property
    def ready(self) -> bool:
        """Whether that has been done."""
        return self._before is not None

    def trace(self, batch: Any) -> Watch:
        """One training forward of the batch: which norms noise reaches. Raises as `watch` does."""
        with self._by_itself():
            self.watch = watch(self._model, batch, self._forward)
        self.codes, self.behind = self.watch.codes, self.watch.behind
        return self.watch

    def make_ready(self) -> None:
        """Keep what norms have stored now: a look tells from it what the next step has added."""
        if self.watch is not None:
            self._before = StoredBefore(self.watch.handles.values())

    def take(self, batch: Any, step: int) -> dict[str, MonitoredNorm]:
        """By path of each norm that was met in both modes; none where the model has changed.

        What was made ready is used up, also where the forward raises.
        """
        found, taken = {}, self._taken(batch, step)
        for path, look in taken.items():
            last = self._last.setdefault(path, deque(maxlen=self._window))
            last.append(look)
            found[path] = figures_of(path, last)
        self.notes = list(dict.fromkeys([*self.notes, *self._lost(taken)]))
        if self.woken():
            self.watch = None  # traced anew at the next step
        return found

    def woken(self) -> bool:
        """Whether something takes part by now that took none when it was traced.

        The first few times alone: a loop may freeze parts in turns, and a trace is dear.
        """
        if self.watch is None or not self.watch.woken or not self._traces_left:
            return False
        self._traces_left -= 1
        return True

    def _lost(self, taken: Mapping[str, NormLook]) -> Iterator[str]:
        """Of norms that this look says nothing of, those that a batch of NaN has spoilt."""
        norms = {} if self.watch is None else self.watch.handles
        for path, look in taken.items():
            if path in norms and not look.train.any():
                held: Any = norms[path].module
                if why := unusable(path, held.running_mean, held.running_var):
                    yield why

    def _taken(self, batch: Any, step: int) -> dict[str, NormLook]:
        before, self._before = self._before, None
        watched = self.watch
        if watched is None:
            return {}
        if watched.glance is None:
            with self._by_itself():
                train, off = both(self._model, batch, self._forward, self.notes)
            paths = [path for path in watched.handles if path in train and path in off]
            return {path: NormLook.of(train[path].var, off[path]) for path in paths}
        if watched.stale or before is None:
            self.watch = None  # traced anew at the next step
            return {}
        given = before.since()
        with self._by_itself():
            seen = watched.glance.off(batch, step)
        self.notes = [*watched.glance.notes, *_several(before.runs, watched.glance.calls)]
        return {path: NormLook.of(given[path], seen[path]) for path in given if path in seen}

    def _by_itself(self) -> AbstractContextManager[None]:
        """Around each pass: no other rank may be waited for, unless all look at the same steps."""
        return apart_from_ranks(self._model) if self._apart else nullcontext()

    def warning(self, step: int, beyond: Sequence[MonitoredNorm], threshold: float) -> str:
        """The sentence for norms whose severity is surely beyond the threshold."""
        worst = max(beyond, key=lambda norm: norm.low)
        more = f" ({len(beyond)} norms in all)" if len(beyond) > 1 else ""
        code = self.codes.get(worst.path, "")
        return (
            f"{code} at step {step}: the norm {worst.path!r} has severity "
            f"{worst.severity:.2f}, surely more than {threshold:g} (variance with noise off "
            f"÷ in training {worst.shift:.2f}){more}; noise before it: "
            f"{', '.join(self.behind.get(worst.path, ())[:3])}. What to do: varshift.test_"
            "statistics around validation, varshift.recalibrate or repair once trained"
        )

    def state(self) -> dict[str, list[tuple[Any, Any]]]:
        """The last looks, by path, as tensors."""
        return {
            path: [(torch.from_numpy(each.train), torch.from_numpy(each.off)) for each in last]
            for path, last in self._last.items()
        }

    def traced(self) -> dict[str, Any]:
        """What the last trace has shown of each norm, as strings."""
        behind = {path: list(names) for path, names in self.behind.items()}
        return {"codes": dict(self.codes), "behind": behind}

    def resume(
        self, state: Mapping[str, list[tuple[Any, Any]]], traced: Mapping[str, Any] | None
    ) -> None:
        """Go on where both were taken; the model is to be traced anew."""
        if traced is not None:
            self.codes = dict(traced["codes"])
            self.behind = {path: tuple(names) for path, names in traced["behind"].items()}
        self._last = {
            path: deque((_look(*each) for each in last), self._window)
            for path, last in state.items()
        }
        self.watch, self._before = None, None


def _several(runs: Mapping[str, int], calls: Mapping[str, int]) -> Iterator[str]:
    """Where training has run the model more than once since the look was made ready."""
    if any(runs.get(path, 0) > often for path, often in calls.items()):
        yield (
            "the model runs more than once between two calls of step(), and a look takes the last "
            "batch alone: where those runs get other data, as a discriminator does, the figures "
            "compare the two; call step() after each run"
        )


def _look(train: Tensor, off: Tensor) -> NormLook:
    """As it was; a file may have been loaded to an accelerator."""
    return NormLook(train.cpu().numpy(), off.cpu().numpy())
