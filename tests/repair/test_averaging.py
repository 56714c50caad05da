"""Statistics for the time of a block, and torch's own call: exact, and back bit for bit."""

from __future__ import annotations

import copy
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.testing import assert_close

import varshift as vs
from faults.injecting import PACKAGE, Lines
from faults.marks import process


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Linear(8, 16), nn.Dropout(0.5), nn.BatchNorm1d(16)),
        *(nn.Linear(16, 16), nn.Dropout(0.3), nn.BatchNorm1d(16), nn.Linear(16, 2)),
    ).double()


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(n, 8, generator=generator, dtype=torch.float64) for n in (30, 7, 50)]


def by_layer(model, batches):
    """Noise off, every norm already right, one layer after another: the slow, obvious way."""
    x, found = torch.cat(batches), {}
    for name, layer in copy.deepcopy(model).eval().named_children():
        if isinstance(layer, nn.BatchNorm1d):
            layer.running_mean, layer.running_var = x.mean(0), x.var(0)
            found[name] = x.var(0)
        with torch.no_grad():
            x = layer(x)
    return found


def bits(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("training", [True, False])
def test_inside_the_statistics_are_those_of_evaluation(batches, training):
    model = network().train(training)
    before, truth = bits(model), by_layer(model, batches)
    with vs.test_statistics(model, batches) as found:
        for path, var in truth.items():
            assert_close(model.get_submodule(path).running_var, var, rtol=1e-10, atol=0)
        assert set(found.sites) == set(truth)
    assert same(before, bits(model))
    assert model.training is training


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_they_go_back_whatever_the_block_raises(batches, raised):
    model = network()
    before = bits(model)
    with pytest.raises(raised), vs.test_statistics(model, batches):
        raise raised
    assert same(before, bits(model))


def test_training_goes_on_as_if_nothing_had_been_there(batches):
    def trained(validated):
        model = network()
        optimiser = torch.optim.SGD(model.parameters(), 0.1)
        torch.manual_seed(3)
        for x in batches * 3:
            model.train()(x).square().mean().backward()
            optimiser.step()
            optimiser.zero_grad()
            if validated:
                with vs.test_statistics(model, batches):
                    model.eval()(x)
        return bits(model)

    assert same(trained(True), trained(False))


@contextmanager
def recalibrated(model, batches):
    undone = vs.recalibrate(model, batches)
    yield
    undone.undo()


@contextmanager
def rewritten_twice(model, batches):
    with vs.test_statistics(model, batches), vs.test_statistics(model, batches[:1]):
        yield


WAYS = [vs.test_statistics, recalibrated, rewritten_twice]


def loss_of(model, batches, mode):
    """Of one mode; an evaluation's gradients go through the running variances."""
    torch.manual_seed(0)
    return model.train(mode == "training")(batches[0]).square().mean()


@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("way", WAYS)
def test_a_loss_from_before_is_run_backward_after(batches, way, mode):
    """torch refuses one whose tensors count other versions than it has saved."""
    model, other = network(), network()
    loss_of(other, batches, mode).backward()
    loss = loss_of(model, batches, mode)
    with way(model.train(), batches):
        pass
    loss.backward()
    assert torch.equal(model[0].weight.grad, other[0].weight.grad)


@pytest.mark.parametrize("way", WAYS)
def test_a_loss_from_inside_is_refused_for_good(batches, way):
    """It has saved noise-off variances: those of one block are not those of the next."""
    model = network()
    losses = []
    for _ in range(2):
        with way(model.train(), batches):
            losses.append(loss_of(model, batches, "evaluation"))
            losses[-1].backward(retain_graph=True)
            for loss in losses[:-1]:
                assert refused(loss)
        assert all(map(refused, losses))


def refused(loss):
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward(retain_graph=True)
    return True


def test_a_loss_is_refused_where_others_have_written_too(batches):
    model = network()
    loss = loss_of(model, batches, "training")
    with vs.test_statistics(model, batches):
        model[2].running_var.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_recalibration_and_a_rewriting_are_undone_at_the_end_of_a_block(batches):
    model = network()
    before = bits(model)
    with vs.recalibrate(model, batches) as r:
        assert r.batches == 3
        assert not same(before, bits(model))
    assert same(before, bits(model))
    with vs.replace(model, batches[0], "gaussian"):
        assert any(isinstance(layer, vs.nn.GaussianDropout) for layer in model)
    assert isinstance(model[1], nn.Dropout)


def test_the_block_is_not_entered_with_data_that_does_not_do():
    model = network()
    with pytest.raises(vs.errors.DataError), vs.test_statistics(model, []):
        pytest.fail("entered")


def test_frozen_names_norms_that_stay(batches):
    model = network().eval()
    before = model[2].running_var.clone()
    with vs.test_statistics(model, batches, frozen=["2"]) as found:
        assert torch.equal(model[2].running_var, before)
        assert found.skipped == {"2": "named in frozen="}
        assert set(found.sites) == {"5"}


def test_a_frozen_name_that_no_norm_has_is_refused(batches):
    with pytest.raises(vs.errors.UsageError, match=r"frozen names 'head.\*'.*'2', '5'"):
        vs.recalibrate(network(), batches, frozen="head.*")


def test_update_bn_is_torch_s_call(batches):
    averaged = AveragedModel(network())
    truth = by_layer(averaged.module, batches)
    found = vs.update_bn([(x, None) for x in batches], averaged, torch.device("cpu"))
    for path, var in truth.items():
        assert_close(averaged.module.get_submodule(path).running_var, var, rtol=1e-10, atol=0)
    assert len(found.sites) == 2


def test_update_bn_leaves_frozen_norms(batches):
    model = network()
    model[2].eval()
    before = model[2].running_var.clone()
    vs.update_bn(batches, model)
    assert torch.equal(model[2].running_var, before)
    assert not model[2].training


def test_update_bn_takes_another_forward(batches):
    model = network()
    found = vs.update_bn(
        [{"x": x} for x in batches], model, forward=lambda model, batch: model(batch["x"])
    )
    assert found.samples == 87


def test_update_bn_says_when_its_arguments_stand_the_other_way_round(batches):
    with pytest.raises(vs.errors.UsageError, match=r"\(loader, model\).*\(Sequential, list\)"):
        vs.update_bn(network(), batches)


def test_pytest_does_not_take_it_for_a_test():
    assert not vs.test_statistics.__test__


@pytest.mark.parametrize(
    "file", ["_repair/averaging", "_repair/recalibration", "_engine/edits", "_engine/versions"]
)
def test_an_interrupt_at_any_line_leaves_the_statistics_of_training(batches, file):
    path = f"{PACKAGE}/{file}.py"
    model = network()
    before, around = bits(model), process()
    with Lines(path) as lines, vs.test_statistics(model, batches):
        pass
    count = lines.count
    assert count > 10
    # Every line of a short file; of many equal ones some, and the last ones.
    for at in sorted({*range(1, count, 1 + count // 40), *range(max(1, count - 10), count + 1)}):
        interrupted = Lines(path, [at])
        with pytest.raises(KeyboardInterrupt), interrupted, vs.test_statistics(model, batches):
            pass
        assert same(before, bits(model)), at
        assert around == process(), at
