"""Prediction from a checkpoint alone: one example, stored statistics, weights, γ and β."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from varshift._engine import Regime, Session
from varshift._predict.believing import BlindLedger
from varshift._predict.checkpoint import HOMELESS, Checkpoint
from varshift._predict.ledgers import Ledgers
from varshift._predict.setting import Setting, refuse_nothing
from varshift.results import Prediction, Structure

__all__ = ["blind_prediction"]


def blind_prediction(
    run: Session,
    example: Any,
    noise: Mapping[str, Any] | None,
    moved: Mapping[str, str] | None,
) -> Prediction:
    """What the stored statistics and the weights say.

    One pass. One more under other noise: the stored statistics first give the signal under the
    noise they were made with. And one more where the model draws what decides its way, which only
    a finished pass has shown.
    """
    batch = run.example(example)

    def passed(books: Checkpoint, setting: Setting) -> Checkpoint:
        names = None if run.trace is None else run.trace.names
        ledgers = Ledgers(partial(BlindLedger, books=books), setting, names)
        books.ledger = lambda: ledgers.now
        regime = Regime(
            "training",
            record=(books,),
            control=ledgers,
            insert=ledgers.plants(),
            structure=True,
        )
        run.once(batch, regime, run.report.draw)
        return books

    found = passed(Checkpoint.of(run.model), Setting())
    if run.trace is not None and run.trace.ahead.kept:  # only a finished pass shows masks kept
        found = passed(Checkpoint.of(run.model), Setting())
    structure = run.structure
    refuse_nothing(structure)
    setting = Setting.of(structure, noise, moved, run.model)
    again = partial(_again, found, structure)
    wild = any(source.active and source.law == "control-flow" for source in structure.noises)
    done, passes = 1, 1 + wild + (not setting.as_it_is)
    run.report.tell(done, passes)
    if wild:
        run.report.begin("predicting module by module")
        found = passed(again(wild=True), Setting())
        done += 1
        run.report.tell(done, passes)
    if not setting.as_it_is:
        run.report.begin("predicting module by module")
        known = {path: site.signal for path, site in found.sites.items()}
        found = passed(again(known=known, wild=wild, anywhere=bool(setting.plants)), setting)
        run.report.tell(passes, passes)
    return _made(structure, setting, found)


def _again(
    first: Checkpoint,
    structure: Structure,
    *,
    known: Mapping[str, Any] | None = None,
    wild: bool = False,
    anywhere: bool = False,
) -> Checkpoint:
    """The same with routes that are known; `anywhere`: noise stands where the model has none."""
    handles = first.handles
    through = {route.norm for route in structure.routes} | set(handles if anywhere else ())
    carried = {route.norm for route in structure.routes if "through-norm" in route.placements}
    return Checkpoint(handles, known, wild, through=through, carried=carried)


def _made(structure: Structure, setting: Setting, found: Checkpoint) -> Prediction:
    homeless = [
        norm.path
        for norm in structure.norms
        if norm.calls and norm.path not in found.sites and norm.path not in found.skipped
    ]
    return Prediction(
        sites=found.sites,
        structure=structure,
        asked=setting.taus,
        samples=0,
        skipped={**found.skipped, **dict.fromkeys(homeless, HOMELESS)},
        notes=(
            *structure.notes,
            *setting.notes,
            "made without data: stored statistics are taken for those of training, and what the "
            "norms hand on for Gaussian",
        ),
    )
