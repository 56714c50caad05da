"""What a module counts in plain numbers is for one batch the same in every way of running it."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs


class Scheduled(nn.Module):
    """Dropout that grows with the steps of training; `met` is told each training pass."""

    def __init__(self, met, kept):
        super().__init__()
        self.met, self.kept = met, kept
        self.steps, self.state = 7, {"steps": 7}
        self.first, self.norm = nn.Linear(4, 8), nn.BatchNorm1d(8)
        self.next, self.last = nn.Linear(8, 8), nn.BatchNorm1d(8)

    def forward(self, x):
        number, h = round(float(x[0, 0])), self.norm(self.first(x)).relu()
        if self.training:
            self.steps += self.kept == "attribute"
            self.state["steps"] += self.kept == "dict"
            steps = max(self.steps, self.state["steps"])
            self.met(number, steps)
            h = functional.dropout(h, min(0.5, steps / 40))
        return self.last(self.next(h))


VERBS = {
    "explain": vs.explain,
    "diagnose": vs.diagnose,
    "check": lambda model, data: vs.check(model, data=data),
    "measure": vs.measure,
}


@pytest.mark.parametrize("kept", ["attribute", "dict"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_schedule_goes_on_with_the_batches_not_with_the_passes(verb, kept):
    seen = {}
    model = Scheduled(lambda number, steps: seen.setdefault(number, set()).add(steps), kept)
    data = [torch.randn(32, 4) for _ in range(6)]
    for number, batch in enumerate(data):
        batch[:, 0] = number
    VERBS[verb](model, data)
    assert seen == {number: {8 + number} for number in range(6)}
    assert (model.steps, model.state) == (7, {"steps": 7})


def test_small_batches_are_not_invented_by_a_schedule():
    torch.manual_seed(0)
    model = Scheduled(lambda number, steps: None, "attribute")
    x = vs.explain(model, [torch.randn(64, 4) for _ in range(24)])
    site = x.factors["last"]
    assert site.batches == pytest.approx(1, abs=5 * site.batches.se)
    assert x.blame["(model)", "last"] == pytest.approx(1 - site.alone, abs=0.05)
