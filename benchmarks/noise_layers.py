"""The noise layers against torch's dropout: forward and backward, time and bytes kept."""

from __future__ import annotations

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import varshift as vs
from benchmarks.timing import Work, interleaved, ratio

ROUNDS, VALUES = 21, 4_000_000
SHAPES = ((128, 64, 28, 28), (256, 1024))


def run(console: Console) -> None:
    """One table per shape and number of threads."""
    threads = torch.get_num_threads()
    try:
        for shape in SHAPES:
            for count in (1, 2):
                torch.set_num_threads(count)
                one(console, shape)
    finally:
        torch.set_num_threads(threads)


def one(console: Console, shape: tuple[int, ...]) -> None:
    """Each layer beside the layer of torch that it stands in for."""
    x = torch.randn(shape, requires_grad=True)
    pairs = matched(len(shape))
    layers = {name: layer for name, (layer, _) in pairs.items()}
    layers |= {type(base).__name__: base for _, base in pairs.values()}
    # A short pass is repeated, so that the clock sees more than its own noise.
    repeats = max(1, VALUES // x.numel())
    timings = interleaved({name: passes(layers[name], x, repeats) for name in layers}, ROUNDS)
    kept = {name: saved_bytes(layer, x) / 2**10 for name, layer in layers.items()}
    table = Table(title=f"{shape}, forward + backward, threads: {torch.get_num_threads()}")
    for heading in ("layer", "time", "against", "time", "ratio (min–max)", "KiB kept", "theirs"):
        table.add_column(heading, justify="left" if heading in ("layer", "against") else "right")
    for name, (_, base) in pairs.items():
        theirs = type(base).__name__
        middle, low, high = ratio(timings, name, theirs)
        table.add_row(
            name,
            f"{timings[name].median / repeats * 1e3:.3g} ms",
            theirs,
            f"{timings[theirs].median / repeats * 1e3:.3g} ms",
            f"{middle:.2f} ({low:.2f}–{high:.2f})",
            f"{kept[name]:,.5g}",
            f"{kept[theirs]:,.5g}",
        )
    console.print(table)


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
