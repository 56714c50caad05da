"""Correct: running variances less what theory says the noise had put into them, without data.

Straight behind noise, placement (a), v = (V − τc²)/(1 + τ) inverts what is stored. Through weights,
(b), v = V − τN with N from Gaussian moments of the output of the norm before. Means stay: the noise
has mean one. A norm behind it was trained on what the wrong variances let through, so a corrected
network may well be worse (measure it before you keep it).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from varshift._engine import Batch, Edit, Forward, edit_of, norm_handles
from varshift._predict.predicting import predict
from varshift.errors import ModelError
from varshift.results import Expected

__all__ = ["corrected"]


def corrected(
    model: nn.Module, batch: Batch, wanted: Callable[[str], bool], *, forward: Forward | None
) -> tuple[Edit, tuple[str, ...]]:
    """The corrected variances, and notes on the sites that no closed form reaches.

    `batch` is traced for the routes; its values count where they are like the data of training.
    """
    expected = predict(model, example=batch.value, forward=forward)
    handles = norm_handles(model)
    pairs: list[tuple[Tensor, Tensor]] = []
    for path, site in expected.sites.items():
        if site.energies and wanted(path) and path in handles:
            running = handles[path].running_var
            pairs.append((running, _without_noise(running, site)))
    if not pairs:
        raise ModelError("the closed forms apply to none of the running variances")
    hit = {route.norm for route in expected.structure.direct()}
    notes = tuple(f"{path}: {why}" for path, why in expected.skipped.items() if path in hit)
    return edit_of(model, pairs), notes


def _without_noise(running: Tensor, site: Expected) -> Tensor:
    """The signal's variance; a channel that noise alone would account for keeps what it has."""
    stored = running.detach().double().cpu()
    kept = torch.where(site.signal > 0, site.signal, stored)
    return kept.to(running.device)
