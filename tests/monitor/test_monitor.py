"""The monitor in loops of every kind: what it finds, when it warns, how it goes on."""

from __future__ import annotations

import io
import math
import pickle
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

import varshift as vs
from monitor.loops import assert_same, mlp, train
from problems.steady import steady
from varshift.errors import DataError, UsageError, VarianceShiftWarning


def direct(channels=64, drop_p=0.5):
    """Dropout straight before a norm: Δ is keep_p, whatever the scale, for inputs of mean 0."""
    return nn.Sequential(nn.Dropout(drop_p), nn.BatchNorm1d(channels, momentum=None))


def looked(model, batches, **keywords):
    monitor = vs.Monitor(model, **({"every": 1, "warn": False} | keywords))
    for batch in batches:
        model(batch)
        monitor.step(batch)
    return monitor


def gaussian(count, samples=512, channels=64):
    return [torch.randn(samples, channels) for _ in range(count)]


def test_dropout_before_a_norm_shifts_by_keep_p():
    with steady(0):
        monitor = looked(direct(drop_p=0.3), gaussian(9))
    norm = monitor.history[-1].norms["1"]
    # Of 64 channels, 8 × 512 values each: the median scatters by about 0.003.
    assert abs(norm.shift - 0.7) < 0.02
    assert abs(norm.severity - 1 / 0.7) < 0.04
    assert 0 < norm.shift_se < 0.02
    assert 1.3 < norm.low < norm.severity
    assert norm.looks == 8
    assert [record.step for record in monitor.history] == list(range(2, 10))


def test_each_look_is_the_noise_off_variance_over_that_of_the_training_pass():
    """By hooks on the norm in training and in evaluation, the same weights and batch."""
    with steady(0):
        model, received = mlp(momentum=None), []
        hooks = [
            model[at].register_forward_pre_hook(lambda m, x: received.append(x[0].detach().var(0)))
            for at in (3, 5)
        ]
        monitor = vs.Monitor(model, every=1, window=1, warn=False)
        for _ in range(3):
            x = torch.randn(32, 8)
            received.clear()
            model(x)
            monitor.step(x)
        train_first, train_second, off_first, off_second = received
        for hook in hooks:
            hook.remove()
    found = monitor.history[-1].norms
    for path, off, on in (("3", off_first, train_first), ("5", off_second, train_second)):
        live = on > 0  # dropout may leave nothing of a channel in so small a batch
        torch.testing.assert_close(found[path].delta[live], (off / on)[live], rtol=1e-9, atol=0)
        assert live.sum() > 10
        assert found[path].delta[~live].isnan().all()


def test_it_agrees_with_measure_on_a_network_that_stands_still():
    with steady(0):
        model = mlp(momentum=None)
        batches = [torch.randn(256, 8) for _ in range(40)]
        monitor = looked(model, batches, window=40)
        measured = vs.measure(model, batches)
    for path, norm in monitor.history[-1].norms.items():
        site = measured[path]
        error = math.hypot(norm.severity_se, site.severity_se)
        assert abs(norm.severity - site.severity) < 5 * error + 0.02, path


def test_it_warns_once_with_the_code_when_it_is_sure():
    with (
        steady(0),
        pytest.warns(VarianceShiftWarning, match=r"VS101 at step \d+: the norm '1'") as w,
    ):
        monitor = looked(direct(), gaussian(12), warn=True)
    assert len(w) == 1
    assert w[0].filename == __file__
    assert "surely more than 1.1" in str(w[0].message)
    assert len(monitor.history) == 11


def test_it_does_not_warn_below_the_threshold_or_of_scatter():
    with steady(0), warnings.catch_warnings():
        warnings.simplefilter("error")
        looked(direct(), gaussian(12), warn=True, threshold=2.3)
        looked(direct(drop_p=0.02), gaussian(12, samples=32), warn=True)


def test_a_warning_turned_into_an_error_stops_training_and_leaves_the_model():
    with steady(0), warnings.catch_warnings():
        warnings.simplefilter("error", VarianceShiftWarning)
        model = direct()
        with pytest.raises(VarianceShiftWarning, match="VS101"):
            looked(model, gaussian(12), warn=True)
        assert model.training
        assert model[1].training


def test_the_first_look_waits_until_statistics_have_forgotten_their_start():
    with steady(0):
        model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4, momentum=0.3))
        monitor = looked(model, gaussian(20, samples=8, channels=4))
        assert monitor.history[0].step == math.ceil(math.log(0.01) / math.log(0.7))
        trained = looked(model, gaussian(3, samples=8, channels=4))  # these have no start left
    assert trained.history[0].step == 2


def test_every_so_many_steps():
    monitor = looked(direct(4), gaussian(20, samples=8, channels=4), every=6)
    assert [record.step for record in monitor.history] == [6, 12, 18]


