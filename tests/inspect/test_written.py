"""Draws that are written over data, stand beside it or in its place: sources with routes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs


class Written(nn.Module):
    """In training a function draws on what the norm receives."""

    def __init__(self, draws):
        super().__init__()
        self.draws = draws
        self.linear, self.norm = nn.Linear(8, 8), nn.BatchNorm1d(8)
        self.token = nn.Parameter(torch.randn(8))

    def forward(self, x):
        y = self.linear(x)
        return self.norm(self.draws(self, y.clone()) if self.training else y)


def drawn_on_a_part(net, y):
    y[:, :4].bernoulli_(0.5)
    return y


def drawn_on_all(net, y):
    y.view(-1).bernoulli_(0.5)
    return y


def drawn_on_a_sample(net, y):
    y[0].uniform_(-1, 1)
    return y


def drawn_behind_autograd(net, y):
    y.data[1:].normal_(0, 2)
    return y


def given_as_out(net, y):
    return torch.rand(y.shape, out=y)


def copied_to_a_part(net, y):
    y[:, 2:6] = torch.randn(len(y), 4)
    return y


def copied_to_all(net, y):
    return y.copy_(torch.randn_like(y))


def filled(net, y):
    y[:, :4].fill_(torch.rand(()))
    return y


def put_at_an_index(net, y):
    return y.index_put((torch.tensor([0, 2]),), torch.randn(2, 8))


def mask_token(net, y):
    y[torch.rand(len(y)) < 0.5] = net.token
    return y


def mask_token_chosen(net, y):
    return torch.where(torch.rand(len(y), 1) < 0.5, net.token, y)


def filled_with_one(net, y):
    return y.masked_fill(torch.rand_like(y) < 0.5, 1.0)


def shuffled(net, y):
    return 0.5 * y + 0.5 * y[torch.randperm(len(y))]


def mixed(net, y):
    share = torch.distributions.Beta(1.0, 1.0).sample()
    return share * y + (1 - share) * y.flip(0)


def interpolated(net, y):
    return torch.lerp(y, y.flip(0), torch.rand(len(y), 1))


def noise_channels(net, y):
    return torch.cat([y[:, :4], torch.randn(len(y), 4)], 1)


def data_on_noise(net, y):
    canvas = torch.randn(len(y), 8)
    canvas[:, :4] = y[:, :4]
    return canvas


def noise_alone(net, y):
    return torch.randn_like(y).relu()


def drawn_around(net, y):
    return torch.normal(y, 0.1)


def chances_of_one(net, y):
    return y * torch.poisson(torch.ones_like(y))


def gathered(net, y):
    return y.gather(1, torch.rand_like(y).argsort(1))


ONE = [
    *(drawn_on_a_part, drawn_on_all, drawn_on_a_sample, drawn_behind_autograd, given_as_out),
    *(copied_to_a_part, copied_to_all, filled, put_at_an_index, mask_token, mask_token_chosen),
    *(filled_with_one, shuffled, mixed, interpolated, noise_channels, data_on_noise, noise_alone),
    *(drawn_around, chances_of_one, gathered),
]


@pytest.mark.parametrize("draws", ONE, ids=lambda draws: draws.__name__)
def test_what_is_drawn_over_data_has_a_route(draws):
    s = vs.inspect(Written(draws), torch.randn(8, 8))
    assert [(r.noise, r.norm, r.placement) for r in s.routes] == [("(model)", "norm", "a")]
    assert len(s.noises) == 1
    assert s.prove(s.routes[0]).answer is True


def scattered(net, y):
    return y.masked_scatter(torch.rand_like(y) < 0.5, torch.randn_like(y))


def erased(net, y):
    gone = (torch.rand(len(y), 1) < 0.5).float()
    return y * (1 - gone) + gone * torch.randn_like(y)


def sometimes_noisy(net, y):
    return y + torch.randn_like(y) * (torch.rand(len(y), 1) < 0.5)


@pytest.mark.parametrize("draws", [scattered, erased, sometimes_noisy])
def test_two_draws_in_one_noise_have_a_route_each(draws):
    s = vs.inspect(Written(draws), torch.randn(8, 8))
    assert sorted(r.noise for r in s.routes) == ["(model)", "(model)#2"]
    assert all(s.prove(route).answer is True for route in s.routes)


@pytest.mark.parametrize(
    "blank",
    [torch.empty_like, torch.zeros_like, torch.clone, lambda y: y.new_empty(y.shape)],
    ids=["empty_like", "zeros_like", "clone", "new_empty"],
)
def test_a_mask_drawn_into_a_buffer_of_its_own_is_a_mask(blank):
    s = vs.inspect(Written(lambda net, y: y * blank(y).bernoulli_(0.8) / 0.8), torch.randn(8, 8))
    (noise,) = s.noises
    assert (noise.law, noise.drop_p, noise.sharing) == ("bernoulli", 0.2, "element")


def test_noise_that_only_a_norm_without_statistics_receives_comes_through_it():
    net = Written(lambda net, y: functional.layer_norm(torch.randn_like(y), (8,)))
    assert [r.placement for r in vs.inspect(net, torch.randn(8, 8)).routes] == ["through-norm"]


class Erasing(nn.Module):
    """Random erasing of a rectangle, by a draw in place or copied."""

    def __init__(self, in_place):
        super().__init__()
        self.conv, self.norm, self.in_place = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), in_place

    def forward(self, x):
        y = self.conv(x)
        if self.training and self.in_place:
            y[:, :, 1:3, 1:3].normal_()
        elif self.training:
            y[:, :, 1:3, 1:3] = torch.randn(len(y), 8, 2, 2)
        return self.norm(y)


@pytest.mark.parametrize("in_place", [True, False])
def test_random_erasing(in_place):
    s = vs.inspect(Erasing(in_place), torch.randn(2, 3, 8, 8))
    assert [(r.norm, r.placement) for r in s.routes] == [("norm", "a")]
    assert s.prove(s.routes[0])


def test_data_written_over_a_draw_leaves_nothing_of_it():
    net = Written(lambda net, y: torch.randn_like(y).copy_(y))
    s = vs.inspect(net, torch.randn(8, 8))
    assert len(s.noises) == 1
    assert s.routes == ()
