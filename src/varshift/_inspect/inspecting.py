"""The verb: one traced training pass becomes a Structure."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from varshift._engine import Forward, Progress, Regime, session
from varshift.results import Structure

__all__ = ["inspect"]


def inspect(
    model: nn.Module,
    example: Any,
    *,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    progress: Progress = None,
) -> Structure:
    """Find the noise sources, the norm sites and the routes between them in one training pass.

    The model runs once, without gradients, as in training: lent in train mode it keeps every flag
    (a frozen BatchNorm stays frozen); lent in eval mode it is switched by `model.train()`. It
    comes back as it was.

    Args:
        model: any module; compiled and DDP-wrapped ones are looked into.
        example: one batch: a tensor, a tuple or list whose first item is the input, or a dict
            passed as keywords. Two samples are enough.
        forward: `lambda model, batch: …` for anything else.
        device: where to put the example; by default where the model is.
        progress: True for a bar of the modules run, seen after two seconds, or a callable
            `(passes done, passes in all)`.

    Returns:
        A `Structure`: `noises`, `norms`, `routes`, and `notes` on what could not be followed.

    Raises:
        ModelError: the model raised; the message says in which module.
        DataError: the example is of no known form, or holds NaN or infinity.

    Example:
        >>> import torch, varshift as vs
        >>> model = torch.nn.Sequential(
        ...     torch.nn.Dropout(0.5), torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4)
        ... )
        >>> s = vs.inspect(model, torch.randn(2, 8))
        >>> [(r.noise, r.norm, r.placement) for r in s.routes]
        [('0', '2', 'b')]
        >>> bool(s.prove(s.routes[0]))
        True
    """
    with session(
        model,
        forward=forward,
        device=device,
        progress=progress,
        label="tracing modules",
        after=2,
        collect=False,
    ) as run:
        # Only drawn: a callback must neither run nor raise inside the pass that is traced.
        run.once(run.example(example), Regime("training", structure=True), run.report.draw)
        run.report.tell(1, 1)
        structure = run.provable()
    return run.noted(structure)
