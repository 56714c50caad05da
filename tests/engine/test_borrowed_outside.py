"""What a forward draws from and caches outside its modules comes back too."""

from __future__ import annotations

import functools
import types

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

import varshift as vs

X = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
SHARED = torch.Generator()
SHARED_NUMPY = np.random.default_rng(0)


def masked(x, g):
    return x * torch.bernoulli(torch.full_like(x, 0.5), generator=g) * 2


def masked_by_numpy(x, draw):
    return x * torch.from_numpy(draw(size=x.shape) > 0).to(x.dtype) * 2


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        x = self.first(x)
        return self.norm(self.noise(x) if self.training else x)


class OfTheModule(Net):
    def noise(self, x):
        return masked(x, SHARED)


class OfNumpy(Net):
    def noise(self, x):
        return masked_by_numpy(x, SHARED_NUMPY.normal)


class OfTheClass(Net):
    drawn = torch.Generator()

    def noise(self, x):
        return masked(x, self.drawn)


class InAPartial(Net):
    def __init__(self):
        super().__init__()
        self.noise = functools.partial(masked, g=torch.Generator())


class ByAMethod(Net):
    def __init__(self):
        super().__init__()
        self.draw = np.random.default_rng(0).normal

    def noise(self, x):
        return masked_by_numpy(x, self.draw)


class ClosedOver(Net):
    def __init__(self):
        super().__init__()
        g = torch.Generator()
        self.noise = lambda x: masked(x, g)


class InAHook(Net):
    def __init__(self):
        super().__init__()
        g = torch.Generator()
        self.norm.register_forward_pre_hook(lambda module, given: (masked(given[0], g),))

    def noise(self, x):
        return x


KINDS = [OfTheModule, OfNumpy, OfTheClass, InAPartial, ByAMethod, ClosedOver, InAHook]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_generators_are_wound_back_wherever_they_lie(kind):
    def after(look):
        SHARED.manual_seed(1)
        SHARED_NUMPY.bit_generator.state = np.random.default_rng(1).bit_generator.state
        OfTheClass.drawn.manual_seed(1)
        torch.manual_seed(0)
        model = kind()
        if look:
            vs.measure(model, [X])
        return model(X)

    assert torch.equal(after(look=True), after(look=False))


def test_what_hooks_record_is_the_users_own():
    model, seen = OfTheModule(), []
    model.norm.register_forward_hook(lambda module, given, out: seen.append(out))
    vs.measure(model, [X])
    assert len(seen) == 2  # a forward in each mode


def test_weights_cached_for_a_training_step_keep_their_graph():
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)), nn.BatchNorm1d(4))
    with parametrize.cached():
        vs.measure(model, [X])
        model(X).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_weights_cached_before_are_not_what_a_pass_uses_nor_lost():
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)), nn.BatchNorm1d(4))
    with parametrize.cached():
        before = model[0].weight
        vs.measure(model, [X])
        assert model[0].weight is before


class Stays(nn.Sequential):
    """Its dropout stays on in evaluation."""

    def train(self, mode=True):
        super().train(mode)
        self[1].train()
        return self


def stays_by_the_instance(method):
    def train(self, mode=True):
        nn.Module.train(self, mode)
        self[1].train()
        return self

    def evaluate(self):
        return train(self, False)

    def put(model):
        model.train = types.MethodType(train, model)
        if method == "eval":
            del model.train
            model.eval = types.MethodType(evaluate, model)
        return model

    return put


@pytest.mark.parametrize("method", ["train", "eval"])
def test_methods_of_the_instance_count_as_those_of_a_class(method):
    def layers():
        torch.manual_seed(0)
        return nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 8), nn.BatchNorm1d(8)

    def measured(model):
        torch.manual_seed(1)
        return vs.measure(model, [X] * 4)["3"].shift

    by_class = measured(Stays(*layers()))
    by_instance = measured(stays_by_the_instance(method)(nn.Sequential(*layers())))
    assert by_instance == by_class
    assert by_class != measured(nn.Sequential(*layers()))
