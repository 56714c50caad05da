"""The callback in a run of Lightning: what evaluation uses, and that training never notices."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import varshift as vs
from integrations.lightning_runs import (
    L,
    Net,
    epoch,
    fitted,
    held_out,
    large,
    net_of,
    score,
    states_equal,
    trainer,
)
from problems.libraries import library
from problems.steady import steady
from varshift.errors import ForwardError, UsageError
from varshift.integrations.lightning import NoiseOffStatistics

loggers = library("lightning.pytorch.loggers.logger")
averages = library("lightning.pytorch.callbacks.weight_averaging")

# Lightning's own, about torch and about how few cores there are.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:Warning:lightning"),
    pytest.mark.filterwarnings("ignore:.*num_workers"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec"),
]


def silent(**kwargs):
    return NoiseOffStatistics(lint=False, **kwargs)


def loss_of(module, batch):
    return F.cross_entropy(module(batch[0]), batch[1])


class Seen(L.Callback):
    """What the norms hold at each validation batch and after, and what is logged."""

    def __init__(self):
        self.inside, self.outside, self.metrics = [], [], []

    def on_validation_batch_end(self, trainer, module, *_):
        self.inside.append(module.net[7].running_var.clone())

    def on_validation_end(self, trainer, module):
        self.outside.append(module.net[7].running_var.clone())
        self.metrics.append(dict(trainer.callback_metrics))


@pytest.fixture(scope="module")
def plain():
    """The module after two epochs without the callback."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fitted()[0]


def same_training(module, plain):
    return module.losses == plain.losses and states_equal(module.state_dict(), plain.state_dict())


def expected(module, batches=None):
    """The held-out loss with exact noise-off statistics of all training samples."""
    shipped = copy.deepcopy(module)
    vs.recalibrate(shipped, batches or list(epoch()))
    return score(shipped)


def test_validation_uses_noise_off_statistics_and_training_does_not_notice(plain):
    module, run = fitted(silent())
    assert same_training(module, plain)
    assert float(run.callback_metrics["val_loss"]) == pytest.approx(expected(plain), rel=1e-9)
    assert expected(plain) != pytest.approx(score(plain), rel=1e-3)


@pytest.mark.parametrize(
    "options",
    [
        {"val_check_interval": 5},
        {"limit_val_batches": 1},
        {"accumulate_grad_batches": 3},
        {"num_sanity_val_steps": 0, "gradient_clip_val": 0.5},
        {"max_steps": 17, "max_epochs": -1, "val_check_interval": 4},
        {"fast_dev_run": 2},
    ],
    ids=lambda options: next(iter(options)),
)
def test_training_has_the_same_bits_however_it_is_validated(options):
    with_it, without = fitted(silent(), **options)[0], fitted(**options)[0]
    assert same_training(with_it, without)


def test_lint_and_gain_draw_nothing(plain):
    with pytest.warns(UserWarning, match=r"(?s)varshift finds in Net .*VS101 net\.3: dropout"):
        module, run = fitted(NoiseOffStatistics(gain=loss_of))
    assert same_training(module, plain)
    metrics = {name: float(value) for name, value in run.callback_metrics.items()}
    gain = metrics["varshift/loss_training_statistics"] - metrics["varshift/loss_noise_off"]
    assert metrics["varshift/gain"] == pytest.approx(gain, abs=1e-12)
    first = next(iter(held_out()))
    with torch.no_grad():
        as_trained = float(loss_of(plain.eval(), first))
    plain.train()
    assert metrics["varshift/loss_training_statistics"] == pytest.approx(as_trained, rel=1e-9)


def test_what_is_logged_is_how_far_the_variances_are_apart(plain):
    _, run = fitted(silent())
    found = vs.recalibrate(copy.deepcopy(plain), list(epoch()))
    ratios = [change.ratio for change in found.sites.values()]
    worst = max(max(ratio, 1 / ratio) for ratio in ratios)
    assert float(run.callback_metrics["varshift/severity_worst"]) == pytest.approx(worst, rel=1e-9)
    assert float(run.callback_metrics["varshift/samples"]) == 240
    _, run = fitted(silent(log=False))
    assert not any(name.startswith("varshift") for name in run.callback_metrics)


def test_statistics_are_in_for_batches_alone_and_of_the_weights_of_that_time(plain):
    seen = Seen()
    module, _ = fitted(silent(), seen)
    inside, outside = torch.stack(seen.inside[2:]), torch.stack(seen.outside[1:])
    assert len(inside) == 6  # two epochs, three batches; before them two of the sanity check
    assert len(outside) == 2
    assert (inside.unflatten(0, (2, 3)).diff(dim=1) == 0).all()  # found once per evaluation
    assert (inside[::3] != outside).all()
    assert (inside[::3].diff(dim=0) != 0).all()
    assert torch.equal(outside[-1], module.net[7].running_var)
    assert all(torch.equal(var, torch.ones(16)) for var in seen.inside[:2])  # nothing is trained