class Clock:
    """Goes on when it is read, and when the test says so."""

    now = 0.0

    def __call__(self):
        self.now += 0.1
        return self.now


def test_a_budget_of_everything_looks_often_and_a_small_one_once():
    found = []
    for budget in (1.0, 1e-6):
        model, clock = direct(4), Clock()
        monitor = vs.Monitor(model, budget, warn=False)
        monitor._pace.clock = clock
        for x in gaussian(60, samples=8, channels=4):
            model(x)
            clock.now += 1.0  # a step takes a second, and what lies between two readings a tenth
            monitor.step(x)
        found.append(monitor)
    rich, poor = found
    assert len(rich.history) > 10
    assert [record.step for record in poor.history] == [2]
    assert 0 < poor.overhead < rich.overhead < 1


def test_metrics_are_flat_floats():
    monitor = looked(direct(), gaussian(2), every=3)
    assert monitor.metrics() == {}
    monitor = looked(direct(), gaussian(4))
    found = monitor.metrics()
    assert set(found) == {
        *("varshift/overhead", "varshift/worst", "varshift/severity/1", "varshift/shift/1"),
    }
    assert all(type(value) is float for value in found.values())
    assert set(monitor.metrics("val")) == {name.replace("varshift", "val") for name in found}


def test_gradient_accumulation_pools_what_the_norm_was_given():
    """Three micro-batches a step: the training figure is of all three, the other of the last."""
    with steady(0):
        model, monitor = direct(), None
        monitor = vs.Monitor(model, every=1, warn=False)
        for _ in range(8):
            for x in gaussian(3, samples=128):
                model(x)
            monitor.step(x)
    assert len(monitor.history) == 7
    assert abs(monitor.history[-1].norms["1"].shift - 0.5) < 0.04


def test_batches_of_any_form_with_forward():
    with steady(0):
        model = direct(4)
        batches = [{"image": x, "name": "a"} for x in gaussian(4, channels=4)]
        monitor = vs.Monitor(model, every=1, warn=False, forward=lambda m, b: m(b["image"]))
        for batch in batches:
            model(batch["image"])
            monitor.step(batch)
        assert len(monitor.history) == 3
        pairs = vs.Monitor(model, every=1, warn=False)
        for batch in batches:
            model(batch["image"])
            pairs.step((batch["image"], 3))
        assert len(pairs.history) == 3


def test_a_batch_that_cannot_be_used_is_said_at_the_first_step():
    with pytest.raises(DataError, match="pass forward=lambda model, batch"):
        vs.Monitor(direct(4)).step("a batch")


def test_a_later_batch_that_cannot_be_used_is_passed_over():
    with steady(0):
        model, (x, y) = direct(4), gaussian(2, channels=4)
        monitor = looked(model, [x, x])
        model(y)
        monitor.step(torch.full_like(y, math.nan))
        assert "look at step 3 was left out" in monitor.notes[-1]
        model(y)
        assert monitor.step(y) is not None


def test_other_modules_are_traced_anew():
    with steady(0):
        model = direct(4)
        monitor = looked(model, gaussian(3, channels=4))
        model.append(nn.Dropout(0.5))
        model.append(nn.BatchNorm1d(4, momentum=None))
        for x in gaussian(4, channels=4):
            model(x)
            monitor.step(x)
    assert set(monitor.history[-1].norms) == {"1", "3"}


def test_frozen_norms_are_not_watched():
    with steady(0):
        model = mlp(momentum=None)
        model[3].eval()
        monitor = looked(model, [torch.randn(32, 8) for _ in range(3)])
    assert set(monitor.history[-1].norms) == {"5"}


def test_a_norm_that_is_none_by_class_is_looked_at_in_two_passes():
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(4))
            self.register_buffer("var", torch.ones(4))

        def forward(self, x):
            x = F.dropout(x, 0.5, self.training)
            return F.batch_norm(x, self.mean, self.var, training=self.training)

    with steady(0):
        monitor = looked(Functional(), gaussian(9, channels=4))
    assert any("takes a training pass too" in note for note in monitor.notes)
    assert len(monitor.history) == 8
    (norm,) = monitor.history[-1].norms.values()
    assert abs(norm.shift - 0.5) < 0.05


def test_a_resumed_run_goes_on():
    torch.manual_seed(0)
    model = direct(4)
    monitor = looked(model, gaussian(5, channels=4))
    kept = io.BytesIO()
    torch.save(monitor.state_dict(), kept)
    kept.seek(0)
    other = vs.Monitor(model, every=1, warn=False)
    other.load_state_dict(torch.load(kept, weights_only=True))
    assert other.to_dict()["history"] == monitor.to_dict()["history"]
    assert other.overhead == monitor.overhead
    assert other.result().codes == monitor.result().codes == {"1": "VS101"}
    assert other.result().behind == monitor.result().behind == {"1": ("0",)}
    for x in gaussian(3, channels=4):
        model(x)
        other.step(x)
    assert [record.step for record in other.history] == [2, 3, 4, 5, 7, 8]
    assert other.history[-1].norms["1"].looks == 6
    assert other.result().steps == 8


