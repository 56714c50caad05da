"""The model comes back as it was; places that are none are refused in a sentence."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from problems.noisy_nets import Mlp
from problems.rememberers import Rememberer
from varshift._footprint.estimating import footprint
from varshift.errors import DataError, ModelError, UsageError


def lent():
    torch.manual_seed(0)
    net = Mlp().train()
    for _ in range(60):
        net(torch.randn(32, 8))
    net.body[5].eval()
    net.body[0].weight.requires_grad_(False)
    return net


def state(net):
    return (
        [module.training for module in net.modules()],
        {n: (id(b), b.data_ptr(), b.tolist()) for n, b in net.named_buffers()},
        {n: (id(p), p._version, p.requires_grad, p.grad) for n, p in net.named_parameters()},
        [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()],
        [sorted(vars(m)) for m in net.modules()],
        torch.get_rng_state().tolist(),
        torch.is_grad_enabled(),
    )


def good():
    return list(torch.linspace(-2, 2, 6 * 32 * 8).sin().reshape(6, 32, 8))


def raising(error):
    def data():
        yield from good()
        raise error

    return data


@pytest.mark.parametrize("training", [True, False])
def test_success_leaves_no_trace(training):
    net = lent()
    if not training:
        net.eval()
    before = state(net)
    f = footprint(net, good())
    assert state(net) == before
    frozen = {"body.5"} if training else set()
    assert set(f.skipped) == frozen
    assert all("frozen" in reason for reason in f.skipped.values())
    assert set(f.sites) == {"body.1", "body.5", "body.9"} - frozen


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (OSError, raising(OSError("disk"))),
        (KeyboardInterrupt, raising(KeyboardInterrupt())),
        (DataError, lambda: [*good(), torch.full((32, 8), torch.nan)]),
        (ModelError, lambda: [*good(), torch.ones(32, 9)]),
        (ModelError, lambda: [*good(), torch.full((32, 8), 3e38)]),
    ],
)
def test_failure_leaves_no_trace(error, data):
    net = lent()
    before = state(net)
    with pytest.raises(error):
        footprint(net, data)
    assert state(net) == before


def test_progress_that_raises_leaves_no_trace():
    net = lent()
    before = state(net)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        footprint(net, good(), progress=stop)
    assert state(net) == before


@pytest.mark.parametrize(
    ("places", "sentence"),
    [
        ("body.0", r"places is the text 'body.0'; pass a list of paths, as in \['body.0'\]"),
        ([], "places is empty; name layers, or leave it out"),
        (["body.77"], "names 'body.77', which the model does not have; it has 'body.0', 'body.1'"),
        (["head"], "names 'head', but noise on its input reaches no BatchNorm that could remember"),
        (["body.5"], "names 'body.5', but it cannot be judged: frozen .*; leave it out"),
    ],
)
def test_bad_places_are_refused(places, sentence):
    net = lent()
    before = state(net)
    with pytest.raises(UsageError, match=sentence):
        footprint(net, good(), places=places)
    assert state(net) == before


def test_too_few_batches_are_refused():
    with pytest.raises(DataError, match="data gave 3 batches, and the error"):
        footprint(lent(), good()[:3])


def test_models_that_remember_nothing_are_refused():
    with pytest.raises(ModelError, match="no BatchNorm whose stored variance could remember"):
        footprint(nn.Linear(8, 8), good())
    with pytest.raises(ModelError, match=r"\(body.1: still holds the statistics it was made with"):
        footprint(Mlp(), good())


def test_every_norm_is_judged_or_skipped_with_a_reason():
    class Sum(Rememberer):
        """A residual sum before the second norm; the third runs twice."""

        def forward(self, x):
            x = self.norm1(self.conv1(x)).relu()
            x = self.norm2(x + self.conv2(x)).relu()
            return self.norm3(self.conv3(self.norm1(x)))

    net = Sum(0.0, "none")
    for _ in range(60):
        net(torch.randn(8, 1, 6, 6))
    data = list(torch.randn(6, 8, 1, 6, 6))
    f = footprint(net, data)
    assert set(f.sites) == {"norm2", "norm3"}
    assert "runs 2 times a pass" in f.skipped["norm1"]
    straight = footprint(net, data, places=["norm2"])
    assert straight["norm2"].placement == "a"
    assert straight.skipped["norm3"] == "no place was named for it"
    with pytest.raises(UsageError, match=r"no norm site 'norm3' was judged \(no place was named"):
        straight["norm3"]


def test_numbers_must_go_into_a_place():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.unused = nn.Embedding(9, 8), nn.Linear(8, 8)
            self.norm = nn.BatchNorm1d(8)

        def forward(self, tokens):
            return self.norm(self.embed(tokens))

    net = Words()
    data = [torch.arange(36).reshape(36) % 9 for _ in range(40)]
    for batch in data:
        net(batch)
    with pytest.raises(UsageError, match="names 'embed', which got no tensor of numbers"):
        footprint(net, data, places=["embed"])
    with pytest.raises(UsageError, match="names 'unused', but no batch reached it"):
        footprint(net, data, places=["unused"])


def test_norms_of_too_few_channels_are_skipped_in_a_sentence():
    net = nn.Sequential(nn.Linear(8, 3), nn.BatchNorm1d(3))
    for _ in range(60):
        net(torch.randn(32, 8))
    f = footprint(net, good())
    assert f.sites == {}
    assert f.skipped == {"1": "fewer than 4 channels vary: too few to estimate an error"}
