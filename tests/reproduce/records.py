"""Made-up records of a world in which the paper is right, or is wrong in one respect."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from varshift.reproduce.nets import FAMILIES, Placing, Shape, beta_like
from varshift.reproduce.recipe import PAPER_RECIPES
from varshift.reproduce.run import Images, Run
from varshift.theory import tau_of_beta

NONE = Placing()
A, B = Placing("a", "dropout", 0.5), Placing("b", "dropout", 0.5)
MATCHED = (
    Placing("b", "dropout", 0.25),
    Placing("b", "gaussian", 0.25),
    Placing("b", "uout", beta_like(0.25)),
)
PLACINGS = (
    *(NONE, A, B),
    *(Placing(place, "dropout", rate) for place in ("a", "b") for rate in (0.3, 0.7)),
    Placing("last", "dropout", 0.5),
    Placing("b", "uout", 0.5),
    *MATCHED,
)
USUAL, WIDE = 4, 8
Change = Callable[[SimpleNamespace], None]
REACH = {"none": 0.0, "a": 1.0, "b": 0.1, "last": 0.0}


def truth(family: str, placing: Placing, seed: int, width: int) -> SimpleNamespace:
    """What is so where every claim holds; `strength` is how much noise reaches the norms."""
    amount = placing.amount
    if placing.kind == "uout":
        tau = tau_of_beta(amount)
        amount = tau / (1 + tau)
    strength = REACH[placing.place] * amount * USUAL / width
    jitter = 1 + 0.01 * seed
    return SimpleNamespace(
        **{"family": family, "placing": placing, "seed": seed, "width": width},
        error=0.05 + 0.1 * strength * jitter,
        adjusted=0.05 + 0.04 * strength * jitter,
        noise_on=0.02,
        evaluation=0.02 + 0.05 * strength * jitter,
        ratio=1 + strength * jitter,  # at the norms that are not hit, on average
        growth=0.5 * strength * jitter,  # of the ratio, from the first norm to the last
        hit=1 / (1 - amount) * jitter,  # train over test variance at the norms that are
        misfits=(0.05, 0.2),  # of the law with its mean's term, and without
        d_cos2=3.0 * jitter,
        d_growth=0.02 * jitter,
    )


def record(it: SimpleNamespace, images: str = "cifar10") -> dict[str, Any]:
    """One record with what tables and claims read, and nothing else."""
    groups = 2 if it.family == "ResNeXt" else 1
    shape = Shape(it.family, 1, it.width, groups)
    run = Run(shape, it.placing, Images(images, 16), PAPER_RECIPES[it.family].shrunk(2), it.seed)
    told = {
        "id": run.id,
        "label": run.label,
        "run": run.to_dict(),
        "parameters": 12345,
        "norms": 5,
        "images_seen": 1000,
        "losses": [2.0, 1.0],
        "curve": [],
        "test": {"error": it.error},
        "train": {
            "noise on": {"error": it.noise_on},
            "evaluation": {"error": it.evaluation},
        },
        "sites": _sites(it),
        "filters": [_filter("stem", 3, 27, 9.0)]
        + [
            _filter(f"blocks.{k}.conv2", 3, d, it.d_cos2 + it.d_growth * (d - 72))
            for k, d in enumerate((36, 72, 108))
        ]
        + [_filter("blocks.0.shortcut", 1, 16, 1.0)],
        "footprint": {
            "sites": [
                {"path": f"norm{k}", "claimed": k == 1, "drop_p": it.placing.amount / 2}
                for k in range(5)
            ]
        },
        "provenance": {
            "data": "made up" if images == "cifar10" else f"made up {images}",
            "sha256": "0123456789abcdef" * 4,
            "train_images": 50000,
            "test_images": 10000,
            "varshift": "0",
            "torch": "0",
            "numpy": "0",
            "python": "0",
            "measured": f"2026-01-0{1 + it.seed % 9}T00:00:00Z",
        },
    }
    if it.placing.place in ("a", "b"):
        told["repairs"] = _repairs(it)
    return told


def _sites(it: SimpleNamespace) -> list[dict[str, Any]]:
    made = []
    for place in range(5):
        paper = it.ratio + it.growth * (place / 4 - 0.5)
        site = {
            "path": f"norm{place}",
            "placements": [],
            "paper": paper,
            "shift": 1 / paper,
            "severity": paper,
            "live": 10,
            "below": 4 if it.placing.place == "a" else 0,
            "above": 1,
        }
        if it.placing.place == "b" and place == 2:
            site["placements"] = ["b"]
        if it.placing.place == "a" and place == 1:
            site |= {
                "placements": ["a"],
                "shift": 1 / it.hit,
                "theory": 1 / it.hit,
                "theory_without_mean": 1 - it.placing.amount,
                "misfit": it.misfits[0],
                "misfit_without_mean": it.misfits[1],
            }
        made.append(site)
    return made


def _filter(path: str, kernel: int, d: int, d_cos2: float) -> dict[str, Any]:
    return {
        "path": path,
        "kernel": kernel,
        "d": d,
        "filters": 8,
        "cos2": d_cos2 / d,
        "d_cos2": d_cos2,
        "null": [0.5, 1.5],
    }


def _repairs(it: SimpleNamespace) -> dict[str, Any]:
    methods = ("adjust-once", "adjust-live", "recalibrate", "distill", "noisy ensemble")
    return {method: {"error": it.adjusted, "loss": 0.1} for method in methods} | {
        "kept": None if it.placing.place == "b" else "distill",
        "calibration": 2048,
    }


def records(
    change: Change = lambda it: None,
    *,
    seeds: int = 3,
    families: Iterable[str] = FAMILIES,
    placings: Iterable[Placing] = PLACINGS,
    images: str = "cifar10",
) -> list[dict[str, Any]]:
    """Every placing of every network, and two widths of WRN with and without Dropout-(b)."""
    cells = [(family, placing, USUAL) for family in families for placing in placings]
    cells += [
        ("WRN", placing, WIDE) for placing in (NONE, B) if "WRN" in families and placing in placings
    ]
    made = []
    for seed in range(seeds):
        for family, placing, width in cells:
            it = truth(family, placing, seed, width)
            change(it)
            made.append(record(it, images))
    return made
