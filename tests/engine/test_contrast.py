"""Groups that lanes share, and contrasts between twins, against the naive way."""

from __future__ import annotations

import pytest
import torch

from varshift._engine.batches import Batch
from varshift._engine.record.bank import Bank
from varshift._engine.record.contrast import Contrast, Contrasts
from varshift._engine.record.samples import SampleMoments
from varshift._engine.record.tally import GROUPS, Tally, groups_of

_ALL = torch.arange(GROUPS)


def bank_of(batches, reached):
    bank = Bank("training")
    for index, x in enumerate(batches):
        bank.begin(Batch(index, x, len(x)))
        if reached(index):
            bank.add("place", x)
        bank.end()
    return bank


def test_groups_left_out_are_those_that_either_has():
    """Every other batch reaches the place in one lane: its groups are not those of the other."""
    torch.manual_seed(0)
    data = [torch.randn(8, 3, dtype=torch.float64) for _ in range(6)]
    some, every = bank_of(data, lambda i: i % 2)["place"], bank_of(data, lambda i: True)["place"]
    groups = groups_of(some, every)
    assert groups.tolist() == every.dealt.tolist()
    assert len(some.dealt) < len(groups)
    whole = torch.cat(data[1::2])
    for tally, rows in ((some, whole), (every, torch.cat(data))):
        mean, var = tally.without_each(groups)
        assert mean.shape == var.shape == (len(groups), 3)
        own = tally.groups().var_without_each()
        for row, group in enumerate(groups.tolist()):
            if group in tally.dealt.tolist():
                at = tally.dealt.tolist().index(group)
                torch.testing.assert_close(var[row], own[at])
            else:  # nothing of it there, so nothing is taken away
                torch.testing.assert_close(mean[row], rows.mean(0))
                torch.testing.assert_close(var[row], rows.var(0))


def test_a_place_that_was_not_reached_adds_no_groups():
    torch.manual_seed(0)
    every = bank_of([torch.randn(8, 3) for _ in range(6)], lambda i: True)["place"]
    nothing = Tally.nothing(3)
    assert (nothing.count, len(nothing.dealt)) == (0, 0)
    assert torch.equal(groups_of(nothing, every), every.dealt)
    assert torch.equal(torch.arange(GROUPS)[groups_of(every, nothing)], every.dealt)


def moments_about(x, reference):
    return SampleMoments(x - reference, (x - reference).square())


def test_an_effect_is_the_naive_difference():
    torch.manual_seed(0)
    clean = torch.randn(200, 4, dtype=torch.float64) + 1
    noisy = clean + 0.5 * torch.randn(200, 4, dtype=torch.float64)
    groups, dealt = torch.arange(200) % GROUPS, torch.arange(200) % 3
    contrast = Contrast(4, [0, 2])
    reference = torch.full((4,), 0.7, dtype=torch.float64)
    contrast.add(groups, dealt, moments_about(clean, reference), moments_about(noisy, reference))
    assert contrast.effect(1, _ALL) is None
    for subset in (0, 2):
        effect = contrast.effect(subset, _ALL)
        for row in (0, 5):
            kept = torch.ones(200, dtype=torch.bool) if row == 0 else groups != row - 1
            of = kept & (dealt == subset)
            shift = (noisy - clean)[of].mean(0)
            second = (noisy.square() - clean.square())[of].mean(0)
            change = second - shift * (2 * clean[kept].mean(0) + shift)
            torch.testing.assert_close(effect.mean[row], shift)
            torch.testing.assert_close(effect.var[row], change)


class Ranks:
    """Contrasts of the same batches on one process, or some of them on each of several."""

    def __init__(self):
        torch.manual_seed(0)
        self.data = [(torch.randn(8, 3), torch.randn(8, 3)) for _ in range(4)]

    def seen(self, chosen):
        recorder = Contrasts(
            {"output": torch.zeros(3)}, lambda batch: torch.arange(8) % 2, lambda place: [0, 1]
        )
        for index in chosen:
            clean, noisy = self.data[index]
            batch = Batch(index, clean, 8)
            for each, out in ((recorder.twins, clean), (recorder, noisy)):
                each.begin(batch)
                each.end(out)
        return recorder


def test_contrasts_of_ranks_join_and_go_on():
    ranks = Ranks()
    one, parts = ranks.seen(range(4)), [ranks.seen([0, 1]), ranks.seen([2, 3])]
    shares = [part.share() for part in parts]
    for part in parts:
        part.joined(shares)
        part.joined(shares)  # after a second round: what was joined is no rank's own
        for subset in (0, 1):
            whole = one.at["output"].effect(subset, _ALL)
            joined = part.at["output"].effect(subset, _ALL)
            torch.testing.assert_close(joined.mean[0], whole.mean[0])
            torch.testing.assert_close(joined.var[0], whole.var[0])


def test_rows_that_are_no_samples_are_named():
    recorder = Contrasts({"output": torch.zeros(3)}, lambda b: torch.zeros(8).long(), lambda _: [0])
    batch = Batch(0, torch.zeros(8, 3), 8)
    for each in (recorder.twins, recorder):
        each.begin(batch)
        each._take("output", torch.randn(9, 3)) if each is recorder.twins else (
            each.samples._take("output", torch.randn(9, 3))
        )
        each.end(None)
    assert recorder.uneven == {"output"}
    assert recorder.at == {}


@pytest.mark.parametrize(
    ("sizes", "whole"),
    [
        *(([64, 17, 5, 40], False), ([3, 3], False), ([1, 1, 1], False)),
        *(([64, 17, 5, 40], True), ([8, 8, 8], True)),  # two whole batches are one group
    ],
)
def test_groups_are_those_of_a_bank(sizes, whole):
    """One sample a group in turn, or one batch: where the bank puts it, the contrast does."""
    recorder = Contrasts({"output": torch.zeros(1)}, lambda b: torch.zeros(b.samples).long(), len)
    bank = Bank("training")
    if whole:
        bank.keep_whole()
        recorder.keep_batches_whole()
    for index, size in enumerate(sizes):
        x = torch.randn(size, 1)
        batch = Batch(index, x, size)
        bank.begin(batch)
        bank.add("output", x)
        bank.end()
        for each in (recorder.twins, recorder):
            each.begin(batch)
            each.end(None)
    counts = torch.zeros(GROUPS)
    for index, size in enumerate(sizes):
        groups = recorder._groups(Batch(index, None, size))
        counts.index_add_(0, groups, torch.ones(size))
    tally = bank["output"]
    assert counts[tally.dealt].tolist() == tally.counts[:, 0].tolist()
    assert counts.sum() == sum(sizes)
