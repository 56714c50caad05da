"""How often the model runs, and what is kept of it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from problems.noisy_nets import ByHand, Conv, Mlp
from varshift._engine.session import session
from varshift._explain.blaming import Blaming
from varshift._explain.lanes import Lanes


def counted(net, data, **options):
    """The explanation, and how many forward passes it took."""
    runs = []
    hook = net.register_forward_pre_hook(lambda *_: runs.append(1))
    x = vs.explain(net, data, **options)
    hook.remove()
    return x, len(runs)


USUAL = {
    "mlp": lambda: (Mlp(), [torch.randn(64, 8) for _ in range(5)]),
    "conv": lambda: (Conv(), [torch.randn(32, 3, 12, 12) for _ in range(4)]),
    "by hand": lambda: (ByHand(), [torch.randn(64, 6) for _ in range(3)]),
    "one batch": lambda: (Mlp(), [torch.randn(64, 8)]),
    "ragged": lambda: (Mlp(), [torch.randn(n, 8) for n in (64, 17, 5, 2)]),
    "no norm": lambda: (
        nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.ReLU(), nn.Linear(4, 2)),
        [torch.randn(32, 4) for _ in range(3)],
    ),
}


@pytest.mark.parametrize("name", USUAL)
def test_four_forwards_a_batch_and_one_of_test_data(name):
    net, data = USUAL[name]()
    shape = data[0].shape
    x, forwards = counted(net, data, test_data=[torch.randn(shape) for _ in range(2)])
    assert forwards == 4 * len(data) + 2
    assert x.passes == 4
    assert x.blame.unit == "sample"
    assert all(rest == vs.Figure(0.0, 0.0) for rest in x.blame.rest.values())


def test_three_without_noise_and_one_of_the_first_batch_to_see_that_nothing_else_differs():
    data = [torch.randn(32, 4) for _ in range(3)]
    x, forwards = counted(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), data)
    assert (x.passes, forwards) == (3, 3 * 3 + 1)


class Acting(nn.Module):
    """Samples act on each other between two norms; noise before, between and behind."""

    def __init__(self, together):
        super().__init__()
        self.together = together
        self.one = nn.Sequential(nn.Dropout(0.3), nn.Linear(8, 8), nn.BatchNorm1d(8))
        self.two = nn.Sequential(nn.Dropout(0.3), nn.Linear(8, 8), nn.BatchNorm1d(8))

    def forward(self, x):
        return self.two(self.together(self.one(x)))


def with_all(x):
    return x + x.mean(0)


def with_the_next(x):
    return x + x.roll(1, 0)


def in_pairs(x):
    return x + 0.5 * x.view(-1, 2, 8).flip(1).reshape(-1, 8)


@pytest.mark.parametrize("samples", [8, 16, 64])
@pytest.mark.parametrize("together", [with_all, with_the_next, in_pairs])
def test_samples_that_act_on_each_other_are_found_with_three_passes_more(together, samples):
    data = [torch.randn(samples, 8) for _ in range(10)]
    x, forwards = counted(Acting(together), data)
    assert x.blame.unit == "batch"
    assert forwards == 4 * len(data) + 3


def test_a_noise_that_cannot_be_silenced_takes_three_passes_more():
    class Shuffled(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.norm = nn.Dropout(0.2), nn.BatchNorm1d(4)

        def forward(self, x):
            x = x + x[torch.randperm(len(x))] if self.training else x
            return self.norm(self.drop(x))

    x, forwards = counted(Shuffled(), [torch.randn(64, 4) for _ in range(6)])
    assert forwards == 4 * 6 + 3
    assert x.blame.noises == ("drop",)
    assert x.blame.silenced["drop"].startswith("exactly")
    assert x.blame.rest["norm"].value > 0.3


def test_later_rounds_run_the_blame_pass_alone():
    data = [torch.randn(16, 8) for _ in range(2)]
    x, forwards = counted(Acting(with_all), data)
    rounds = x.passes - 3
    assert rounds > 1
    assert forwards == (3 + rounds) * len(data) + 3


def test_sums_are_kept_for_sources_that_reach_a_place_alone():
    depth, width = 12, 8
    layers = [m for _ in range(depth) for m in (nn.BatchNorm1d(width), nn.Dropout(0.1))]
    lanes = Lanes()
    with session(nn.Sequential(*layers)) as run:
        held = run.held([torch.randn(64, width) for _ in range(2)], None, then="")
        run.run(held.own, lanes.comparing)
        blaming = Blaming(run, lanes, held)
        run.run(held.own, blaming.regimes)
        kept = {place: len(c.subsets) for place, c in blaming.contrasts.at.items()}
    # The first norm has no noise before it; the second one source, and all; and so on.
    assert "0" not in kept
    assert [kept[str(2 * i)] for i in range(1, depth)] == [i + 1 for i in range(1, depth)]
    assert kept["output"] == depth + 1


def test_a_wide_output_is_left_out_and_named():
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4), nn.Linear(4, 8193))
    x = vs.explain(net, [torch.randn(16, 4) for _ in range(2)])
    assert x.outputs == {}
    assert "output: left out of blame, for it has 8193 features" in x.notes
    net[2] = nn.Linear(4, 8192)
    assert list(vs.explain(net, [torch.randn(16, 4) for _ in range(2)]).outputs) == ["output"]
