"""The noise layers of `vs.nn` over the layer of torch that each stands in for.

Forward and backward in float32 at τ = 1/3 (drop_p 0.25). *KiB kept* is what autograd keeps for the
backward pass. Torch has no sample-wise dropout, so that form stands beside `nn.Dropout`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from rich.console import Console
from torch import Tensor, nn

import varshift as vs
from benchmarks.lines import Line, aimed, asked, seconds
from benchmarks.timing import Work, in_turn, ratio

TITLE = "Noise layers"
QUICK = "(256, 1024)"
AIM = 1.0
ROUNDS, VALUES = 15, 4_000_000
SHAPES = ((128, 64, 28, 28), (256, 1024))


def run(console: Console, only: str = "") -> Iterator[Line]:
    """One table per shape."""
    for shape in SHAPES:
        if asked(str(shape), only):
            torch.manual_seed(0)
            yield from _lines(shape)


def _lines(shape: tuple[int, ...]) -> Iterator[Line]:
    x = torch.randn(shape, requires_grad=True)
    pairs = matched(len(shape))
    layers = {name: layer for name, (layer, _) in pairs.items()}
    layers |= {type(base).__name__: base for _, base in pairs.values()}
    # A short pass is repeated, so that the clock sees more than its own noise.
    repeats = max(1, VALUES // x.numel())
    times = in_turn({name: passes(layers[name], x, repeats) for name in layers}, ROUNDS)
    for name, (layer, base) in pairs.items():
        theirs = type(base).__name__
        kept, their_kept = (saved_bytes(each, x) / 2**10 for each in (layer, base))
        spread = ratio(times, name, theirs)
        cells = {
            "time": seconds(one / repeats for one in times[name]),
            "torch": f"{theirs} {seconds(one / repeats for one in times[theirs])}",
            "KiB kept": f"{kept:,.5g}",
            "torch's": f"{their_kept:,.5g}",
            "ratio": spread,
        }
        yield Line(str(shape), name, cells, **aimed(spread.median, AIM))


def matched(ndim: int) -> dict[str, tuple[nn.Module, nn.Module]]:
    """Ours and theirs, with equal τ where β reaches it; torch has no sample-wise dropout."""
    dropout = nn.Dropout(0.25)
    found: dict[str, tuple[nn.Module, nn.Module]] = {}
    for kind in (vs.nn.Uout, vs.nn.GaussianDropout):
        found[kind.__name__] = kind.like_dropout(0.25), dropout
        found[f"{kind.__name__}, sample"] = kind.like_dropout(0.25, sharing="sample"), dropout
    if ndim == 4:
        channelwise = nn.Dropout2d(0.25)
        for wide in (vs.nn.Uout2d, vs.nn.GaussianDropout2d):
            found[wide.__name__] = wide.like_dropout(0.25), channelwise
    return found


def passes(layer: nn.Module, x: Tensor, repeats: int) -> Work:
    """Forward and backward, `repeats` times."""
    grad = torch.ones_like(x)

    def work() -> None:
        for _ in range(repeats):
            torch.autograd.grad(layer(x), x, grad)

    return work


def saved_bytes(layer: nn.Module, x: Tensor) -> int:
    """Bytes of the distinct storages that the forward pass keeps for the backward pass."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        layer(x).sum()
    return sum(kept.values())
