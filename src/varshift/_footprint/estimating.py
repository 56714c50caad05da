"""The verb: what noise would make the norms receive what they store?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import nn

from varshift._engine import Data, Forward, Progress, session, subject_of, walk
from varshift._footprint.hypotheses import Hypothesis, check_places, feeds, hypotheses
from varshift._footprint.settling import MOST_PASSES, Settling
from varshift._footprint.silence import silence
from varshift.errors import DataError
from varshift.results import Footprint

__all__ = ["footprint"]

_LEAST_BATCHES = 4
_AT_MOST = f"at most {MOST_PASSES} passes"
# On trained nets the right hypothesis had misfits up to 1.4, the wrong one from 1.3 up and three
# times the right one's and more: so much better a second one must fit to replace the first.
_ODD, _CLEARLY = 1.5, 3.0


def footprint(
    model: nn.Module,
    data: Data,
    *,
    places: Iterable[str] | None = None,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    progress: Progress = None,
) -> Footprint:
    """Read from a checkpoint's own statistics the dropout it was trained with.

    `running_var` averages variances that were taken with noise on: V = v + τ·N. Noise of the
    current τ is put in at every place, in training mode, and each τ moves until the variances the
    norms receive are those they store; noise that comes through earlier norms is so accounted for.
    Dropout modules still in the model are silenced: the hypothesis replaces them.

    Args:
        model: any module with BatchNorm layers that tracked statistics in training.
        data: training data, transformed and batched as in training: an iterable of batches
            (tensor; tuple or list whose first item is the input; dict passed as keywords), or a
            callable that returns one. At least 4 batches, better 20 and more; they are kept.
        places: paths of modules. A convolution or linear layer: element dropout may have stood on
            its input. A BatchNorm: straight before it. By default every convolution or linear
            layer whose output goes straight into a norm, and where that fits badly the norm itself.
        forward: `lambda model, batch: …` for batches of any other form.
        device: where to put batches; by default where the model is.
        max_samples: stop after so many samples.
        progress: True for a bar, or a callable `(passes done, passes at most)`; where noise before
            the norms is asked for as well, it counts anew.

    Returns:
        A `Footprint`: `f.sites[path]` holds `drop_p` with its 95 % interval, `tau`, the `p_value`
        of no noise at all and whether noise is `claimed`; `f.skipped` the norms not judged.

    Raises:
        UsageError: `places` names what is no place, or two places for one norm.
        ModelError: nothing to judge, or the model raised or overflowed; the message says where.
        DataError: too few batches, an unknown form, NaN or infinity in a batch (named by index).

    Example:
        >>> import torch, varshift as vs
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.BatchNorm1d(64))
        >>> model[1].momentum = None  # average all batches
        >>> data = torch.randn(4000, 20).relu().split(100)
        >>> for batch in data:
        ...     _ = model(torch.nn.functional.dropout(batch, 0.3))
        >>> site = vs.footprint(model, data).sites["1"]
        >>> site.claimed, abs(site.drop_p - 0.3) < 0.02
        (True, True)
    """
    with session(model, forward=forward, device=device, progress=progress) as run:
        asked = check_places(run.model, places)
        held = run.held(data, max_samples, then="finding where noise may stand")
        if held.batches < _LEAST_BATCHES:
            raise DataError(
                f"data gave {held.batches} batches, and their scatter is what the error is told "
                f"from; pass at least {_LEAST_BATCHES}, of the size used in training"
            )
        first = next(iter(held.own), None)
        flags, notes = silence(run, first)
        ways = run.ranks.gather(None if first is None else feeds(run, first, flags))
        found, skipped = hypotheses(run.model, next(w for w in ways if w is not None), asked)
        run.report.begin(f"fitting the noise, {_AT_MOST}")
        fitting = Settling(
            session=run,
            flags=flags,
            data=held.own,
            batches=held.batches,
            samples=held.samples,
            hypotheses=found,
            skipped=skipped,
            notes=notes,
        )
        fitting.settle(run.report)
        if asked is None:
            fitting = _in_turn(fitting)
        result = replace(fitting.result(), subject=subject_of(model))
    return run.noted(result)


def _in_turn(run: Settling) -> Settling:
    """Where the channels agree on no noise before the weights, ask for noise before the norm.

    The better fit is kept, site by site; sites that fit well are not asked again.
    """
    report, modules = run.session.report, dict(walk(run.session.model))
    odd = {one.path for one in run.hypotheses if run.fits[one.path].misfit > _ODD}
    if not odd:
        return run

    def again(direct: set[str]) -> Settling:
        chosen = [
            Hypothesis(one.path, one.path, "a", modules[one.path]) if one.path in direct else one
            for one in run.hypotheses
        ]
        other = replace(
            run,
            hypotheses=chosen,
            skipped=dict(run.skipped),
            notes=[*run.notes],
            fits={},
            passes=0,
        )
        report.begin(f"fitting noise before the norms, {_AT_MOST}")
        other.settle(report)
        return other

    other = again(odd)
    better = {
        path
        for path in odd & set(other.fits)
        if other.fits[path].misfit < run.fits[path].misfit / _CLEARLY
    }
    if not better:
        return run
    return other if better == odd else again(better)
