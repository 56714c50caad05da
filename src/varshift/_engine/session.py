"""The one place that runs a borrowed model: a pass under a regime, and a loop over data.

A verb says which regimes it wants and reads what their recorders kept. Borrowing, flags, buffers,
devices, random state, progress, the structure and the ranks are looked after here.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from torch import nn

from varshift._engine.ahead import NOT_LOOKED, Ahead, Look, look_ahead, open_questions
from varshift._engine.around import Around, Trace
from varshift._engine.batches import (
    Batch,
    Data,
    Device,
    Forward,
    batches,
    call,
    cut,
    one_batch,
    why_empty,
)
from varshift._engine.borrow.model import (
    Buffers,
    borrowed,
    evaluation_flags,
    own_eval,
    set_training,
    unwrapped,
)
from varshift._engine.borrow.numbers import Numbers
from varshift._engine.borrow.rng import SEEDS, drawn_from, rng_state, seed_all, set_rng_state
from varshift._engine.control import Key, Silenced
from varshift._engine.edits import Edit
from varshift._engine.instep import in_step
from varshift._engine.progress import Progress, Reporter, reporter
from varshift._engine.ranks import Ranks
from varshift._engine.regime import Flags, Mode, Recorder, Regime
from varshift._engine.sharding import is_sharded, is_synchronised
from varshift._engine.sites import Inventory, norm_handles
from varshift._engine.structure import traced
from varshift._engine.trace.tracer import Tracer
from varshift._engine.unread import refuse_unreadable
from varshift._engine.watched import ByModule, watched_norms
from varshift._torch.classes import BatchNorm, InstanceNorm
from varshift.errors import DataError, ModelError, UsageError
from varshift.results import Note, NoteKind, Structure
from varshift.results.structure import alone

__all__ = ["Followed", "Held", "Passed", "Session", "session"]

Follower = TypeVar("Follower", bound=Tracer)
R = TypeVar("R", bound=Any)  # a result: a dataclass with notes
Then = Callable[[Any], Any]

_FEW = 2  # samples that show what a norm does


@dataclass(frozen=True, eq=False)
class Followed(Generic[Follower]):
    """A pass of which every operation was followed."""

    out: Any
    tracer: Follower
    moved: tuple[str, ...]


@dataclass(frozen=True)
class Passed:
    """How much of the data has passed."""

    samples: int
    batches: int


@dataclass(frozen=True, eq=False)
class Held:
    """Batches kept in memory: a rank's own, and how many there are on all ranks together."""

    own: list[Batch]
    batches: int
    samples: int


