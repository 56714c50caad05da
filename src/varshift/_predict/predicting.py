"""The verb: theory applied to a model's own weights and, if given, its own data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from varshift._engine import Data, Forward, Progress, session
from varshift._predict.blind import blind_prediction
from varshift._predict.seen import prediction_on
from varshift.errors import UsageError
from varshift.results import Prediction

__all__ = ["predict"]


def predict(
    model: nn.Module,
    data: Data | None = None,
    *,
    example: Any = None,
    noise: Mapping[str, Any] | None = None,
    moved: Mapping[str, str] | None = None,
    width: float | None = None,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    progress: Progress = None,
) -> Prediction:
    """Predict the shift at every norm, as the model is or under other noise, the weights fixed.

    With data, each batch passes once with noise on and once in evaluation mode. Noise that reaches
    a norm directly is integrated out by the closed forms (exact for element, channel and sample
    sharing); only what passes through another norm is drawn. With `noise` or `moved` the first
    batch passes once more, before all others, and the batches are held in memory. Without data,
    `example` passes once (once more for `noise` or `moved`), and the stored statistics, the
    weights and Gaussian moments do the rest.

    Args:
        model: any module with BatchNorm layers.
        data: batches as in `measure`; None predicts from the checkpoint alone.
        example: one batch to trace, needed where `data` is None.
        noise: what each source is to draw: `{glob: drop_p}`, or a noise layer, or a law of
            `varshift.theory` such as `uout(0.2)`. Globs match names and module paths.
        moved: `{source: module path}`: the source's noise stands before that module instead.
        width: predict a network this many times as wide, cos²θ of the filters as it is now.
        forward: `lambda model, batch: …` for batches of any other form.
        device: where to put batches; by default where the model is.
        max_samples: stop after so many samples.
        progress: True for a bar, or a callable `(batches done, batches in all or None)`; without
            data `(passes done, passes in all)`.

    Returns:
        A `Prediction`: `f.sites[path].shift` with its band, and `f.max_drop_p(…)`.

    Raises:
        UsageError: no source or module of that name, or neither data nor an example.
        ModelError, DataError: as in `measure`.

    Example:
        >>> import torch, varshift as vs
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(4))
        >>> data = [torch.randn(512, 4) for _ in range(4)]
        >>> f = vs.predict(model, data, noise={"0": 0.2})
        >>> round(f.sites["1"].shift, 2)      # mean 0: Δ = keep_p
        0.8
    """
    if data is None and example is None:
        raise UsageError("give data=, or example= (one batch to trace) to predict without data")
    for name, given, like in (("noise", noise, "{'*': 0.2}"), ("moved", moved, "{'drop': 'head'}")):
        if given is not None and not isinstance(given, Mapping):
            raise UsageError(f"{name} is {given!r}; pass a mapping by source, as in {like}")
    if data is None and width is not None:
        raise UsageError("width= needs data: how inputs correlate is not in a checkpoint")
    with session(
        model,
        forward=forward,
        device=device,
        progress=progress,
        label="tracing modules",
        after=2 if data is None else 0,  # seconds in which most predictions without data are made
    ) as run:
        if data is None:
            found = blind_prediction(run, example, noise, moved)
        else:
            found = prediction_on(run, data, max_samples, noise, moved)
    return run.noted(found if width is None else found.wider(width))
