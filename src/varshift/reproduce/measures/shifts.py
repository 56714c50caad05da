"""The shift at every norm, as the paper measures it and as this project does, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine import NormCall, channel_moments
from varshift._engine.borrow.model import borrowed
from varshift._engine.tap import Tap
from varshift._measure.measuring import measure
from varshift.results import Site, Structure
from varshift.theory import dropout_ratio

__all__ = ["paper_means", "site_records"]

MOMENTUM = 0.1
LEVELS = (0.0, 0.1, 0.5, 0.9, 1.0)
CLEAR = 3.0  # standard errors of one channel's Δ that make it a shift and not its noise


def paper_means(net: nn.Module, batches: Sequence[Tensor]) -> dict[str, tuple[float, float]]:
    """Per norm, the means over channels of `real_var` and of `moving_var`.

    The paper's procedure: parameters and statistics fixed, evaluation mode, augmented training
    images; `real_var` is the moving average, momentum 0.1, of unbiased batch variances. The paper
    prints max(r, 1/r) of their ratio, which hides the direction. [li2019disharmony]
    """
    stored: dict[str, Tensor] = {}
    real: dict[str, Tensor] = {}

    def meet(call: NormCall) -> None:
        site, x = call.handle, call.x
        now = channel_moments(x).var()
        stored.setdefault(site.path, site.running_var.detach().double())
        before = real.get(site.path, stored[site.path])
        real[site.path] = before.lerp(now.to(before.device), MOMENTUM)

    with borrowed(net), torch.no_grad():
        net.eval()
        with Tap(net, meet):
            for batch in batches:
                net(batch)
    return {path: (float(real[path].mean()), float(stored[path].mean())) for path in real}


def site_records(
    net: nn.Module, batches: Sequence[Tensor], *, tau: float, long: Sequence[Tensor]
) -> list[dict[str, Any]]:
    """One record per norm, in the order of the data.

    `batches` are measured by this project in both modes; `long` by the paper's procedure, whose
    moving average wants many. `tau` is the relative variance of the noise the network carries.
    """
    found = measure(net, batches)
    means = paper_means(net, long)
    return [
        {"path": path} | _as_paper(*means[path]) | _record(site, found.structure, tau)
        for path, site in found.sites.items()
    ]


def _as_paper(real: float, moving: float) -> dict[str, float]:
    return {"real": real, "moving": moving, "paper": real / moving if moving else math.nan}


def _record(site: Site, structure: Structure, tau: float) -> dict[str, Any]:
    live = site.delta[site.live] if site.live.any() else torch.full((1,), math.nan)
    error = site.delta_se[site.live]
    placements = {route.placement for route in structure.behind(site.path)}
    hit = "a" in placements
    told: dict[str, Any] = {
        "channels": len(site.delta),
        "live": int(site.live.sum()),
        "placements": sorted(placements),
        "shift": site.shift,
        "shift_se": site.shift_se,
        "severity": site.severity,
        "floor": float((CLEAR * error).median()),
        "levels": torch.quantile(live, torch.tensor(LEVELS, dtype=live.dtype)).tolist(),
        "below": int((live + CLEAR * error < 1).sum()),
        "above": int((live - CLEAR * error > 1).sum()),
        "ours_as_paper": site.paper,
    }
    if hit:
        law = dropout_ratio(site.test.mean, site.test.var, tau)[site.live]
        told |= {
            "theory": float(law.median()),
            "theory_without_mean": 1 / (1 + tau),
            "misfit": float((live.log() - law.log()).abs().median()),
            "misfit_without_mean": float((live.log() + math.log1p(tau)).abs().median()),
        }
    return told
