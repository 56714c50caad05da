"""Pictures of networks of any size, one of each kind, with names as people write them."""

from __future__ import annotations

import math
from random import Random

from varshift._draw.pictures.described import (
    Bars,
    Boxes,
    Cloud,
    Curve,
    Depth,
    Factor,
    Heat,
    Interval,
    Intervals,
    Lines,
    Pattern,
    RouteBundle,
    Routes,
    Series,
)
from varshift.results.grading import grade_of


def names_of(count):
    return [f"stages.{i // 10}.blocks.{i % 10}.residual.norm{i % 3}" for i in range(count)]


def shifts(count, seed=0):
    """Δ of so many norms; every seventh is far off."""
    random = Random(seed)
    return [
        math.exp(-abs(random.gauss(0, 0.35)) * (1 if index % 7 else 3)) for index in range(count)
    ]


def depth(count, named=3):
    """The main picture: Δ by depth, with intervals and grades, its worst norms named."""
    values = shifts(count)
    grades = [grade_of(max(value, 1 / value)) for value in values]
    low, high = [0.95 * value for value in values], [1.04 * value for value in values]
    worst = sorted(range(count), key=lambda index: values[index])[:named]
    label = "shift Δ = variance at test ÷ variance in training, with 95 % intervals"
    series = Series("test", "Δ", values, low, high, grades)
    return Depth("Shift at each norm", label, names_of(count), [series], 1.0, worst)


def curves(count):
    """Variances by depth, a line for each role."""
    roles = (("stored", "stored", 1.0), ("train", "training", 1.2), ("test", "test", 0.8))
    series = [Series(r, label, [k * v for v in shifts(count)]) for r, label, k in roles]
    label = "variance of the norm's input, median over channels"
    return Depth("Variance at each norm", label, names_of(count), series, None)


def heat(places, sources):
    random = Random(1)
    norms, drops = names_of(places), [f"stages.{i}.drop" for i in range(sources)]
    shares = {
        (drop, norm): (random.uniform(-0.1, 0.6), 0.01)
        for drop in drops
        for norm in norms
        if random.random() < 0.8
    }
    return Heat("Share of each source at each norm", drops, norms, shares)


def routes(count):
    """So many stages with a drop and a norm each, and a bundle of forty."""
    plain = [
        RouteBundle(f"stages.{i}.attention.drop", f"stages.{i}.mlp.norm", "b", "Conv2d → ReLU")
        for i in range(count)
    ]
    many = RouteBundle("layers.*.drop", "layers.*.norm", "a", "nothing between", 40)
    across = RouteBundle("layers.*.drop", "stages.0.mlp.norm", "b", "Linear", 40)
    bundles = [many, across, *plain]
    severities = {one.norm: 1.0 + 0.1 * index for index, one in enumerate(bundles)}
    return Routes(
        "Routes from noise to norms",
        bundles,
        {one.source: "0.5" for one in bundles},
        severities,
        {norm: grade_of(severity) for norm, severity in severities.items()},
        {"layers.*.drop": "dropout, one draw per element"},
    )


def every(count):
    """One picture of each kind, of so many norms."""
    random = Random(2)
    names, values = names_of(count), shifts(count)
    channels = [math.exp(random.gauss(0, 1)) for _ in range(700)]
    return {
        "depth": depth(count),
        "curves": curves(count),
        "boxes": Boxes(
            "Scatter over channels",
            "Δ per channel: median, middle half, 5 to 95 %",
            names,
            [[0.7 * v, 0.9 * v, v, 1.1 * v, 1.4 * v] for v in values],
        ),
        "cloud": Cloud("Channels of a norm", names[0], channels, channels[::-1]),
        "bars": Bars(
            "Factors of each total",
            names,
            values,
            [
                Factor("train", "noise", values),
                Factor("stored", "staleness", [1.1] * count),
                Factor("data", "data", [0.9] * count),
            ],
        ),
        "heat": heat(count, min(count, 20)),
        "intervals": Intervals(
            "drop_p of each noise",
            "drop_p, 95 % interval",
            [
                Interval(n, v, v - 0.1, v + 0.2, "train", "told", mark=0.5, hollow=v > 0.7)
                for n, v in zip(names, values, strict=True)
            ],
            0.0,
            -1.0,
            1.1,
        ),
        "pattern": Pattern("One noise", names[0], channels, channels[::-1], 0.3, 0.2, 0.4),
        "routes": routes(count),
        "lines": Lines(
            "Severity over steps",
            "severity",
            [
                Curve(n, range(0, 1000, 50), [1.01 - math.log(v) * t / 1000 for t in range(20)])
                for n, v in zip(names, values, strict=True)
            ],
            1.1,
        ),
    }