def test_a_state_of_something_else_is_refused_whole():
    monitor = vs.Monitor(direct(4), every=1, warn=False)
    before = monitor.state_dict()
    for state in ({}, {"steps": 9, "pace": {}}, nn.Linear(2, 2).state_dict()):
        with pytest.raises(UsageError, match="pass what a monitor's state_dict"):
            monitor.load_state_dict(state)
    assert monitor.state_dict() == before


def test_a_warning_given_is_not_given_again_after_resuming():
    with steady(0):
        model = direct()
        with pytest.warns(VarianceShiftWarning, match="VS101"):
            monitor = looked(model, gaussian(8), warn=True)
        other = vs.Monitor(model, every=1)
        other.load_state_dict(monitor.state_dict())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for x in gaussian(4):
                model(x)
                other.step(x)


def test_what_it_gives_is_plain_and_drawn():
    with steady(0):
        monitor = looked(mlp(momentum=None), [torch.randn(64, 8) for _ in range(6)])
    result = monitor.result()
    assert pickle.loads(pickle.dumps(result)).to_dict() == result.to_dict() == monitor.to_dict()
    assert len(monitor.to_frame()) == 2 * len(monitor.history)
    assert list(monitor.to_frame().columns) == list(result.COLUMNS)
    axes = monitor.plot()
    assert len(axes.get_legend().get_texts()) == 2
    assert repr(monitor).startswith("<Monitor: ")
    with io.StringIO() as out:
        rich = pytest.importorskip("rich.console")
        rich.Console(file=out, width=200).print(monitor.table())
        text = out.getvalue()
    assert "5 looks in 6 steps took" in text
    assert "VS101" in text
    assert "VS106" in text  # through the first norm


def test_before_any_look_there_is_nothing_to_plot():
    monitor = looked(mlp(drop_p=0.0), [torch.randn(64, 8)])
    assert "No look was taken in 1 step" in repr(monitor)
    with pytest.raises(UsageError, match=r"no one picture to plot \(.*no noise reaches a norm"):
        monitor.plot()


def test_a_compiled_model_is_looked_at_eagerly():
    """Compiled by a backend that runs the graph as it is: the tracing is that of any other."""
    with steady(0):
        model = direct(8)
        compiled = torch.compile(model, backend="eager")
        monitor = vs.Monitor(compiled, every=1, warn=False)
        for x in gaussian(4, channels=8):
            compiled(x)
            monitor.step(x)
    assert len(monitor.history) == 3
    assert abs(monitor.history[-1].norms["1"].shift - 0.5) < 0.1


def test_under_data_parallel_of_one_rank(tmp_path):
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        wrapped = []

        def make():
            wrapped.append(mlp(momentum=None))
            return _Wrapped(DistributedDataParallel(wrapped[-1]))

        found = []

        def watch(model):
            found.append(vs.Monitor(model.inner, every=1, warn=False))
            return found[0].step

        assert_same(train(make, steps=6), train(make, steps=6, watch=watch))
    finally:
        torch.distributed.destroy_process_group()
    assert len(found[0].history) == 5
    assert set(found[0].history[-1].norms) == {"3", "5"}


class _Wrapped(nn.Module):
    def __init__(self, inner) -> None:
        super().__init__()
        self.inner = inner

    def __getitem__(self, at):
        return self.inner.module[at]

    def forward(self, x):
        return self.inner(x)


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"budget": 0}, "budget is 0; pass a share of the time"),
        ({"budget": 1.5}, "budget is 1.5"),
        ({"every": 0}, "every is 0; pass a whole number of steps"),
        ({"every": 2.5}, "every is 2.5"),
        ({"threshold": 0.9}, "threshold is 0.9; pass a severity of 1 or more"),
        ({"threshold": math.nan}, "threshold is nan"),
        ({"window": 0}, "window is 0; pass a whole number of looks"),
        ({"window": 8.0}, "window is 8.0"),  # taken, and the first look ended the monitor
        ({"window": math.inf}, "window is inf"),
        ({"every": 2.0}, "every is 2.0"),  # taken, and steps were counted as 2.0, 4.0 …
        ({"every": math.nan}, "every is nan"),
    ],
)
def test_a_wrong_argument_is_refused(keywords, said):
    with pytest.raises(UsageError, match=said):
        vs.Monitor(direct(4), **keywords)


def test_what_is_no_model_is_refused():
    with pytest.raises(UsageError, match=r"pass a torch\.nn\.Module"):
        vs.Monitor("model")
