"""Recalibration tried on held-out samples, and taken back: what it changes, with an interval."""

from __future__ import annotations

from dataclasses import replace

from varshift._engine import Data, Held, Session
from varshift._repair.readying import an_example, ready, refuse_sharded
from varshift._repair.split import split_of
from varshift.judging import Judge
from varshift.results import Candidate, Diagnosis, Score

__all__ = ["with_trial"]

_METHOD = "recalibrate"


def with_trial(
    found: Diagnosis, run: Session, held: Held, held_out: Data, judge: Judge
) -> Diagnosis:
    """The diagnosis with what recalibration measurably changes, judged as `repair` judges."""
    before, candidate = _tried(run, held, held_out, judge)
    steps = (
        replace(step, measured=candidate) if step.kind == _METHOD else step for step in found.advice
    )
    return replace(found, held_out=before, advice=tuple(steps))


def _tried(run: Session, held: Held, held_out: Data, judge: Judge) -> tuple[Score, Candidate]:
    """What the model scores as lent, and the candidate. None is kept."""
    refuse_sharded(run)
    theirs = run.held(held_out, judge.max_held_out, then="judging", named="held_out").own
    split = split_of(run, held.own, theirs)
    trials = ready(
        run,
        split,
        an_example(run, split),
        (_METHOD,),
        judge,
        into="affine",
        seed=0,
        include_frozen=False,
        max_bytes=None,
    )
    outcome = trials.outcome((_METHOD,))
    return outcome.before, outcome.candidates[0]