@pytest.mark.parametrize("first", [True, False], ids=["listed first", "listed last"])
@pytest.mark.parametrize("use_buffers", [True, False])
def test_an_average_is_validated_with_its_own_noise_off_statistics(first, use_buffers):
    def average():
        return averages.EMAWeightAveraging(decay=0.8, use_buffers=use_buffers)

    callbacks = [silent(), average()]
    module, run = fitted(*(callbacks if first else callbacks[::-1]))
    without, _ = fitted(average())
    assert same_training(module, without)  # both hold the average now
    assert float(run.callback_metrics["val_loss"]) == pytest.approx(expected(without), rel=1e-9)


def test_several_validation_loaders():
    with steady(0):
        module, run = Net(), trainer(silent(gain=loss_of))
        run.fit(module, epoch(), [held_out(), held_out()])
    for index in (0, 1):
        loss = float(run.callback_metrics[f"val_loss/dataloader_idx_{index}"])
        assert loss == pytest.approx(expected(module), rel=1e-9)
    assert "varshift/severity_worst" in run.callback_metrics


def test_validate_test_and_predict_after_training(plain):
    module, run = fitted(silent())
    with steady(0):
        assert run.validate(module, held_out(), verbose=False)[0]["val_loss"] == pytest.approx(
            expected(plain), rel=1e-9
        )
        assert run.test(module, held_out(), verbose=False)[0]["test_loss"] == pytest.approx(
            expected(plain), rel=1e-9
        )
        outputs = torch.cat(run.predict(module, held_out()))
    assert states_equal(module.state_dict(), plain.state_dict())
    assert not any(buffer.is_inference() for buffer in module.buffers())
    shipped = copy.deepcopy(plain)
    vs.recalibrate(shipped, list(epoch()))
    with torch.no_grad():
        wanted = torch.cat([shipped.eval()(x) for x, _ in held_out()])
    torch.testing.assert_close(outputs, wanted, rtol=1e-9, atol=1e-9)


def test_standing_alone_it_takes_calibration_or_says_so(plain):
    module = copy.deepcopy(plain)
    with (
        steady(0),
        pytest.warns(UserWarning, match="has seen no training batch; pass .*calibration"),
    ):
        found = trainer(silent()).validate(module, held_out(), verbose=False)
    assert found[0]["val_loss"] == pytest.approx(score(plain), rel=1e-9)
    with steady(0):
        found = trainer(silent(calibration=epoch())).validate(module, held_out(), verbose=False)
    assert found[0]["val_loss"] == pytest.approx(expected(plain), rel=1e-9)
    assert states_equal(module.state_dict(), plain.state_dict())


def test_frozen_norms_keep_theirs_in_validation(plain):
    class Frozen(Net):
        def on_train_epoch_start(self):
            self.net[3].eval()

    kept = []

    class Look(L.Callback):
        def on_validation_batch_end(self, trainer, module, *_):
            kept.append((module.net[3].running_var.clone(), module.net[7].running_var.clone()))

    module, _ = fitted(silent(), Look(), kind=Frozen)
    assert all(torch.equal(first, torch.ones(16)) for first, _ in kept)
    assert not torch.equal(kept[-1][1], module.net[7].running_var)


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("validation_step", ValueError),
        ("validation_step", KeyboardInterrupt),
        ("on_validation_batch_end", ValueError),
    ],
)
def test_what_raises_in_validation_leaves_the_statistics_of_training(where, error, plain):
    class Raises(Net):
        pass

    def fail(self, *_):
        if self.trainer.current_epoch == 1:
            raise error("in the last validation")

    setattr(Raises, where, fail)
    if where == "on_validation_batch_end":
        Raises.validation_step = Net.validation_step
    made = []
    with pytest.raises((ValueError, SystemExit)):
        fitted(silent(), kind=lambda: made.append(Raises()) or made[0])
    module = made[0]
    assert states_equal(module.state_dict(), plain.state_dict())


def test_workers_that_persist_lose_no_sample():
    drawn = []

    class Notes(Net):
        def training_step(self, batch, batch_idx):
            drawn.append(batch[0][:, 0].clone())
            return super().training_step(batch, batch_idx)

    loader = epoch(num_workers=1, persistent_workers=True)
    fitted(silent(), kind=Notes, loader=loader, max_epochs=1, val_check_interval=4)
    assert len(torch.cat(drawn).unique()) == 240


