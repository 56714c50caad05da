"""The shift while a network trains: a look now and then, for a hundredth of the time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from varshift._engine import Forward
from varshift._monitor.apart import refuse_shared
from varshift._monitor.looks import Looks
from varshift._monitor.memory import remember, remembered, told
from varshift._monitor.pace import Pace
from varshift.errors import DataError, UsageError, VarianceShiftWarning, VarshiftError, listed
from varshift.results import Monitored, MonitoredNorm, Monitoring

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Monitor"]

_FOR_EVER = 1 << 62  # calls
_IDLE = 50  # calls between two questions whether there is anything to look at by now
_NOTHING = "no noise reaches a norm that learns its statistics"
_STATE = ("steps", "pace", "history", "looks", "warned")  # what is in every version's


class Monitor:
    """Watches the variance shift of a network in training, from within any loop.

    Call `step(batch)` once per training step, with the batch that the step has trained on: after
    `backward()`, or after `optimizer.step()`. After `backward()` both figures belong to the same
    weights; after the update the noise-off one is of weights one step further on.

    The first call traces one training forward: which norms noise reaches, and how. From then on a
    look is taken whenever the time that training has taken pays for it. A look is one noise-off
    forward of the batch at hand. What it is compared with, the variance of the same batch in
    training, costs nothing: it is read back from what the norm's running statistics have become.
    Training goes on as if nothing had been there: parameters, buffers, gradients, flags and random
    generators are the same bits.

    If a look fails, training goes on: a warning says why, once, and the monitor rests.

    Args:
        model: the network, plain, compiled or wrapped by DistributedDataParallel. Each rank
            watches its own batches and keeps its own record.
        budget: what part of the elapsed time watching may take. Paid from it are looks, calls that
            do nothing, and what steps right after a look take longer than others, as far as that
            shows in their time. The trace, at the first step, and the first look, as soon as
            running statistics have forgotten what they were made with (44 batches at momentum 0.1),
            come as a debt; no other look comes before it is paid off.
        every: look at every so many steps instead, whatever that costs. Needed where ranks must
            look at the same steps, each with a monitor: for sharded models (FSDP), SyncBatchNorm,
            and forwards that talk to other ranks.
        forward: `lambda model, batch: …` for batches of any form; put autocast in there, unless
            `step` is called inside the autocast block.
        threshold: the severity, max(Δ, 1/Δ), beyond which the monitor warns, once, with the rule's
            code, as soon as some norm's is beyond it by more than the scatter of the looks.
        window: over how many of the last looks the figures are taken: one batch is noisy.
        warn: whether to warn.

    Raises:
        UsageError: a budget outside (0, 1], a threshold below 1, no whole number of steps or looks;
            no `every` for a model that ranks must run together.

    Example:
        >>> import torch, varshift as vs
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(4))
        >>> monitor = vs.Monitor(model, every=1, warn=False)
        >>> for _ in range(60):
        ...     x = torch.randn(512, 4)
        ...     _ = model(x)                # here a loss, backward() and optimizer.step()
        ...     record = monitor.step(x)    # None where no look was due
        >>> round(record.norms["1"].shift, 1), round(monitor.metrics()["varshift/severity/1"], 1)
        (0.5, 2.0)
    """

    def __init__(
        self,
        model: nn.Module,
        budget: float = 0.01,
        *,
        every: int | None = None,
        forward: Forward | None = None,
        threshold: float = 1.1,
        window: int = 8,
        warn: bool = True,
    ) -> None:
        _refuse(budget, every, threshold, window)
        if every is None:
            refuse_shared(model)
        self.history: list[Monitored] = []
        self._threshold, self._warn, self._warned = threshold, warn, False
        self._pace = Pace(budget, every)
        self._looks = Looks(model, forward, window, apart=every is None)
        self._timed = 0  # the step of the last call that read the clock
        self._untimed = 0  # so many calls go by before the next one that does
        self._awaited = 1  # the step of that one
        self._first: int | None = None  # the step of the first look, which is not earned yet
        self._notes: list[str] = []
        self._passed_over = 0  # looks at batches that cannot be used, after the first one
        self._last_passed_over = 0
        self._rests = False

    def step(self, batch: Any) -> Monitored | None:
        """Tell the monitor of one training step; gives the record if a look was taken.

        Args:
            batch: what the step has trained on, in any form that `measure` takes, or `forward`.

        Raises:
            DataError, ModelError, UsageError: at the first step, where the batch or the model
                cannot be used, or only with `every`; later ones warn.
        """
        # Between two steps of training every line of this is slow: caches hold other things.
        if self._untimed:
            self._untimed -= 1
            return None
        return self._timed_step(batch)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know: what the trace has noticed, and why the monitor rests."""
        return tuple(dict.fromkeys([*self._notes, *self._more_passed_over()]))

    @property
    def overhead(self) -> float:
        """What part of the time since the first step watching has taken, as in `budget`."""
        return self._pace.share

    def metrics(self, prefix: str = "varshift") -> dict[str, float]:
        """The last look as flat floats, for anything with `log(dict)`; empty before the first.

        `varshift/severity/PATH` and `varshift/shift/PATH` for each norm, `varshift/worst` (the
        largest severity) and `varshift/overhead`. What is not known is left out.
        """
        if not self.history:
            return {}
        record = self.history[-1]
        found = {f"{prefix}/overhead": self.overhead}
        if record.worst is not None:
            found[f"{prefix}/worst"] = record.worst.severity
        for path, norm in record.norms.items():
            found[f"{prefix}/severity/{path}"] = norm.severity
            found[f"{prefix}/shift/{path}"] = norm.shift
        return {name: value for name, value in found.items() if value == value}

    def result(self) -> Monitoring:
        """All looks so far, as plain values that pickle and hold no model."""
        return Monitoring(
            history=tuple(self.history),
            steps=self._steps,
            overhead=self.overhead,
            threshold=self._threshold,
            codes=dict(self._looks.codes),
            behind=dict(self._looks.behind),
            notes=self.notes,
        )

    def table(self) -> Any:
        """A rich table of the last look, with each norm's worst. Needs the `cli` extra."""
        return self.result().table()

    def to_frame(self) -> Any:
        """A pandas DataFrame, one row per look and norm. Needs the `report` extra."""
        return self.result().to_frame()

    def to_dict(self) -> dict[str, Any]:
        """All looks, JSON-ready, with a versioned `schema`."""
        return self.result().to_dict()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Severity by norm over the steps, on matplotlib axes. Needs the `report` extra."""
        return self.result().plot(ax)

    def __repr__(self) -> str:
        return repr(self.result()).replace("<Monitoring", "<Monitor", 1)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to go on: numbers, strings and tensors, for `torch.save`."""
        return {
            "steps": self._steps,
            "pace": self._pace.state(),
            "history": [told(record) for record in self.history],
            "looks": self._looks.state(),
            "traced": self._looks.traced(),
            "warned": self._warned,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken. The model is traced anew at the next step.

        Raises:
            UsageError: what is no such state; the monitor is then as it was.
        """
        if missing := [name for name in _STATE if name not in state]:
            raise UsageError(
                f"the state has no {listed(missing)}; pass what a monitor's state_dict() gave"
            )
        self._timed, self._untimed, self._awaited = state["steps"], 0, state["steps"] + 1
        self._pace.resume(state["pace"])
        self.history = [remembered(record) for record in state["history"]]
        self._looks.resume(state["looks"], state.get("traced"))
        self._warned = state["warned"]
        self._rests = False

    # What takes time ------------------------------------------------------------------------

    @property
    def _steps(self) -> int:
        """How many steps there have been, that of the call under way included."""
        return self._awaited - 1 - self._untimed

    def _timed_step(self, batch: Any) -> Monitored | None:
        step = self._awaited
        self._pace.enter(step - self._timed)
        self._timed, self._awaited = step, step + 1
        try:
            if self._looks.watch is None or (self._idle and self._looks.woken()):
                self._trace(batch, step)
                self._pace.done()
            record = self._look(batch, step) if self._looks_now(step) else None
            if self._looks.light and not self._looks.ready and self._due(step + 1):
                self._looks.make_ready()
                self._pace.made_ready()
            return record
        finally:
            self._pace.done()
            self._untimed = self._untimed_from(step)
            self._awaited += self._untimed

    def _untimed_from(self, step: int) -> int:
        """How many calls after this one have nothing to do and need no clock."""
        if self._rests:
            return _FOR_EVER
        if self._idle:
            return _IDLE
        return self._pace.untimed(step, self._first) if self._looks.watch is not None else 0

    def _trace(self, batch: Any, step: int) -> None:
        """Which norms noise reaches."""
        try:
            found = self._looks.trace(batch)
        except VarshiftError as error:
            if step == 1:
                raise
            self._give_up(error, step)
            return
        self._first = None if self.history else step + max(1, found.wait)
        self._notes += found.notes
        if found.idle:
            self._notes.append(f"{_NOTHING} yet ({found.asleep}); it is looked for again")
        elif not found.handles:
            self._rest(f"{_NOTHING}: there is no shift")

    @property
    def _idle(self) -> bool:
        """Whether nothing is to be looked at until the model changes."""
        return self._looks.watch is not None and self._looks.watch.idle

    def _due(self, step: int) -> bool:
        if self._rests or self._idle:
            return False
        if self._first is None:
            return self._pace.due(step)
        return step >= self._first and (self._pace.every is None or self._pace.due(step))

    def _looks_now(self, step: int) -> bool:
        """A light look has been made ready for at the step before."""
        if self._looks.watch is None or self._rests:
            return False
        return self._looks.ready if self._looks.light else self._due(step)

    def _look(self, batch: Any, step: int) -> Monitored | None:
        if _synchronised():
            self._pace.again()
        norms: Mapping[str, MonitoredNorm] = {}
        try:
            norms = self._looks.take(batch, step)
            self._notes += [note for note in self._looks.notes if note not in self._notes]
        except Exception as error:  # of anybody's forward: training must go on
            self._give_up(error, step)
        finally:
            self._first = None
            took = self._pace.looked()
        if not norms:
            return None
        record = Monitored(step, self._pace.seconds, took, norms)
        remember(self.history, record)
        self._warn_once(record)
        return record

    def _give_up(self, error: Exception, step: int) -> None:
        """Rest, and say why; a batch that cannot be used is passed over."""
        kind = "" if isinstance(error, VarshiftError) else f"{type(error).__name__}: "
        if isinstance(error, DataError):
            self._pass_over(error, step)
            return
        self._rest(
            f"the look at step {step} failed, and the monitor rests from here on; training "
            f"is not touched. {kind}{error}"
        )
        warnings.warn(self._notes[-1], VarianceShiftWarning, stacklevel=5)

    def _pass_over(self, error: DataError, step: int) -> None:
        """Said in full the first time: a run of such batches may be long."""
        if self._last_passed_over:
            self._passed_over += 1
        else:
            self._notes.append(f"the look at step {step} was left out: {error}")
        self._last_passed_over = step

    def _more_passed_over(self) -> Iterator[str]:
        if more := self._passed_over:
            looks = "1 more look was" if more == 1 else f"{more} more looks were"
            yield f"{looks} left out, the last at step {self._last_passed_over}"

    def _rest(self, why: str) -> None:
        self._rests = True
        self._notes.append(why)

    def _warn_once(self, record: Monitored) -> None:
        beyond = [norm for norm in record.norms.values() if norm.low > self._threshold]
        if beyond and self._warn and not self._warned:
            self._warned = True
            said = self._looks.warning(record.step, beyond, self._threshold)
            warnings.warn(said, VarianceShiftWarning, stacklevel=5)


def _synchronised() -> bool:
    """Wait for what an accelerator has still to do of the training step: it is no look's time."""
    if not (torch.cuda.is_available() and torch.cuda.is_initialized()):
        return False
    torch.cuda.synchronize()
    return True


def _refuse(budget: float, every: int | None, threshold: float, window: int) -> None:
    if not (isinstance(budget, Real) and 0 < budget <= 1):
        raise UsageError(f"budget is {budget}; pass a share of the time in (0, 1], as in 0.01")
    if every is not None and not _is_whole(every):
        raise UsageError(f"every is {every!r}; pass a whole number of steps, 1 or more")
    if not (isinstance(threshold, Real) and threshold >= 1):
        raise UsageError(f"threshold is {threshold}; pass a severity of 1 or more, as 1.1")
    if not _is_whole(window):
        raise UsageError(f"window is {window!r}; pass a whole number of looks, 1 or more")


def _is_whole(value: object) -> bool:
    """Whether it counts something: 8.0 would count steps as fractions, and holds no looks."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1
