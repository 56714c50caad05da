"""Training that stops anywhere and ends with the same bits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import varshift as vs
from reproduce.small import DROPPED, PLAIN
from varshift.reproduce.images import crop_and_flip
from varshift.reproduce.nets import Placing
from varshift.reproduce.training import MARKS, fresh_net, tracked, train

STEPS = 8  # two epochs of four batches


class Stopped(Exception):
    """Somebody pulled the plug."""


def stopping_at(*steps):
    """A step_done that raises after each of these steps, once."""
    left = list(steps)

    def step_done(step):
        if left and step == left[0]:
            left.pop(0)
            raise Stopped

    return step_done, left


def same(one, other):
    held, mine = one.net.state_dict(), other.net.state_dict()
    assert list(held) == list(mine)
    for name, tensor in held.items():
        assert torch.equal(mine[name], tensor), name
    assert one.losses == other.losses
    assert one.curve == other.curve


@pytest.mark.parametrize("every", [0.0, 1e9])
@pytest.mark.parametrize("steps", [(1,), (3, 4), (2, 5, 8)])
def test_a_training_that_stops_ends_as_an_undisturbed_one(digits, trained, tmp_path, steps, every):
    saved, (step_done, left) = tmp_path / "state.pt", stopping_at(*steps)
    while left:
        with pytest.raises(Stopped):
            train(DROPPED, digits, saved, every=every, step_done=step_done)
        torch.rand(7)  # whatever else the process draws in between
        if every == 0 and saved.is_file():
            held = torch.load(saved, weights_only=True)
            assert 0 < held["step"] <= STEPS  # whole: it can be read
        assert [path.name for path in tmp_path.iterdir()] in ([], ["state.pt"])
        if every:
            left.clear()
    same(train(DROPPED, digits, saved, every=every, step_done=step_done), trained)


def test_what_was_saved_is_not_trained_again(digits, tmp_path):
    """Saved after every step but the one that stopped it: that one is repeated, no other."""
    saved, seen = tmp_path / "state.pt", []
    step_done, _ = stopping_at(5)
    with pytest.raises(Stopped):
        train(DROPPED, digits, saved, every=0, step_done=step_done)
    assert torch.load(saved, weights_only=True)["step"] == 4
    train(DROPPED, digits, saved, step_done=seen.append)
    assert seen == [5, 6, 7, 8]
    again = []
    train(DROPPED, digits, saved, step_done=again.append)
    assert again == []


def test_training_is_the_plain_loop(digits, trained):
    """The same written out: order, crops, noise, rate and SGD, nothing else."""
    net = fresh_net(DROPPED, digits).train()
    optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    losses = []
    with torch.random.fork_rng():
        for epoch in range(2):
            dice = torch.Generator().manual_seed(DROPPED.dice("order", epoch))
            order = torch.randperm(128, generator=dice)
            for index, chosen in enumerate(order.split(32)):
                step = 4 * epoch + index
                optimiser.param_groups[0]["lr"] = 0.1 if epoch < 1 else 0.1 * 0.1
                batch = crop_and_flip(
                    digits.train[chosen], pad=1, flip=True, seed=DROPPED.dice("augment", step)
                )
                torch.manual_seed(DROPPED.dice("noise", step))
                loss = torch.nn.functional.cross_entropy(net(batch), digits.train_labels[chosen])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                losses.append(float(loss.detach()))
    for name, tensor in net.state_dict().items():
        assert torch.equal(trained.net.state_dict()[name], tensor), name
    means = [sum(losses[:4]) / 4, sum(losses[4:]) / 4]
    assert trained.losses == pytest.approx(means, rel=1e-12)
    assert not trained.net.training


def test_the_callers_generator_is_left_alone(digits, tmp_path):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    train(DROPPED, digits, tmp_path / "state.pt")
    assert torch.equal(torch.get_rng_state(), before)
    step_done, _ = stopping_at(2)
    with pytest.raises(Stopped):
        train(DROPPED, digits, tmp_path / "other.pt", step_done=step_done)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_rate_of_every_step_is_the_recipes(digits, tmp_path, monkeypatch):
    rates, plain = [], torch.optim.SGD.step

    def spied(self, *rest, **more):
        rates.append([group["lr"] for group in self.param_groups])
        return plain(self, *rest, **more)

    run = replace(PLAIN, recipe=replace(PLAIN.recipe, drops=(0.5, 1.5), factor=0.2))
    monkeypatch.setattr(torch.optim.SGD, "step", spied)
    train(run, digits, tmp_path / "state.pt")
    expected = [0.1, 0.1, 0.02, 0.02, 0.02, 0.02, 0.004, 0.004]
    assert [rate for (rate,) in rates] == pytest.approx(expected, rel=1e-12)


def test_a_loss_that_is_not_finite_is_an_error(digits, tmp_path):
    broken = replace(digits, train=torch.full_like(digits.train, torch.nan))
    match = r"the loss of WRN 1×1, no noise, seed 0 is nan at step 0; lower the rate"
    with pytest.raises(vs.VarshiftError, match=match) as caught:
        train(PLAIN, broken, tmp_path / "state.pt")
    assert type(caught.value).__name__ == "ModelError"
    assert not (tmp_path / "state.pt").exists()


def test_an_error_leaves_the_saved_state_whole(digits, tmp_path, monkeypatch):
    """A disk that fills while the state is written: the older state stays, nothing beside it."""
    saved = tmp_path / "state.pt"
    step_done, _ = stopping_at(3)
    with pytest.raises(Stopped):
        train(DROPPED, digits, saved, every=0, step_done=step_done)
    held = saved.read_bytes()

    def full(state, path):
        path.write_bytes(b"half of it")
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(OSError, match="no space left"):
            train(DROPPED, digits, saved, every=0)
    assert saved.read_bytes() == held
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_the_curve_is_followed_where_figure_5_needs_it(digits, trained, tmp_path):
    assert [mark["epoch"] for mark in trained.curve] == [(k + 1) / 4 for k in range(MARKS)]
    for mark in trained.curve:
        assert 0 <= mark["noise on"] <= 1
        assert 0 <= mark["evaluation"] <= 1
    right = trained.net(digits.train).argmax(1) == digits.train_labels
    assert trained.curve[-1]["evaluation"] == pytest.approx(float(right.float().mean()), abs=1e-6)
    other = replace(PLAIN, placing=Placing("b", "dropout", 0.5))
    assert train(other, digits, tmp_path / "state.pt").curve == []
    told = {
        Placing(): True,
        Placing("a", "dropout", 0.5): True,
        Placing("a", "dropout", 0.3): False,
        Placing("b", "dropout", 0.5): False,
        Placing("last", "dropout", 0.5): False,
    }
    assert {p: tracked(replace(PLAIN, placing=p)) for p in told} == told


def test_looking_on_the_way_changes_nothing(digits, trained, tmp_path, monkeypatch):
    monkeypatch.setattr("varshift.reproduce.training.tracked", lambda run: False)
    blind = train(DROPPED, digits, tmp_path / "state.pt")
    assert blind.curve == []
    for name, tensor in trained.net.state_dict().items():
        assert torch.equal(blind.net.state_dict()[name], tensor), name


def test_a_fresh_network_lies_channels_last(digits):
    net = fresh_net(PLAIN, digits)
    weights = [weight for weight in net.parameters() if weight.ndim == 4]
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in weights)
    assert net.head.out_features == 10
    assert net.stem.in_channels == 1
