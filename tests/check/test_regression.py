"""VS301: how many samples it takes, and noise that also reaches a norm."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._counting import counted


class Head(nn.Module):
    """Dropout before a ReLU, and a way through a norm that changes nothing."""

    def __init__(self, branch):
        super().__init__()
        self.drop, self.first = nn.Dropout(0.5), nn.Linear(4, 8)
        self.last, self.norm, self.branch = nn.Linear(8, 1), nn.BatchNorm1d(8), branch
        with torch.no_grad():
            self.first.bias.fill_(-1.0)
            self.last.weight.fill_(1.0)

    def forward(self, x):
        hidden = self.first(self.drop(x)).relu()
        out = self.last(hidden)
        return out + 0.0 * self.norm(hidden).sum(1, keepdim=True) if self.branch else out


def test_a_norm_beside_the_way_does_not_silence_it():
    x = torch.ones(2000, 4) + 0.1 * torch.randn(2000, 4)
    (alone,) = vs.check(Head(False), x, select=["VS301"])
    torch.manual_seed(0)
    heads = Head(False), Head(True)
    heads[1].load_state_dict(heads[0].state_dict())
    (alone,), (beside,) = (vs.check(head, x, select=["VS301"]) for head in heads)
    assert beside.severity == pytest.approx(alone.severity, rel=0.05)
    assert beside.noises == alone.noises == ("drop",)


def test_noise_behind_whose_every_way_stands_a_norm_is_the_norms():
    net = nn.Sequential(
        *(nn.Dropout(0.5), nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    )
    assert len(vs.check(net, torch.randn(1000, 4), select=["VS301"])) == 0


@pytest.mark.parametrize("samples", [1, 15])
def test_few_samples_give_a_note(samples):
    found = vs.check(Head(False), torch.ones(samples, 4))
    assert len(found) == 0
    assert any(
        f"takes 16 samples or more, and {counted(samples, 'sample')} came" in n for n in found.notes
    )
    assert not any("VS301" in n for n in vs.check(Head(False), torch.randn(16, 4)).notes)
