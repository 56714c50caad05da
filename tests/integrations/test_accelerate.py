"""`test_statistics` in a loop of one's own, with what Accelerate has prepared."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close
from torch.utils.data import DataLoader

import varshift as vs
from integrations.hugging_face import Samples, bits, network, same
from problems.libraries import library

accelerate = library("accelerate")

TRAIN = Samples(500)


@pytest.fixture(autouse=True)
def _a_state_of_its_own():
    """Accelerate keeps one state for the whole process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        yield
    torch.set_num_threads(threads)
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    accelerate.state.GradientState._reset_state()


class Loop:
    """Two epochs of ten batches, three of which make a step; `between` is called in the middle."""

    def __init__(self, **options):
        self.accelerator = accelerate.Accelerator(
            cpu=True, gradient_accumulation_steps=3, **options
        )
        torch.manual_seed(0)
        net = network()
        self.other = self.accelerator.prepare(DataLoader(TRAIN, batch_size=50))
        self.model, self.optimizer, self.loader = self.accelerator.prepare(
            net,
            torch.optim.SGD(net.parameters(), 0.1),
            DataLoader(TRAIN, batch_size=50, shuffle=True),
        )
        self.recent = []

    def train(self, between=None):
        for _ in range(2):
            for at, batch in enumerate(self.loader):
                self.model.train()
                with self.accelerator.accumulate(self.model):
                    self.accelerator.backward(self.model(**batch)["loss"])
                    self.optimizer.step()
                    self.optimizer.zero_grad()
                self.recent.append(batch)
                if at == 4 and between is not None:
                    between(self)
        return bits(self.model)


def with_recent(loop):
    with vs.test_statistics(loop.model, loop.recent[-5:]):
        loop.model.eval()


def with_another(loop):
    with vs.test_statistics(loop.model, loop.other):
        loop.model.eval()


def with_part_of_another(loop):
    with vs.test_statistics(loop.model, loop.other, max_samples=220):
        loop.model.eval()


@pytest.mark.parametrize("between", [with_recent, with_another, with_part_of_another])
def test_training_is_the_same(between):
    assert same(Loop().train(), Loop().train(between))


def test_inside_a_prepared_model_has_the_statistics_of_evaluation(tmp_path):
    loop = Loop()
    before = loop.train()
    x = torch.cat([batch["x"] for batch in loop.recent])
    with torch.no_grad():
        first = loop.model.body[2:3].eval()(loop.model.body[:2](x))
    with vs.test_statistics(loop.model, loop.recent):
        held = bits(loop.model)
        loop.accelerator.save_model(loop.model, tmp_path)
    assert_close(held["body.3.running_var"], first.var(0), rtol=1e-10, atol=0)
    assert same(load_file(tmp_path / "model.safetensors"), held)
    assert same(before, bits(loop.model))


def test_mixed_precision_holds_in_the_calibration():
    loop = Loop(mixed_precision="bf16")
    model, kept = loop.model.float(), []
    model.head.register_forward_hook(lambda _, given, out: kept.append(out.dtype))
    batches = [{"x": batch["x"].float(), "labels": batch["labels"]} for batch in TRAIN.batches()]
    with vs.test_statistics(model, batches):
        pass
    assert set(kept) == {torch.bfloat16}
