"""The verb: what noise would make the norms receive what they store?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import nn

from varshift._engine import Data, Forward, Progress, session, subject_of
from varshift._footprint.memory import Momentum, check_momentum
from varshift._footprint.places import check_places
from varshift._footprint.reading import read
from varshift.errors import UsageError
from varshift.results import Footprint

__all__ = ["footprint"]

_KINDS = ("training", "similar")


def footprint(
    model: nn.Module,
    batches: Data | None = None,
    /,
    *,
    data: Data | Literal["training", "similar"] = "training",
    places: Iterable[str] | None = None,
    momentum: Momentum = None,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    progress: Progress = None,
) -> Footprint:
    """Read from a checkpoint's own statistics the dropout it was trained with, and where it stood.

    `running_var` averages variances that were taken with noise on: V = v + τ·N. Noise of the
    current τ is put in at the inputs of modules, in training mode, and each τ moves until the
    variances the norms receive are those they store; N is found by putting in a little more, so
    activations, pools, reshapes and sums may lie between. Of all places whose noise a norm meets
    first, those are taken whose pattern over its channels is the one stored. Dropout modules still
    in the model are silenced: the hypothesis replaces them.

    Args:
        model: any module with BatchNorm layers that tracked statistics in training.
        batches: training data, transformed and batched as in training: an iterable of batches
            (tensor; tuple or list whose first item is the input; dict passed as keywords), or a
            callable that returns one. At least 4 batches, better 20 and more; they are kept.
        data: what they are. "training", or "similar": data like those of training and not the same.
            Then each norm's variance may be larger or smaller as a whole, and the pattern over its
            channels alone is evidence. (`footprint(model, data=batches)` is understood too.)
        places: paths of modules on whose inputs noise may have stood. By default weights, norms,
            pools and dropout modules are tried.
        momentum: of the norms in training, where a file has lost it: torch's, the weight of the new
            batch, which is 1 minus that of Keras and TensorFlow; or "unknown", and the scatter of
            channels tells, in a wider interval, how long they remember.
        forward: `lambda model, batch: …` for batches of any other form.
        device: where to put batches; by default where the model is.
        max_samples: stop after so many samples.
        progress: True for a bar, or a callable `(passes done, passes at most)`.

    Returns:
        A `Footprint`: `f.sites[path]` holds `drop_p` with its 95 % interval, the `place` where the
        noise is taken to have stood, `tau`, the `p_value` of no noise at all and whether noise is
        `claimed`; `f.places` the same by place; `f.skipped` the norms not judged.

    Raises:
        UsageError: `places` names what is no place, or reaches no norm; `momentum` or `data` is
            none of what they may be.
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
        >>> site.place, site.claimed, abs(site.drop_p - 0.3) < 0.02
        ('0', True, True)
    """
    given, free = _told(batches, data)
    check_momentum(momentum)
    with session(model, forward=forward, device=device, progress=progress) as run:
        asked = check_places(run.model, places)
        held = run.held(given, max_samples, then="finding where noise may stand")
        result = read(run, held, asked, momentum, free)
        result = replace(result, subject=subject_of(model))
    return run.noted(result)


def _told(batches: Data | None, data: Any) -> tuple[Data, bool]:
    """The batches, and whether they are only similar to those of training."""
    if isinstance(data, str):
        if data not in _KINDS:
            raise UsageError(
                f'data is the text {data!r}; it says what the batches are, "training" or "similar"'
            )
        if batches is None:
            raise UsageError("no batches were passed: footprint(model, batches)")
        return batches, data == "similar"
    if batches is not None:
        raise UsageError(
            'batches were passed twice; data= beside them says what they are, "training" or '
            '"similar"'
        )
    return data, False
