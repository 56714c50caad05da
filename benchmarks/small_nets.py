"""Small networks of many kinds, trained for a second or two: noise before norms in various places.

Every network is drawn from its seed: perceptron or convolutions, two to four layers, which
function, which noise and how much of it, where it stands, which data, how it is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random

import torch
from sklearn.datasets import load_digits, make_classification
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Kind", "Trained", "drawn_kind", "trained_net"]

Step = Callable[[], nn.Module]
_FUNCTIONS: dict[str, Step] = {"ReLU": nn.ReLU, "GELU": nn.GELU, "SiLU": nn.SiLU}
_PLACES = ("(a)", "(b)", "(b)", "unnormed", "input", "head", "residual")


@dataclass(frozen=True)
class Kind:
    """What a seed has drawn."""

    seed: int
    convolutions: bool
    depth: int
    width: int
    function: str
    place: str
    drop_p: float
    channels: bool  # Dropout2d
    data: str
    schedule: bool  # the rate of learning falls to a hundredth in the end
    adam: bool

    @property
    def name(self) -> str:
        """In a few words."""
        shape = "conv" if self.convolutions else "MLP"
        noise = "Dropout2d" if self.channels else "Dropout"
        return f"{shape} ×{self.depth}, {self.function}, {noise} {self.drop_p} {self.place}"


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network and what it was trained on."""

    kind: Kind
    net: nn.Module
    data: Tensor


def drawn_kind(seed: int) -> Kind:
    """The kind of network that belongs to a seed."""
    draw = Random(seed)
    convolutions = draw.random() < 0.6
    place = draw.choice(_PLACES)
    return Kind(
        seed=seed,
        convolutions=convolutions,
        depth=draw.choice((2, 3, 4)),
        width=draw.choice((8, 16, 24) if convolutions else (32, 64, 96)),
        function=draw.choice(tuple(_FUNCTIONS)),
        place=place,
        drop_p=draw.choice((0.1, 0.2, 0.3, 0.4, 0.5, 0.6)),
        channels=convolutions and draw.random() < 0.3,
        data=draw.choice(("digits", "synthetic")),
        schedule=draw.random() < 0.7,
        adam=draw.random() < 0.6,
    )


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        return x + self.inner(x)


def _made(kind: Kind, channels: int, classes: int) -> nn.Module:
    function = _FUNCTIONS[kind.function]

    def noise() -> nn.Module:
        return (nn.Dropout2d if kind.channels else nn.Dropout)(kind.drop_p)

    def weights(wide: int, out: int) -> nn.Module:
        return nn.Conv2d(wide, out, 3, padding=1) if kind.convolutions else nn.Linear(wide, out)

    def norm(out: int) -> nn.Module:
        return nn.BatchNorm2d(out) if kind.convolutions else nn.BatchNorm1d(out)

    layers: list[nn.Module] = [] if kind.convolutions else [nn.Flatten()]
    wide = channels
    for index in range(kind.depth):
        out, first = kind.width, index == 0
        block: list[nn.Module] = [weights(wide, out), norm(out), function()]
        if kind.place == "(a)" and not first:
            block.insert(1, noise())
        elif kind.place in ("(b)", "residual") and not first:
            block.insert(0, noise())
        elif kind.place == "unnormed" and first:  # Linear → function → noise → Linear → norm
            block = [weights(wide, out), function(), noise(), weights(out, out), norm(out)]
            block.append(function())
        elif kind.place == "input" and first:
            block.insert(0, noise())
        if kind.place == "residual" and not first:
            layers.append(Residual(nn.Sequential(*block)))
        else:
            layers += block
        wide = out
    return nn.Sequential(*layers, *_head(kind, wide, classes))


def _head(kind: Kind, wide: int, classes: int) -> list[nn.Module]:
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()] if kind.convolutions else []
    if kind.place != "head":
        return [*pool, nn.Linear(wide, classes)]
    noise = nn.Dropout(kind.drop_p)
    order = [*pool, noise] if kind.seed % 2 else [noise, *pool]
    return [*order, nn.Linear(wide, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, classes)]


@cache
def _digits() -> tuple[Tensor, Tensor]:
    held = load_digits()
    return torch.tensor(held.images, dtype=torch.float32)[:, None] / 16, torch.tensor(held.target)


@cache
def _tabular() -> tuple[Tensor, Tensor]:
    x, y = make_classification(
        1400, 40, n_informative=12, n_redundant=12, n_classes=5, random_state=0
    )
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


@cache
def _pictures() -> tuple[Tensor, Tensor]:
    """Smooth blobs and stripes of four classes in three channels, with noise on them."""
    draw = torch.Generator().manual_seed(0)
    label = torch.arange(1400) % 4
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    where = torch.rand(1400, 2, 1, 1, generator=draw) * 7
    blob = (-((rows - where[:, 0]) ** 2 + (columns - where[:, 1]) ** 2) / 6).exp()
    phase = torch.rand(1400, 1, 1, generator=draw) * 6
    stripes = torch.where((label % 2 == 0)[:, None, None], rows, columns).mul(1.2).add(phase).sin()
    shape = torch.where((label < 2)[:, None, None], blob, stripes * blob)
    colour = torch.rand(1400, 3, 1, 1, generator=draw) + 0.2
    noise = 0.15 * torch.randn(1400, 3, 8, 8, generator=draw)
    return shape[:, None] * colour + noise, label


def _data(kind: Kind) -> tuple[Tensor, Tensor]:
    if kind.data == "digits":
        return _digits()
    return _pictures() if kind.convolutions else _tabular()


def trained_net(kind: Kind) -> Trained:
    """Six epochs on 1000 samples in batches of 50."""
    torch.manual_seed(kind.seed)
    x, y = (values[:1000] for values in _data(kind))
    channels = x.shape[1] if kind.convolutions else x[0].numel()
    net = _made(kind, channels, int(y.max()) + 1)
    optimiser: torch.optim.Optimizer = (
        torch.optim.Adam(net.parameters(), 5e-3)
        if kind.adam
        else torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    )
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, 80, 0.1 if kind.schedule else 1.0)
    for _ in range(6):
        for rows in torch.randperm(1000).split(50):
            optimiser.zero_grad()
            F.cross_entropy(net(x[rows]), y[rows]).backward()
            optimiser.step()
            schedule.step()
    return Trained(kind, net, x)
