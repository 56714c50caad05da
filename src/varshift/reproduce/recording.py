"""One trained network becomes one record: all that tables, plots and verdicts are made from."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Iterator
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from varshift._footprint.estimating import footprint
from varshift._version import __version__
from varshift.errors import ModelError
from varshift.reproduce.images import Pixels, crop_and_flip
from varshift.reproduce.measures import (
    METHODS,
    Pair,
    filter_records,
    repair_records,
    score,
    site_records,
    train_score,
)
from varshift.reproduce.nets import Placing
from varshift.reproduce.precision import autocast
from varshift.reproduce.run import Run
from varshift.reproduce.scales import Budget
from varshift.reproduce.training import Trained
from varshift.theory import tau_of, tau_of_beta

__all__ = ["SCHEMA", "failure_of", "record_of", "tau_of_placing"]

SCHEMA = "varshift.reproduce.run/1"


def tau_of_placing(placing: Placing) -> float:
    """Relative variance τ of the noise a network carries.

    >>> tau_of_placing(Placing("a", "dropout", 0.5))
    1.0
    """
    return tau_of_beta(placing.amount) if placing.kind == "uout" else tau_of(placing.amount)


def record_of(
    run: Run,
    trained: Trained,
    images: Pixels,
    budget: Budget,
    images_per_second: dict[str, float] | None = None,
) -> dict[str, Any]:
    """Everything measured on the trained network of one run, in float32, JSON-ready.

    `images_per_second` is of the trial that chose its number format. Equal weights give an equal
    record, but for `provenance` and the `seconds` of repairs.
    """
    began, net = time.time(), trained.net
    test = _batches(images.normalised(images.test), images.test_labels)
    pairs = list(_train(run, images, budget.train))
    long = [batch for batch, _ in pairs]
    size = run.recipe.batch_size
    short = long[: max(2, budget.shift // size)]
    read = long[: max(4, budget.footprint // size)] if budget.footprint else []
    with torch.random.fork_rng(), autocast("fp32", str(images.train.device)):
        torch.manual_seed(run.dice("measure"))
        told: dict[str, Any] = {
            "schema": SCHEMA,
            "id": run.id,
            "label": run.label,
            "run": run.to_dict(),
            "parameters": sum(weight.numel() for weight in net.parameters()),
            "norms": sum(isinstance(module, nn.BatchNorm2d) for module in net.modules()),
            "precision": trained.precision,
            "images_seen": run.recipe.steps(len(images.train)) * run.recipe.batch_size,
            "losses": trained.losses,
            "curve": trained.curve,
            "test": score(net, test),
            "train": {
                "noise on": train_score(net, pairs, seed=run.dice("noise on")),
                "evaluation": score(net, pairs),
            },
            "sites": site_records(net, short, tau=tau_of_placing(run.placing), long=long),
            "filters": filter_records(net),
            "footprint": _footprint(net, read),
        }
        if methods := _methods(run):
            told["repairs"] = repair_records(
                net,
                calibration=_plain(images, budget.repair),
                test=test,
                methods=methods,
                passes=budget.noisy,
                seed=run.dice("repair") % 2**31,
            )
    provenance = _provenance(images, began)
    if images_per_second:
        provenance["images_per_second"] = {k: round(v, 1) for k, v in images_per_second.items()}
    return {**rounded(told), "run": run.to_dict(), "provenance": provenance}


def _methods(run: Run) -> tuple[str, ...]:
    """Every repair for the networks of Table 3, the cheapest for the other noisy ones."""
    if run.placing.place not in ("a", "b"):
        return ()
    tabled = run.placing.kind == "dropout" and run.placing.amount == 0.5
    return METHODS if tabled else ("recalibrate",)


def failure_of(run: Run, error: ModelError, images: Pixels) -> dict[str, Any]:
    """In place of a record: the run, and why there is none."""
    told = {"schema": SCHEMA, "id": run.id, "label": run.label, "run": run.to_dict()}
    return {**told, "failed": str(error), "provenance": _provenance(images, time.time())}


def _batches(images: Tensor, labels: Tensor, size: int = 500) -> list[Pair]:
    return list(zip(images.split(size), labels.split(size), strict=True))


def _train(run: Run, images: Pixels, count: int) -> Iterator[Pair]:
    """Augmented training images, as training saw them; the same ones for every run of a seed."""
    dice, size = torch.Generator().manual_seed(run.dice("which")), run.recipe.batch_size
    chosen = torch.randperm(len(images.train), generator=dice)[:count]
    for number, part in enumerate(chosen.split(size)):
        if len(part) < size and number:
            return  # a ragged batch would give its variance the weight of a whole one
        batch = crop_and_flip(
            images.normalised(images.train[part]),
            pad=run.recipe.pad,
            flip=run.recipe.flip,
            seed=run.dice("view", number),
        )
        yield batch, images.train_labels[part]


def _plain(images: Pixels, count: int) -> list[Pair]:
    return _batches(images.normalised(images.train[:count]), images.train_labels[:count], 128)


def _footprint(net: nn.Module, batches: list[Tensor]) -> dict[str, Any]:
    """What the checkpoint alone remembers of the noise: per site its drop_p and whether claimed."""
    if not batches:
        return {"passes": 0, "sites": [], "reason": "not asked for"}
    try:
        found = footprint(net, batches)
    except ModelError as error:  # so short a training that its statistics tell nothing yet
        return {"passes": 0, "sites": [], "reason": str(error)}
    return {
        "passes": found.passes,
        "sites": [
            {
                "path": path,
                "placement": site.placement,
                "drop_p": site.drop_p,
                "low": site.low,
                "high": site.high,
                "claimed": site.claimed,
            }
            for path, site in found.sites.items()
        ],
    }


def rounded(told: Any) -> Any:
    """Floats to seven digits: what float32 carries, and half the size on disk."""
    if isinstance(told, float):
        return float(f"{told:.7g}") if math.isfinite(told) else None
    if isinstance(told, dict):
        return {name: rounded(value) for name, value in told.items()}
    if isinstance(told, list | tuple):
        return [rounded(value) for value in told]
    return told


def _provenance(images: Pixels, began: float) -> dict[str, Any]:
    return {
        "data": images.name,
        "sha256": images.sha256,
        "train_images": len(images.train),
        "test_images": len(images.test),
        "varshift": __version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "measuring_seconds": round(time.time() - began, 1),
    }
