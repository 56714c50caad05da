"""The demo's outcome in tables and words, every word read off the numbers."""

from __future__ import annotations

from typing import Any

import torch
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from varshift._cli.demo.run import Demo, Twin
from varshift._draw import table

__all__ = ["as_dict", "story"]


def story(demo: Demo) -> RenderableType:
    """What was trained, what was found, what recalibration changed, and a sentence on each."""
    settings = demo.settings
    return Group(
        Text(
            f"Two pre-activation ResNets of {3 * settings.blocks} blocks, trained alike for "
            f"{settings.epochs} epochs on {demo.trained_on} images of {demo.images}: one with "
            f"dropout {settings.drop_p:g} right before the last norm of every block "
            "(placement a), its twin without."
        ),
        Text(""),
        table(demo.noisy.measurement),
        Text(""),
        Text(f"The twin without dropout: {_range(demo.clean)}."),
        Text(""),
        _scores(demo),
        Text(""),
        Text(_conclusion(demo)),
        Text(""),
        Text("Next, with a model of your own:"),
        Text("   varshift diagnose net.py:make --checkpoint weights.pt --data data.py:train"),
    )


def _scores(demo: Demo) -> Table:
    made = Table(
        title=f"{demo.tested_on} held-out images, before and after recalibration",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
    )
    for heading in ("", "as trained", "recalibrated", "change (paired)"):
        made.add_column(heading, header_style="dim", no_wrap=True)
    name = f"dropout {demo.settings.drop_p:g}"
    for label, twin in ((name, demo.noisy), ("no dropout", demo.clean)):
        loss, loss_error, hit, hit_error = twin.after.change(twin.before)
        made.add_row(
            f"{label}, loss",
            _figure(*twin.before.loss),
            _figure(*twin.after.loss),
            _figure(loss, loss_error, sign="+"),
        )
        made.add_row(
            f"{label}, accuracy",
            _percent(*twin.before.accuracy),
            _percent(*twin.after.accuracy),
            _percent(hit, hit_error, sign="+"),
        )
    return made


def _conclusion(demo: Demo) -> str:
    before, after = demo.noisy.before.loss[0], demo.noisy.after.loss[0]
    change, error, _, _ = demo.noisy.after.change(demo.noisy.before)
    hit = len({route.norm for route in demo.noisy.measurement.structure.direct()})
    text = f"Noise reaches {hit} norms directly; there, {_range(demo.noisy, hit_only=True)}. "
    text += {
        "lower": (
            f"Exact statistics with the noise off took the held-out loss from {before:.3f} to "
            f"{after:.3f} ({change:+.3f} ± {error:.3f}), without training or labels. "
        ),
        "higher": (
            f"Exact statistics with the noise off made the held-out loss worse here, from "
            f"{before:.3f} to {after:.3f} ({change:+.3f} ± {error:.3f}): a repair has to be "
            "measured before it is kept. r.undo() takes it back. "
        ),
        "no change beyond chance": (
            f"Exact statistics with the noise off changed the held-out loss by {change:+.3f} ± "
            f"{error:.3f}, which is no more than chance. "
        ),
    }[demo.noisy.helped]
    change, error, _, _ = demo.clean.after.change(demo.clean.before)
    return text + (
        "On the twin, which has no noise to shift, the loss changed by "
        f"{change:+.3f} ± {error:.3f}."
    )


def _range(twin: Twin, *, hit_only: bool = False) -> str:
    hit = {route.norm for route in twin.measurement.structure.direct()}
    sites = [site for path, site in twin.measurement.sites.items() if path in hit or not hit_only]
    shifts = torch.tensor([site.shift for site in sites])
    return (
        f"the variance at test is {float(shifts.min()):.2f} to {float(shifts.max()):.2f} of that "
        f"in training, median {float(shifts.median()):.2f}"
    )


def _figure(value: float, error: float, sign: str = "") -> str:
    return f"{value:{sign}.3f} ± {error:.3f}"


def _percent(value: float, error: float, sign: str = "") -> str:
    return f"{100 * value:{sign}.1f} ± {100 * error:.1f} %"


def as_dict(demo: Demo) -> dict[str, Any]:
    """JSON-ready: settings, both networks' measurements and scores."""
    return {
        "schema": "varshift.demo/1",
        "data": demo.images,
        "trained_on": demo.trained_on,
        "tested_on": demo.tested_on,
        "drop_p": demo.settings.drop_p,
        "seed": demo.settings.seed,
        "seconds": demo.seconds,
        "noisy": _twin(demo.noisy),
        "clean": _twin(demo.clean),
    }


def _twin(twin: Twin) -> dict[str, Any]:
    loss, loss_error, hit, hit_error = twin.after.change(twin.before)
    return {
        "measurement": twin.measurement.to_dict(),
        "loss": {
            "before": twin.before.loss,
            "after": twin.after.loss,
            "change": [loss, loss_error],
        },
        "accuracy": {
            "before": twin.before.accuracy,
            "after": twin.after.accuracy,
            "change": [hit, hit_error],
        },
    }
