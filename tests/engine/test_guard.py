"""Large parameters are copied when they are about to be written, and come back all the same."""

from __future__ import annotations

from contextlib import suppress

import pytest
import torch
from torch import nn

import varshift as vs
from faults.injecting import BORROWING, Lines
from varshift._engine import Glance, norm_handles
from varshift._engine.borrow import guard
from varshift._engine.borrow.tensors import KeptTensor
from varshift._torch.state import dispatch_modes, outside_dispatch_modes
from varshift.errors import ForwardError


@torch.library.custom_op("varshift_tests::halve", mutates_args=("held",))
def halve(held: torch.Tensor) -> None:
    held.mul_(0.5)


@torch.library.custom_op("varshift_tests::halve_silently", mutates_args=())
def halve_silently(held: torch.Tensor) -> torch.Tensor:
    held.mul_(0.5)
    return held.sum()


def rebound(weight):
    weight.data = torch.zeros_like(weight)


def written_by_out(weight):
    torch.neg(torch.ones_like(weight), out=weight)


def set_item(weight):
    weight[3] = 7.0


WRITES = {
    "in place": lambda weight: weight.add_(1),
    "through .data": lambda weight: weight.data.clamp_(-0.01, 0.01),
    "a view": lambda weight: weight.t()[2:5].zero_(),
    "out=": written_by_out,
    "an item": set_item,
    "many at once": lambda weight: torch._foreach_mul_([weight], 2.0),
    "an initialiser": nn.init.normal_,
    "other data": rebound,
    "an operation of another library": halve,
    "one that does not say that it writes": halve_silently,
}


class Net(nn.Module):
    """A forward that does something to its large weight, in looks from `starts` on."""

    def __init__(self, does, starts=2):
        super().__init__()
        self.linear = nn.Linear(256, 512)  # the weight is half a mebibyte
        self.norm = nn.BatchNorm1d(512)
        self.does, self.looks, self.starts = does, 0, starts

    def forward(self, x):
        x = self.norm(self.linear(x))
        if looks(self) >= self.starts:
            self.does(self.linear.weight)
        return x


LOOKS = {"so far": 0}  # outside the model, whose own counter would be put back


def looks(net):
    return LOOKS["so far"]


def look(glance):
    LOOKS["so far"] += 1
    return glance.off(torch.randn(4, 256))


@pytest.fixture(autouse=True)
def _from_the_start():
    LOOKS["so far"] = 0


def bits(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def as_before(net, before):
    return all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def looked_at(does, starts=2, times=3):
    """A network after so many looks, what it was before, and the glance."""
    net = Net(does, starts)
    glance = Glance(net, norm_handles(net).values())
    weight, before = net.linear.weight, bits(net)
    place, version = weight.data_ptr(), weight._version
    for _ in range(times):
        look(glance)
    assert net.linear.weight is weight
    assert (weight.data_ptr(), weight._version) == (place, version)
    return net, before, glance


@pytest.mark.parametrize("starts", [1, 2, 3])
@pytest.mark.parametrize("does", WRITES.values(), ids=WRITES)
def test_whatever_is_written_comes_back(does, starts):
    net, before, glance = looked_at(does, starts)
    assert as_before(net, before)
    assert not glance.notes


def test_a_guard_that_takes_writes_for_reads_would_not_bring_them_back(monkeypatch):
    monkeypatch.setattr(guard, "_may_write", lambda func: False)
    net, before, glance = looked_at(WRITES["in place"])
    assert not as_before(net, before)
    assert "it was not put back" in glance.notes[0]


def test_nothing_large_is_copied_after_the_first_look(monkeypatch):
    copied = []
    taken = KeptTensor.take

    def take(kept):
        copied.append(kept.tensor)
        taken(kept)

    monkeypatch.setattr(KeptTensor, "take", take)
    net = Net(lambda weight: weight + 1)
    glance = Glance(net, norm_handles(net).values())
    large = []
    for _ in range(3):
        copied.clear()
        look(glance)
        large.append(sum(tensor is net.linear.weight for tensor in copied))
    assert large == [1, 0, 0]


def test_where_a_parameter_was_written_once_every_look_copies_all():
    def by_numpy(weight):
        weight.detach().numpy()[...] += 1  # no operation of torch's

    net, before, glance = looked_at(by_numpy, starts=1)
    assert as_before(net, before)
    assert not glance._guard.late


def test_what_is_written_unseen_is_said():
    def unseen(weight):
        with outside_dispatch_modes():
            weight.add_(1)

    _, _, glance = looked_at(unseen)
    assert glance.notes == [
        "'linear.weight' was written by a forward that had not done so before, and in a way that "
        "cannot be seen beforehand: it was not put back"
    ]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_forward_that_writes_and_then_raises(error):
    def written_and_raised(weight):
        weight.add_(1)
        raise error("not today")

    net = Net(written_and_raised)
    before, glance = bits(net), Glance(net, norm_handles(net).values())
    look(glance)
    with pytest.raises(ForwardError if error is RuntimeError else error, match="not today"):
        look(glance)
    assert as_before(net, before)
    assert not glance._guard.holds


def test_an_interrupt_at_any_line_of_a_guarded_look():
    def interrupted(at):
        """A first look, and a second that is interrupted there; how many lines it has run."""
        LOOKS["so far"] = 0
        net = Net(WRITES["in place"])
        before, glance = bits(net), Glance(net, norm_handles(net).values())
        version = net.linear.weight._version
        look(glance)
        with suppress(KeyboardInterrupt), Lines(BORROWING, [at] if at else []) as lines:
            look(glance)
        assert as_before(net, before), at
        assert net.linear.weight._version == version, at
        assert not dispatch_modes(), at
        assert all(module.training for module in net.modules()), at
        assert not glance.notes, at
        return lines.count

    interrupted(0)  # what is loaded at first use runs lines of its own
    total = interrupted(0)
    assert total > 1000
    for at in range(1, total, 61):
        interrupted(at)


def test_a_train_of_its_own_is_not_guarded():
    """It runs on the way back, when the forward and its guard are over."""

    class Own(Net):
        def train(self, mode=True):
            super().train(mode)
            if looks(self) >= 2:
                with torch.no_grad():
                    self.linear.weight.add_(1)
            return self

    net = Own(lambda weight: None)
    before, glance = bits(net), Glance(net, norm_handles(net).values())
    for _ in range(3):
        look(glance)
    assert as_before(net, before)


def test_training_with_a_large_parameter_goes_on_with_the_same_bits():
    def run(watched):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Linear(8, 512), nn.Dropout(0.5), nn.Linear(512, 512), nn.BatchNorm1d(512)
        )
        monitor = vs.Monitor(net, every=1, warn=False)
        for _ in range(50):
            x = torch.randn(16, 8)
            net.zero_grad()
            net(x).square().mean().backward()
            with torch.no_grad():
                for parameter in net.parameters():
                    parameter -= 0.1 * parameter.grad
            if watched:
                monitor.step(x)
        return net, monitor

    plain, _ = run(False)
    seen, monitor = run(True)
    assert len(monitor.history) > 5
    assert as_before(seen, bits(plain))
