"""Which line made a layer of noise, for every way in which people make them."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import varshift as vs
from varshift._rewrite.origins import constructor_line


class Attribute(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.3), nn.BatchNorm1d(8)  # here: drop

    def forward(self, x):
        return self.norm(self.drop(x))


class InSequential(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Dropout(0.2),
            nn.Linear(8, 8),
            nn.Sequential(
                nn.ReLU(),
                nn.Dropout(0.2),  # here: net.2.1
            ),
            nn.BatchNorm1d(8),
        )

    def forward(self, x):
        return self.net(x)


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            OrderedDict(
                [
                    ("one", nn.Dropout(0.2)),
                    ("two", nn.Dropout(0.2)),  # here: net.two
                    ("norm", nn.BatchNorm1d(8)),
                ]
            )
        )

    def forward(self, x):
        return self.net(x)


class InALoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.drops, self.norm = nn.ModuleList(), nn.BatchNorm1d(8)
        for rate in (0.1, 0.2):
            self.drops.append(nn.Dropout(rate))  # here: drops.1

    def forward(self, x):
        for drop in self.drops:
            x = drop(x)
        return self.norm(x)


class Comprehended(nn.Module):
    def __init__(self):
        super().__init__()
        self.drops = nn.ModuleList([nn.Dropout(rate) for rate in (0.1, 0.2)])  # here: drops.0
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x):
        return self.norm(self.drops[1](self.drops[0](x)))


class FromAList(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for _ in range(2):
            layers += [nn.Linear(8, 8), nn.ReLU()]
            layers.append(nn.Dropout(0.4))  # here: net.2
        self.net = nn.Sequential(*layers, nn.BatchNorm1d(8))

    def forward(self, x):
        return self.net(x)


def block(rate):
    return nn.Sequential(
        nn.Linear(8, 8),
        nn.Dropout(rate),  # here: block.1
        nn.BatchNorm1d(8),
    )


class ByAFactory(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = block(0.3)

    def forward(self, x):
        return self.block(x)


class ByAMethod(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.norm = self.made(0.25), nn.BatchNorm1d(8)

    def made(self, rate):
        return nn.Dropout(rate)  # here: by a method

    def forward(self, x):
        return self.norm(self.drop(x))


class Inherited(Attribute):
    def forward(self, x):
        return super().forward(x) + 1


class OfItsOwn(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Linear(8, 8),
            nn.Dropout(0.5),  # here: 1
            nn.BatchNorm1d(8),
        )


class DropPath(nn.Module):
    def __init__(self, drop_prob):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x):
        if not self.training:
            return x
        return x * torch.bernoulli(x.new_full((len(x), 1), 1 - self.drop_prob))


class OwnLayer(nn.Module):
    def __init__(self, rate=0.3):
        super().__init__()
        self.path = DropPath(rate) if rate else nn.Identity()  # here: path
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x):
        return self.norm(self.path(x))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)  # here: e
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x):
        return self.norm(self.layer(x[:, None])[:, 0])


HERE = {
    "drop": (Attribute, "drop"),
    "net.2.1": (InSequential, "net.2.1"),
    "net.two": (Named, "net.two"),
    "drops.1": (InALoop, "drops.1"),
    "drops.0": (Comprehended, "drops.0"),
    "net.2": (FromAList, "net.2"),
    "block.1": (ByAFactory, "block.1"),
    "by a method": (ByAMethod, "drop"),
    "1": (OfItsOwn, "1"),
    "path": (OwnLayer, "path"),
    "e": (Encoder, "layer.dropout1"),
}


def number_of(mark):
    with open(__file__, encoding="utf-8") as file:
        return next(
            i for i, line in enumerate(file, 1) if line.rstrip().endswith(f"# here: {mark}")
        )


def found(model, path):
    model.train()
    noises = vs.inspect(model, torch.randn(16, 8)).noises
    return constructor_line(model, next(noise for noise in noises if noise.path == path))


@pytest.mark.parametrize("mark", HERE)
def test_the_line_that_makes_the_layer(mark):
    make, path = HERE[mark]
    line = found(make(), path)
    assert line is not None
    assert (line.file, line.number) == (__file__, number_of(mark))
    assert f"# here: {mark}" in line.code


def test_a_class_that_is_inherited_is_read_too():
    assert found(Inherited(), "drop").number == number_of("drop")


class ByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x):
        return self.norm(F.dropout(x, 0.3, self.training))


class Alike(nn.Module):
    """Two calls that may have made either: which, neither place nor rate tells."""

    def __init__(self):
        super().__init__()
        layers = [nn.Dropout(0.3)]
        layers += [nn.Dropout(0.3)]
        self.net = nn.Sequential(*layers, nn.BatchNorm1d(8))

    def forward(self, x):
        return self.net(x)


class Given(nn.Module):
    """The layer comes from outside; that it makes another one is no reason to point there."""

    def __init__(self, drop):
        super().__init__()
        self.drop, self.other, self.norm = drop, nn.Dropout(0.3), nn.BatchNorm1d(8)

    def forward(self, x):
        return self.norm(self.drop(x))


def test_nothing_is_found_where_nothing_is_sure():
    assert found(ByHand(), "") is None
    assert found(Alike(), "net.0") is None
    assert found(Given(nn.Dropout(0.3)), "drop") is None
    assert found(nn.Sequential(nn.Dropout(0.3), nn.BatchNorm1d(8)), "0") is None


def test_of_several_calls_the_rate_tells():
    class Rates(nn.Module):
        def __init__(self):
            super().__init__()
            layers = [nn.Dropout(0.1)]
            layers += [nn.Dropout(p=0.3)]
            self.net = nn.Sequential(*layers, nn.BatchNorm1d(8))

        def forward(self, x):
            return self.net(x)

    first, second = found(Rates(), "net.0"), found(Rates(), "net.1")
    assert second.number == first.number + 1


def test_a_model_of_timm():
    timm = pytest.importorskip("timm")
    model = timm.create_model("convnext_atto", drop_path_rate=0.2, num_classes=4)
    noises = vs.inspect(model.train(), torch.randn(2, 3, 32, 32)).noises
    drawn = [noise for noise in noises if noise.active and noise.module == "DropPath"]
    assert drawn
    for noise in drawn:
        line = constructor_line(model, noise)
        assert line.code.startswith("self.drop_path = DropPath(")
        assert line.file.endswith("convnext.py")