@dataclass(eq=False)
class Session:
    """A borrowed model and how to call it; made by `session`.

    Attributes:
        lent: the model as the user gave it, wrappers and all; `model` what is inside.
        lent_training: whether it was lent in train mode.
        trace: of the first pass whose regime asked for the structure.
        drew: by regime, the generators that its first pass moved.
        notes: once the block is left, what of the model or the data could not be given back.
        reading: closes what is read: loaders are put back with the session, come what may.
        draws: by regime that names them, what drew in it, as "dropout in block.drop".
        silenced: by source, how it was silenced where a regime had a `blend`.
        strangers: draws there that belong to no source of the traced pass.
    """

    lent: nn.Module
    model: nn.Module
    forward: Forward | None
    device: Device
    report: Reporter
    ranks: Ranks
    lent_training: bool
    notes: list[str]
    reading: ExitStack
    trace: Trace | None = None
    drew: dict[str, tuple[str, ...]] = field(default_factory=dict)
    draws: dict[str, tuple[str, ...]] = field(default_factory=dict)
    silenced: dict[str, Silenced] = field(default_factory=dict)
    strangers: int = 0

    def __post_init__(self) -> None:
        self._look_at_modules()
        self.on: Flags = [(module, module.training) for _, module in self._inventory.modules]
        self.off, self._evaluates_its_own_way = evaluation_flags(self.model, self.on)
        self._watched = watched_norms(self._inventory)
        self._by_module = ByModule()
        self._counted = self._began
        self._structure: Structure | None = None
        self._twice: frozenset[str] | None = None

    def _look_at_modules(self) -> None:
        self._inventory = Inventory(self.model)
        self._buffers = Buffers(self._inventory.modules)
        self._numbers = Numbers(self._inventory.modules)
        self._began = self._numbers.now()

    # One pass ------------------------------------------------------------------------------

    def once(
        self, batch: Batch, regime: Regime, report: Any = None, *, then: Then | None = None
    ) -> Any:
        """One forward pass; gives what the model returned. What it wrote or counted is put back.

        `then` makes something else of that, which is given, while the pass still stands: a model
        that saves memory computes parts of it again on the way back to gradients.
        """
        if self._evaluates_its_own_way and regime.mode == "evaluation":
            with self._after_its_own_eval():
                return self._once(batch, regime, report, then)
        first = regime.structure and self.trace is None
        out = self._once(batch, regime, report, then)
        if first and self.trace is not None:
            counted = self._counted
            self.trace = self._looked_ahead(self.trace)
            self._counted = counted
        return out

    @contextmanager
    def _after_its_own_eval(self) -> Iterator[None]:
        """As the model's own `eval()` leaves it, which sets more than flags."""
        with borrowed(self.model), self._anew():
            own_eval(self.model)
            self._look_at_modules()
            yield

    @contextmanager
    def _anew(self) -> Iterator[None]:
        """What is known of the model's tensors is put back after the block."""
        held = self._inventory, self._buffers, self._numbers, self._began
        try:
            yield
        finally:
            self._inventory, self._buffers, self._numbers, self._began = held

    def _once(self, batch: Batch, regime: Regime, report: Any, then: Then | None) -> Any:
        self._keep_batches_whole(regime)
        for recorder in regime.record:
            recorder.begin(batch)
        around = Around(
            batch, regime, self._inventory, self._watched, self._by_module, report, self.trace
        )
        set_training(self._flags(regime))
        before = self._numbers.now()
        try:
            with ExitStack() as stack:
                around.enter(stack)
                out = call(self.model, batch, self.forward)
                made = out if then is None else then(out)
        finally:
            self._buffers.restore()
            self._counted = self._numbers.now()
            self._numbers.put(before)
            self.trace = around.trace
        if around.control is not None:
            self.silenced.update(around.control.methods)
            self.strangers += around.control.strangers
        for recorder in regime.record:
            recorder.end(out)
        return made

    def _keep_batches_whole(self, regime: Regime) -> None:
        """Where the samples of a batch are no independent ones: they have a draw in common."""
        if self.trace is not None and any(s.by_batch for s in self.trace.tracer.sources):
            for recorder in regime.record:
                recorder.keep_batches_whole()

    def _looked_ahead(self, trace: Trace) -> Trace:
        """The trace with noise that no draw shows: masks made ahead, draws that became numbers.

        Passes more, and only where there is a question. A model whose ranks wait for each other in
        its forward runs on all of them or on none, and ranks need not have met the same.
        """
        if not open_questions(trace.tracer, trace.moved):
            return trace
        waits = trace.tracer.talks or is_sharded(self.model) or is_synchronised(self.model)
        if waits and Ranks.of().several:  # also where results are not joined: passes are
            return replace(trace, ahead=Ahead(notes=(NOT_LOOKED,)))

        def follow(
            mode: Mode, build: Callable[..., Follower], generator: str = "", seed: int = 0
        ) -> tuple[Follower, tuple[str, ...]]:
            set_rng_state(trace.start)
            if generator:
                SEEDS[generator](seed)
            found = self.followed(trace.batch, Regime(mode), build)
            return found.tracer, found.moved

        with self.trying():
            try:
                tracer, ahead = look_ahead(self.model, Look(trace.tracer, trace.moved), follow)
            except ModelError:
                return trace  # of evaluation: who asks for that is told
        return replace(trace, tracer=tracer, ahead=ahead)

    def alike(self, batch: Batch, regimes: Iterable[Regime]) -> None:
        """One pass under each regime, all of which draw the same random numbers."""
        start = rng_state()
        for regime in regimes:
            set_rng_state(start)
            self.once(batch, regime)

    def moved(self, batch: Batch, regime: Regime) -> tuple[str, ...]:
        """The random generators that one pass draws from: "torch", "numpy", "python" …"""
        before = rng_state()
        self.once(batch, regime)
        return drawn_from(before, rng_state())

    def followed(
        self, batch: Batch, regime: Regime, build: Callable[..., Follower]
    ) -> Followed[Follower]:
        """One pass that a tracer follows, made by `build` as a regime's `control` is."""
        made: list[Follower] = []

        def control(*arguments: Any, **keywords: Any) -> Follower:
            made.append(build(*arguments, **keywords))
            return made[0]

        before = rng_state()
        out = self.once(batch, replace(regime, control=control))
        return Followed(out, made[0], drawn_from(before, rng_state()))

    @contextmanager
    def trying(self, edit: Edit | None = None, *, seed: int | None = None) -> Iterator[None]:
        """In the block the model computes with an edit's values, and draws begin at a seed.

        Then the model, what its passes have left in it, and all random generators are as before.
        """
        standing_in = (edit or Edit({})).standing_in(self.model)
        with borrowed(self.model), standing_in, self._anew():
            self._look_at_modules()
            if seed is not None:
                seed_all(seed)
            yield

    def _flags(self, regime: Regime) -> Flags:
        if isinstance(regime.mode, str):
            return self.on if regime.mode == "training" else self.off
        return regime.mode

    # A loop over data ----------------------------------------------------------------------

    def batches(
        self, data: Data, max_samples: int | None = None, named: str = "data"
    ) -> Iterator[Batch]:
        """The batches of `data`, checked and where the model is; `named` in errors."""
        taken = batches(
            data,
            self.model,
            forward=self.forward,
            device=self.device,
            max_samples=max_samples,
            may_be_empty=self.ranks.several,
            notes=self.notes,
            named=named,
        )
        # Twice: an interrupt in closing it once would leave no way back.
        self.reading.enter_context(closing(taken))
        return self.reading.enter_context(closing(taken))

    def held(self, data: Data, max_samples: int | None, then: str, named: str = "data") -> Held:
        """All batches of this rank at once, read with a bar; `then` is what comes after."""
        taken = self.batches(data, max_samples, named)
        own = list(self.report.reading(taken, data, max_samples, then))
        counts = self.ranks.gather((len(own), sum(batch.samples for batch in own)))
        if not any(count for count, _ in counts):
            raise DataError(why_empty(data, named))
        return Held(own, sum(count for count, _ in counts), sum(samples for _, samples in counts))

    def example(self, value: Any) -> Batch:
        """One batch, checked and where the model is."""
        return one_batch(value, self.model, forward=self.forward, device=self.device)

    def run(
        self,
        data: Iterable[Batch],
        regimes: Mapping[str, Regime],
        step: Callable[[int, Batch], None] = lambda done, batch: None,
        first: Callable[[Batch | None, bool], None] | None = None,
    ) -> Passed:
        """Every batch once under every regime, in order; how much passed.

        Each batch is fetched once, and let go before the next one. What modules count in plain
        numbers goes on from batch to batch, as in training, and is for one batch the same under
        every regime, and in every run. `first` is called once on every rank, when its first batch
        is through: with that batch (None on a rank without data), and whether it counts.
        """
        samples, done, waiting = 0, 0, first
        self._numbers.put(self._began)
        for batch, counts in self._turns(data):
            reached = self._numbers.now()
            for name, regime in regimes.items():
                self._pass(name, batch, regime if counts else replace(regime, record=()))
                if regime.mode != "evaluation":
                    reached = self._counted
            if counts:
                samples, done = samples + batch.samples, done + 1
                step(done, batch)
            if waiting is not None:
                waiting(batch, counts)
                waiting = None
            self._numbers.put(reached)
        if waiting is not None:
            waiting(None, False)
        for regime in regimes.values():
            self._keep_batches_whole(regime)
        for name, regime in regimes.items():
            if regime.name_draws and self.drew.get(name) and name not in self.draws:
                self._name_draws(name, batch, replace(regime, record=()))
        return self._together(regimes, Passed(samples, done))

    def _turns(self, data: Iterable[Batch]) -> Iterator[tuple[Batch, bool]]:
        """The batches, and whether they count: a sharded model runs as often on every rank."""
        if self.ranks.several and is_sharded(self.model):
            return in_step(data, self.ranks, self.example)
        return ((batch, True) for batch in data)

    def _together(self, regimes: Mapping[str, Regime], own: Passed) -> Passed:
        """All ranks as one: recorders are joined, and what the passes have shown is shared."""
        if not self.ranks.several:
            return own
        passed = self.ranks.gather(own)
        if not any(part.batches for part in passed):
            raise DataError("data gave no batches on any rank: pass at least one")
        for regime in regimes.values():
            for recorder in regime.record:
                recorder.joined(self.ranks.gather(recorder.share()))
        self.drew = _united(self.ranks.gather(self.drew))
        self.draws = _united(self.ranks.gather(self.draws))
        self._by_module.join(self.ranks.gather(self._by_module))
        if any(regime.structure for regime in regimes.values()):
            self._share_structure()
        return Passed(sum(p.samples for p in passed), sum(p.batches for p in passed))

    def _share_structure(self) -> None:
        """That of the first rank that has one, and what its trace says of the sources there."""
        own = None if self.trace is None else (self.structure, self.twice)
        shared = next(each for each in self.ranks.gather(own) if each is not None)
        self._structure, self._twice = shared

    def _pass(self, name: str, batch: Batch, regime: Regime) -> None:
        if name not in self.drew:
            before = rng_state()
            self.once(batch, regime, self.report.draw)
            self.drew[name] = drawn_from(before, rng_state())
        elif regime.name_draws and self.drew[name] and name not in self.draws:
            self._name_draws(name, batch, regime)
        else:
            self.once(batch, regime)

    def drawn_in_both(self, batch: Batch | None) -> frozenset[str]:
        """Names of the sources that evaluation draws from just as training does, on any rank.

        They make the same noise in both modes. One pass more; `batch` is None on a rank without.
        """
        found: set[str] = set()
        if batch is not None and self.trace is not None:
            there = self.followed(batch, Regime("evaluation"), Tracer).tracer
            laws = {source.key: source for source in there.sources}
            for source in self.trace.tracer.sources:
                other = laws.get(source.key)
                if other is not None and source.alike(other):
                    found.add(self.trace.names[source.key])
        return frozenset().union(*self.ranks.gather(found))

    def _name_draws(self, name: str, batch: Batch, regime: Regime) -> None:
        """Run it traced: where the draws of a regime are made."""
        sources = self.followed(batch, regime, Tracer).tracer.sources
        self.draws[name] = tuple(
            f"{source.operation} in {source.path or 'the model'}" for source in sources
        )

    # What it has shown ---------------------------------------------------------------------

    @property
    def structure(self) -> Structure:
        """What the traced pass has shown, without the model: as part of a result."""
        if self._structure is None:
            self._structure = alone(self.provable())
        return self._structure

    @property
    def twice(self) -> frozenset[str]:
        """Names of the sources one draw of which met data more than once in the traced pass."""
        if self._twice is None:
            assert self.trace is not None
            self._twice = self.trace.twice
        return self._twice

    @property
    def names(self) -> Mapping[Key, str] | None:
        """Names of the sources, as `Control` takes them; None where nothing was traced yet.

        On a rank without data nothing ever is.
        """
        return None if self.trace is None else self.trace.names

    @property
    def means(self) -> dict[str, float]:
        """By what each source of the traced pass multiplies on average; NaN where nothing says."""
        if self.trace is None:
            return {}
        return {self.trace.names[each.key]: each.mean for each in self.trace.tracer.sources}

    def provable(self) -> Structure:
        """The same, holding the model so that it can prove its routes."""
        assert self.trace is not None
        first = self.trace
        set_training(self.on)  # what the trace has not met is told by its flags as lent
        return traced(
            self.lent,
            first.tracer,
            first.batch,
            self.forward,
            first.start,
            first.moved,
            first.ahead.notes,
            first.written,
        )

    @property
    def watched(self) -> frozenset[str]:
        """Paths of modules that normalise in their own way: nothing is run in their place."""
        return frozenset(self._by_module.paths)

    @property
    def kept(self) -> frozenset[str]:
        """Of the norms that evaluation ran, those into which nothing is written."""
        return frozenset(self._by_module.own)

    @property
    def by_hand(self) -> tuple[str, ...]:
        """Paths of what holds running statistics and is no norm of torch's by class."""
        norms = (BatchNorm, InstanceNorm)
        return tuple(p for p, each in self._watched.items() if not isinstance(each.module, norms))

    def usual(self, first: Callable[[], Batch | None]) -> tuple[dict[str, nn.Module], set[str]]:
        """Of the norms that are modules in evaluation, those that do there what BatchNorm does.

        And the paths of those that do not. One pass of a few samples, where there are any to ask.
        Ranks of a sharded model would have to make it together: there nothing is asked.
        """
        asked = [p for p, w in self._watched.items() if isinstance(w.module, BatchNorm)]
        batch = first() if asked and not is_sharded(self.model) else None
        if batch is None:
            return {}, set()
        start, before, met = rng_state(), self._by_module, ByModule()
        self._by_module = met
        try:
            self._try(batch, Regime("evaluation", record=(Recorder(),)))
        finally:
            self._by_module = before
            set_rng_state(start)
        found = {path: self._watched[path].module for path in asked if path in met.paths - met.own}
        return found, met.own

    def _try(self, batch: Batch, regime: Regime) -> None:
        """A pass of a few samples, or of all where the model cannot take so few."""
        try:
            self.once(cut(batch, _FEW), regime)
        except ModelError:
            self.once(batch, regime)

    def noted(self, result: R) -> R:
        """A result of this session, once its block is left, with what could not be given back."""
        if not self.notes:
            return result
        kind = NoteKind.NOT_GIVEN_BACK
        return replace(result, notes=(*result.notes, *(Note(each, kind) for each in self.notes)))

    def held_norms(self) -> list[str]:
        """Paths of the modules that are batch norms by class and hold running statistics."""
        return [path for path, handle in norm_handles(self.model).items() if handle.certain]


