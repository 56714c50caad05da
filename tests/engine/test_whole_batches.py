"""What one draw does to a whole batch is known from batches: no group holds a part of one."""

from __future__ import annotations

import math
import pickle
import random

import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs
from varshift._engine.batches import Batch
from varshift._engine.record.bank import Bank


class Drawing(nn.Module):
    """A norm behind noise that `draw` makes of the data in training."""

    def __init__(self, draw):
        super().__init__()
        self.draw, self.norm = draw, nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(self.draw(x) if self.training else x)


def mixed(x):
    weight = torch.distributions.Beta(1.0, 1.0).sample()
    return weight * x + (1 - weight) * x[torch.randperm(len(x))]


TOGETHER = {
    "a gain": lambda x: x * (0.5 + torch.rand(())),
    "a gain by channel": lambda x: x * (0.5 + torch.rand(4)),
    "a level": lambda x: x + torch.rand(()) * torch.randn_like(x),
    "mixed": mixed,
    "a decision": lambda x: 2 * x if torch.rand(()) < 0.5 else x,
    "outside torch": lambda x: x * (0.5 + random.random()),
}
APART = {
    "elements": lambda x: nn.functional.dropout(x, 0.5),
    "samples": lambda x: x * (0.5 + torch.rand(len(x), 1)),
    "a mask of samples": lambda x: x.masked_fill((torch.rand(len(x)) < 0.3)[:, None], 0.0),
    "partners": lambda x: 0.5 * x + 0.5 * x[torch.randperm(len(x))],
}


@pytest.mark.parametrize("name", TOGETHER)
def test_two_batches_make_nothing_sure_of_what_is_drawn_for_each(name):
    torch.manual_seed(0)
    random.seed(0)
    net, data = Drawing(TOGETHER[name]), [torch.randn(64, 4) for _ in range(2)]
    x = vs.explain(net, data)
    assert x.verdict == "none"
    assert "too few batches" in x.reason
    d = vs.diagnose(net, data)
    assert d.verdict == "none"
    assert any("errors are not known" in note for note in d.notes)
    assert any("errors are not known" in note for note in vs.measure(net, data).notes)


@pytest.mark.parametrize("name", APART)
def test_samples_that_have_draws_of_their_own_are_enough(name):
    torch.manual_seed(0)
    x = vs.explain(Drawing(APART[name]), [torch.randn(64, 4) for _ in range(2)])
    assert math.isfinite(x.factors["norm"].noise.se)


class Weighted(nn.Module):
    """A norm behind what `use` makes of the data with noisy weights, learnt or not."""

    def __init__(self, use, shape, learnt):
        super().__init__()
        values = torch.arange(1.0, 1 + math.prod(shape)).cos().reshape(shape)
        self.use, self.norm, self.learnt = use, nn.BatchNorm1d(4), learnt
        self.weight = nn.Parameter(values) if learnt else None
        self.register_buffer("table", None if learnt else values)

    def forward(self, x):
        return self.norm(self.use(x, self.weight if self.learnt else self.table, self.training))


def with_words(x, table, training):
    return functional.embedding((x[:, 0] > 0).long(), functional.dropout(table, 0.5, training))


def enlarged_late(x, token, training):
    return x + functional.dropout(token, 0.5, training).expand(len(x), -1)


def enlarged_before(x, token, training):
    return x + functional.dropout(token.expand(len(x), -1), 0.5, training)


ONE_FOR_ALL = {
    "weights": (lambda x, w, on: functional.linear(x, functional.dropout(w, 0.5, on)), (4, 4)),
    "a bias": (lambda x, w, on: x + functional.dropout(w, 0.5, on), (4,)),
    "words": (with_words, (2, 4)),
    "a token, then enlarged": (enlarged_late, (1, 4)),
}


@pytest.mark.parametrize("learnt", [True, False])
@pytest.mark.parametrize("name", ONE_FOR_ALL)
def test_noise_on_weights_or_constants_is_one_draw_for_all_samples(name, learnt):
    torch.manual_seed(0)
    net = Weighted(*ONE_FOR_ALL[name], learnt)
    x = vs.explain(net, [torch.randn(64, 4) for _ in range(2)])
    assert not math.isfinite(x.factors["norm"].noise.se)


@pytest.mark.parametrize("learnt", [True, False])
def test_a_token_for_each_sample_draws_for_each(learnt):
    torch.manual_seed(0)
    x = vs.explain(
        Weighted(enlarged_before, (1, 4), learnt), [torch.randn(64, 4) for _ in range(2)]
    )
    assert math.isfinite(x.factors["norm"].noise.se)


def test_the_error_is_that_of_so_many_draws():
    """Var = v·E[g²] of a gain that n batches draw: its logarithm is off by √(Var g²/n)/E[g²]."""
    torch.manual_seed(0)
    batches = 12
    net = Drawing(lambda x: x * (0.5 + torch.rand((), dtype=x.dtype))).double()
    data = list(torch.randn(batches * 64, 4, dtype=torch.float64).split(64))
    found = [vs.explain(net, data).factors["norm"].noise for _ in range(5)]
    square, fourth = 13 / 12, (1.5**5 - 0.5**5) / 5  # E[g²] and E[g⁴], g uniform from 0.5 to 1.5
    true = math.sqrt((fourth - square**2) / batches) / square
    error = math.sqrt(sum((f.se / f.value) ** 2 for f in found) / len(found))
    assert error == pytest.approx(true, rel=0.5)  # samples dealt apart show a fifth of it


def bank_of(batches):
    bank = Bank("training")
    for index, x in enumerate(batches):
        if index:
            bank.keep_whole()
        bank.begin(Batch(index, x, len(x)))
        bank.add("place", x)
        bank.end()
    bank.keep_whole()
    return bank


@pytest.mark.parametrize("ranks", [1, 2])
def test_groups_are_batches_on_any_number_of_ranks(ranks):
    torch.manual_seed(0)
    data = [torch.randn(8, 3, dtype=torch.float64) for _ in range(6)]
    banks = [bank_of(data[6 // ranks * rank : 6 // ranks * (rank + 1)]) for rank in range(ranks)]
    if ranks > 1:
        banks[0].joined(pickle.loads(pickle.dumps(banks)))  # as they come from other ranks
    tally = banks[0]["place"]
    assert tally.dealt.tolist() == list(range(6))
    for left_out, var in enumerate(tally.groups().var_without_each()):
        rest = torch.cat([x for index, x in enumerate(data) if index != left_out])
        torch.testing.assert_close(var, rest.var(0), rtol=1e-12, atol=0)


def test_two_batches_are_one_group():
    torch.manual_seed(0)
    data = [torch.randn(8, 3, dtype=torch.float64) for _ in range(2)]
    tally = bank_of(data)["place"]
    assert tally.dealt.tolist() == [0]
    torch.testing.assert_close(tally.total().var(), torch.cat(data).var(0), rtol=1e-12, atol=0)
