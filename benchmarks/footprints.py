"""drop_p read back from checkpoints: small networks trained on digits, three seeds each."""

from __future__ import annotations

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from varshift._footprint.estimating import footprint
from varshift._loading import load_images
from varshift.results.footprint import Footprint, FootprintSite

SEEDS = (0, 1, 2)
EPOCHS, BATCH = 12, 64
PLACES = {"a": ["norm1", "norm2", "norm3", "norm4"], "b": ["conv1", "conv2", "conv3", "linear"]}
NOISY = ("norm2", "norm3", "norm4")  # the first block never had dropout


class Net(nn.Module):
    """Three convolutions and a linear layer, each with its norm; dropout from the second on."""

    def __init__(self, drop_p: float, placement: str, width: int = 32) -> None:
        super().__init__()
        self.placement, self.drop = placement, nn.Dropout(drop_p)
        self.conv1, self.norm1 = nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.norm3 = nn.BatchNorm2d(2 * width)
        self.linear, self.norm4 = nn.Linear(32 * width, 64), nn.BatchNorm1d(64)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, 8, 8) → (N, 10)."""
        x = self.norm1(self.conv1(x)).relu()
        x = self.block(x, self.conv2, self.norm2)
        x = self.block(x, self.conv3, self.norm3)
        return self.head(self.block(x.flatten(1), self.linear, self.norm4))

    def block(self, x: Tensor, layer: nn.Module, norm: nn.Module) -> Tensor:
        """Dropout where this net has it, weights, norm, ReLU."""
        x = layer(self.drop(x)) if self.placement == "b" else self.drop(layer(x))
        return norm(x).relu()


def run(console: Console) -> None:
    """One table per way to end the training: annealed to rest, and at a constant rate."""
    images = load_images("digits")
    x = torch.cat([images.train, images.test])
    labels = torch.cat([images.train_labels, images.test_labels])
    for title, constant in (("annealed SGD", False), ("Adam at a constant rate", True)):
        table = Table(title=f"digits, {EPOCHS} epochs, {title}: drop_p [95 % interval], * claimed")
        for heading in ("trained with", "seed", *PLACES["a"]):
            table.add_column(heading)
        hits: list[bool] = []
        near: list[bool] = []
        false = 0
        for drop_p, placement in _cases():
            for seed in SEEDS:
                net = _checkpoint(drop_p, placement, seed, constant, x, labels)
                f = footprint(net, _batches(x, seed), places=PLACES[placement])
                table.add_row(f"{drop_p} ({placement})", str(seed), *map(_shown, f.sites.values()))
                truths = {path: drop_p if path in NOISY else 0.0 for path in f.sites}
                hits += [f[path].low <= true <= f[path].high for path, true in truths.items()]
                near += [abs(f[path].drop_p - drop_p) <= 0.02 for path in _convolved(f)]
                false += sum(f[path].claimed for path, true in truths.items() if true == 0)
        console.print(table)
        console.print(
            f"intervals that hold the truth: {sum(hits)} of {len(hits)}; norm2 and norm3 within "
            f"±0.02: {sum(near)} of {len(near)}; claims where there was no noise: {false}\n"
        )


def _cases() -> list[tuple[float, str]]:
    return [(drop_p, placement) for placement in "ab" for drop_p in (0.0, 0.1, 0.3, 0.5)]


def _convolved(f: Footprint) -> list[str]:
    return [path for path in f.sites if path in ("norm2", "norm3")]


def _shown(site: FootprintSite) -> str:
    claim = "*" if site.claimed else ""
    return f"{site.drop_p:.3f} [{site.low:.3f}, {site.high:.3f}]{claim}"


def _checkpoint(
    drop_p: float, placement: str, seed: int, constant: bool, x: Tensor, labels: Tensor
) -> Net:
    """A trained net whose code has lost its dropout."""
    torch.manual_seed(seed)
    net = Net(drop_p, placement).train()
    steps = EPOCHS * (len(x) // BATCH)
    if constant:
        step: torch.optim.Optimizer = torch.optim.Adam(net.parameters(), 1e-3)
        rate = torch.optim.lr_scheduler.LambdaLR(step, lambda _: 1.0)
    else:
        step = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(step, steps)  # type: ignore[assignment]
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for part in order[: len(x) // BATCH * BATCH].split(BATCH):
            step.zero_grad()
            nn.functional.cross_entropy(net(x[part]), labels[part]).backward()
            step.step()
            rate.step()
    bare = Net(0.0, "a")
    bare.load_state_dict(net.state_dict())
    return bare


def _batches(x: Tensor, seed: int) -> list[Tensor]:
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1000 + seed))
    return list(x[order[: len(x) // BATCH * BATCH]].split(BATCH))