@contextmanager
def session(
    model: nn.Module,
    *,
    forward: Forward | None = None,
    device: Device = None,
    progress: Progress = None,
    label: str = "",
    after: float = 0.0,
    sync: bool | None = None,
    train: bool = True,
    collect: bool = True,
) -> Iterator[Session]:
    """Borrow the model and run it in the block, on all ranks together.

    With `train` its flags are those of training: as lent, or after `model.train()` if it was lent
    in evaluation mode. Without `collect` Python looks for no reference cycles meanwhile: a trace
    makes many small objects, and each such search goes through all that the process has.
    """
    if forward is not None and not callable(forward):
        raise UsageError(f"forward is {forward!r}; pass a function of (model, batch)")
    lent_training = unwrapped(model).training
    notes: list[str] = []
    ranks = Ranks.of(sync)
    reading = ExitStack()
    # The ranks outermost: what is refused or interrupted anywhere inside is told to the others.
    with (
        ranks.together(),
        borrowed(model, notes) as inner,
        reporter(progress, label, after) as report,
        reading,
        reading,
    ):
        refuse_unreadable(inner)
        if train and not inner.training:
            inner.train()
        _hush()
        if not collect:  # the loan gives it back
            gc.disable()
        yield Session(
            lent=model,
            model=inner,
            forward=forward,
            device=device,
            report=report,
            ranks=ranks,
            lent_training=lent_training,
            notes=notes,
            reading=reading,
        )


def _hush() -> None:
    """No word from activation checkpointing, in every pass, that nothing is differentiated.

    The loan gives the filters back.
    """
    for message in ("None of the inputs have requires_grad", "torch.utils.checkpoint: the use_re"):
        warnings.filterwarnings("ignore", message=message)


def _united(ranks: list[dict[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """By name, what any rank has, each once."""
    names = dict.fromkeys(name for held in ranks for name in held)
    return {
        name: tuple(dict.fromkeys(each for held in ranks for each in held.get(name, ())))
        for name in names
    }
