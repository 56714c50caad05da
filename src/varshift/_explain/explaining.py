"""The verb: four ways of running the same batches, and what they say together."""

from __future__ import annotations

import torch
from torch import nn

from varshift._engine import Data, Forward, Progress, session
from varshift._explain.explained import explained
from varshift._explain.lanes import Lanes
from varshift.results import Explanation

__all__ = ["explain"]


def explain(
    model: nn.Module,
    data: Data,
    *,
    test_data: Data | None = None,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    progress: Progress = None,
) -> Explanation:
    """Say whose fault the gap between training and test is, how much, and from which line of code.

    Each batch passes four times: as in training; as in evaluation; with noise off while every norm
    uses the statistics of training; and so again with each sample carrying its own subset of the
    noise sources. The last two wait for the statistics of all training batches, so the batches are
    kept in memory: `max_samples` bounds them. Each batch of `test_data` passes once and is let go.
    The model comes back as it was.

    There are more passes only where samples act on each other, or noise cannot be silenced: two of
    the first batch to find that out, and its blame pass once more; and where there are fewer
    samples (or batches, where whole ones carry the sources) than subsets of sources.

    Args:
        model: any module. Without BatchNorm only its outputs are explained.
        data: training batches, in the batch size of training; forms as in `measure`.
        test_data: batches of the data the model is evaluated on, for the factor `data`.
        forward: `lambda model, batch: …` for batches of any other form.
        device: where to put batches; by default where the model is.
        max_samples: stop after so many samples (of each data set).
        progress: True for a bar, or a callable `(batches done, batches in all or None)`.

    Returns:
        An `Explanation`: `x.verdict`, `x.factors[path]`, `x.blame[noise, path]`, `x.outputs`.

    Raises:
        ModelError: the model raised or overflowed; the message says where.
        DataError: no batches, an unknown form, NaN or infinity in a batch (named by index).

    Example:
        >>> import torch, varshift as vs
        >>> _ = torch.manual_seed(0)
        >>> norm = torch.nn.BatchNorm1d(4, momentum=None)
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), norm)
        >>> data = [torch.randn(256, 4) for _ in range(16)]
        >>> _ = [model(batch) for batch in data]
        >>> x = vs.explain(model, data)
        >>> x.verdict, round(x.blame["0", "1"], 1)  # half of the variance is dropout's
        ('noise', 0.5)
    """
    with session(model, forward=forward, device=device, progress=progress) as run:
        held = run.held(data, max_samples, then="tracing modules")
        found = explained(run, held, Lanes(), test_data, max_samples)
    return run.noted(found)
