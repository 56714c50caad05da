"""The verb: five ways of running the same batches, and what to do about what they show."""

from __future__ import annotations

import torch
from torch import nn

from varshift._diagnose.lines import origins_of
from varshift._diagnose.looking import look
from varshift._diagnose.telling import told
from varshift._diagnose.trial import with_trial
from varshift._engine import Data, Forward, Progress, session
from varshift.judging import Judge
from varshift.results import Diagnosis

__all__ = ["diagnose"]


def diagnose(
    model: nn.Module,
    data: Data,
    test_data: Data | None = None,
    held_out: Data | None = None,
    *,
    judge: Judge | None = None,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    progress: Progress = None,
) -> Diagnosis:
    """Say whether anything is wrong, how bad, where, whose doing it is, and what to do about it.

    The front door: what `explain`, `measure` and `check` say of a trained model, from one trip over
    its data. Each batch passes at most five times: the four ways of `explain`, and evaluation with
    the statistics that training would settle on, which rates and places of noise are judged by. The
    batches are kept in memory: `max_samples` bounds them. A batch of `test_data` passes once. Only
    the first batch may pass more often, as in `explain`. Nothing is written: the model comes back
    as it was, and `repair` is the verb that changes it.

    Args:
        model: any module. Without BatchNorm only its outputs are diagnosed.
        data: training batches, in the batch size of training; forms as in `measure`.
        test_data: batches of the data the model is evaluated on, for the cause "data".
        held_out: batches to judge by, with labels or without, none of them in `data`: where the
            advice is to recalibrate, that is tried on them, measured against the model as lent, and
            taken back. It costs one pass in lock step over `data`, and two over `held_out`.
        judge: how that is judged, as in `repair`.
        forward: `lambda model, batch: …` for batches of any other form.
        device: where to put batches; by default where the model is.
        max_samples: stop after so many samples (of each data set).
        progress: True for a bar, or a callable `(batches done, batches in all or None)`.

    Returns:
        A `Diagnosis`: `d.verdict`, `d.grade`, `d.worst`, `d.causes`, `d.advice`, `d.unseen`, and
        the three results behind them.

    Raises:
        ModelError: the model raised or overflowed; the message says where.
        DataError: no batches, an unknown form, NaN or infinity in a batch (named by index); labels
            of `held_out` that do not fit, or fewer than 20 samples of it.

    Example:
        >>> import torch, varshift as vs
        >>> _ = torch.manual_seed(0)
        >>> norm = torch.nn.BatchNorm1d(4, momentum=None)
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), norm)
        >>> data = [torch.randn(256, 4) for _ in range(16)]
        >>> _ = [model(batch) for batch in data]
        >>> d = vs.diagnose(model, data)
        >>> d.verdict, [step.kind for step in d.advice]
        ('noise', ['recalibrate', 'relocate', 'lower-rate'])
        >>> first, second, third = d.advice
        >>> third.line, round(third.after, 1)     # mean 0: 1/Δ = 1/keep_p
        ("vs.replace(model, example, {'0': 0.2})", 1.2)
    """
    with session(model, forward=forward, device=device, progress=progress) as run:
        looked = look(run, data, test_data, max_samples)
        origins = origins_of(run.model, run.structure)
        tested, judged = test_data is not None, held_out is not None
        found = told(looked, origins, tested=tested, judged=judged)
        if held_out is not None and any(step.kind == "recalibrate" for step in found.advice):
            found = with_trial(found, run, looked.held, held_out, judge or Judge())
    return run.noted(found)