def test_the_loader_that_training_iterates_may_be_passed():
    loader = epoch(num_workers=1, persistent_workers=True)
    one, _ = fitted(loader=epoch(num_workers=1, persistent_workers=True), val_check_interval=4)
    other, _ = fitted(silent(calibration=loader), loader=loader, val_check_interval=4)
    one, other = one.state_dict(), other.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_the_callback_cannot_do_is_refused_in_words():
    with pytest.raises(UsageError, match="save is 'both'; pass 'training' or 'noise_off'"):
        NoiseOffStatistics(save="both")
    with pytest.raises(UsageError, match="max_samples is 1; a variance takes at least 2"):
        NoiseOffStatistics(max_samples=1)
    with pytest.raises(UsageError, match="max_bytes is 0"):
        NoiseOffStatistics(max_bytes=0)

    class NoForward(Net):
        forward = L.LightningModule.forward

        def training_step(self, batch, _):
            return F.cross_entropy(self.net(batch[0]), batch[1])

        def validation_step(self, batch, _):
            self.log("val_loss", F.cross_entropy(self.net(batch[0]), batch[1]))

    with pytest.raises(UsageError, match=r"NoForward defines no forward\(\): pass"):
        fitted(silent(), kind=NoForward)
    _, run = fitted(silent(forward=lambda module, batch: module.net(batch[0])), kind=NoForward)
    assert "varshift/severity_worst" in run.callback_metrics


def test_a_second_one_in_the_same_trainer_is_refused():
    """It would take what the first puts in for training's own, and leave it there."""
    with pytest.raises(UsageError, match=r"two NoiseOffStatistics callbacks.*: leave one out"):
        fitted(silent(), silent(), max_epochs=1)


def test_another_training_begins_with_no_batches_of_the_last_one():
    callback, seen = silent(), Seen()
    fitted(callback, max_epochs=1)
    x, y = large(48, 8)
    fitted(callback, seen, loader=DataLoader(TensorDataset(x, y), 24), max_epochs=1)
    assert seen.metrics[-1]["varshift/samples"] == 48


class Logging(Net):
    """Logs in its step, by Lightning and past it."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        self.log_dict({"part": loss})
        self.logger.log_metrics({"direct": float(loss.detach())})
        return loss


class Kept(loggers.Logger):
    """A logger that keeps what it is told."""

    name, version = "kept", 0

    def __init__(self):
        super().__init__()
        self.told = []

    def log_metrics(self, metrics, step=None):
        own = {name: value for name, value in metrics.items() if "varshift" not in name}
        self.told += [own] if own else []

    def log_hyperparams(self, *_):
        pass


def logged(*callbacks):
    """By Lightning and by its logger; the validation loss is another with noise off."""
    kept = Kept()
    module, run = fitted(*callbacks, kind=Logging, logger=kept, log_every_n_steps=1)
    metrics = {n: float(v) for n, v in run.callback_metrics.items() if "varshift" not in n}
    for told in [*kept.told, metrics]:
        told.pop("val_loss", None)
    return metrics, kept.told, len(module.losses)


def as_in_training(module, batch):
    return module.training_step(batch, 0)


def test_what_a_step_logs_while_it_is_run_for_us_is_not_logged():
    """Early stopping would follow it."""
    metrics, told, steps = logged()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lint
        seen = logged(NoiseOffStatistics(forward=as_in_training, gain=as_in_training))
    assert seen[:2] == (metrics, told)
    assert seen[2] > steps


def test_the_log_comes_back_also_when_calibration_raises():
    asked = []

    def astray(module, batch):
        asked.append(module)
        raise ValueError("astray")

    with pytest.raises(ForwardError, match="astray"):
        fitted(silent(forward=astray), kind=Logging, logger=Kept(), max_epochs=1)
    assert not {"log", "log_dict"} & vars(asked[0]).keys()


def test_a_wrong_call_ends_training_and_weights_gone_astray_do_not():
    with pytest.raises(ForwardError, match="the model raised TypeError on batch 0"):
        fitted(silent(forward=lambda module, batch: module(batch["wrong"])))

    class Astray(Net):
        def on_train_batch_end(self, *_):
            with torch.no_grad():
                self.net[0].weight.fill_(float("inf"))

    with pytest.warns(UserWarning, match="noise-off statistics failed, so training's are used: "):
        fitted(silent(), kind=Astray, max_epochs=1)


def test_it_serves_a_trainer_of_the_other_package(plain):
    other = library("pytorch_lightning")
    with steady(0):
        module = net_of(other.LightningModule)()
        run = trainer(silent(), kind=other.Trainer)
        run.fit(module, epoch(), held_out())
    assert same_training(module, plain)
    assert float(run.callback_metrics["val_loss"]) == pytest.approx(expected(plain), rel=1e-9)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_network_with_dropout_before_its_norms_validates_better(seed):
    """Where the loss falls by a sixth and more, over three seeds: no rounding does that."""
    x, y = large(5000)
    train = DataLoader(TensorDataset(x[:4000], y[:4000]), batch_size=100, shuffle=True)
    validation = DataLoader(TensorDataset(x[4000:], y[4000:]), batch_size=500)

    class Large(Net):
        def __init__(self):
            super().__init__(drop_p=0.4, features=16, width=64, depth=3)

    with steady(seed):
        module, run = Large(), trainer(silent(), max_epochs=6, check_val_every_n_epoch=7)
        run.fit(module, train, validation)
        without = trainer().validate(module, validation, verbose=False)[0]["val_loss"]
        with_it = run.validate(module, validation, verbose=False)[0]["val_loss"]
    assert with_it < 0.95 * without, (with_it, without)
