"""Every evaluation of a Trainer sees noise-off statistics, and training never notices."""

from __future__ import annotations

import copy
import importlib
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close
from torch.utils.data import IterableDataset

import varshift as vs
from integrations.hugging_face import (
    Samples,
    arguments,
    bits,
    evaluated,
    network,
    same,
    transformers,
)
from varshift.integrations.transformers import NoiseOffStatistics, attach

TRAIN, VALIDATION, OTHER = Samples(600), Samples(300, seed=1), Samples(200, seed=2)


class Corrected(NoiseOffStatistics, transformers.Trainer):
    pass


KINDS = (transformers.Trainer, Corrected)


def trained(trainer):
    """Seeds are set when a trainer is made, so each is trained before another is."""
    trainer.train()
    return trainer


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        yield
    torch.set_num_threads(threads)


@pytest.fixture
def trainer_of(tmp_path):
    """A trainer of that class; what no argument of the Trainer's own is, is for the arguments."""

    def make(kind=transformers.Trainer, model=None, own=None, **options):
        return kind(
            model=model or network(),
            args=arguments(tmp_path, **options),
            **({"train_dataset": TRAIN, "eval_dataset": VALIDATION} | (own or {})),
        )

    return make


def noise_off_variances(model, batches):
    """Noise off, every norm already right, one layer after another: the slow, obvious way."""
    x, found = torch.cat([batch["x"] for batch in batches]), {}
    for name, layer in copy.deepcopy(model).body.eval().named_children():
        if isinstance(layer, nn.BatchNorm1d):
            layer.running_mean, layer.running_var = x.mean(0), x.var(0)
            found[f"body.{name}"] = x.var(0)
        with torch.no_grad():
            x = layer(x)
    return found


def variances(model):
    return {
        name.removesuffix(".running_var"): value.clone()
        for name, value in model.named_buffers()
        if name.endswith("running_var")
    }


class Watching:
    """As `compute_metrics`: what the statistics are in the loop, at its very end."""

    def __init__(self, raises=None):
        self.trainer, self.seen, self.raises = None, [], raises

    def __call__(self, prediction):
        self.seen.append(variances(self.trainer.model))
        if self.raises is not None:
            raise self.raises
        return {}


def watched(make, *arguments_, raises=None, own=None, **options):
    watching = Watching(raises)
    trainer = make(*arguments_, own={"compute_metrics": watching, **(own or {})}, **options)
    watching.trainer = trainer
    return trainer, watching


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_validation_loss_is_lower_and_training_the_same(trainer_of, seed):
    found = []
    for kind in KINDS:
        options = {"seed": seed, "eval_strategy": "steps", "eval_steps": 5, "num_train_epochs": 3}
        trainer = trained(trainer_of(kind, network(seed), **options))
        found.append((evaluated(trainer), bits(trainer.model)))
    (plain, one), (corrected, other) = found
    assert same(one, other)
    assert len(corrected) == 8  # in the middle of epochs, and at the end
    # After ten steps a running average has caught up with the weights.
    assert all(ours < theirs - 0.02 for ours, theirs in zip(corrected[1:], plain[1:], strict=True))


def test_in_the_loop_the_statistics_are_those_of_evaluation(trainer_of):
    trainer, watching = watched(trainer_of, Corrected)
    trainer.train()
    before = bits(trainer.model)
    trainer.evaluate()
    (seen,) = watching.seen
    recent = list(trainer._noise_off.recent.batches())
    assert sum(len(batch["x"]) for batch in recent) == 600
    for path, var in noise_off_variances(trainer.model, recent).items():
        assert_close(seen[path], var, rtol=1e-10, atol=0)
    assert same(before, bits(trainer.model))


def test_the_last_batches_count(trainer_of):
    trainer, watching = watched(trainer_of, Corrected, own={"max_samples": 130})
    trainer.train()
    trainer.evaluate()
    first, second, third = trainer._noise_off.recent.batches()
    last = {"x": third["x"][:30]}
    for path, var in noise_off_variances(trainer.model, [first, second, last]).items():
        assert_close(watching.seen[0][path], var, rtol=1e-10, atol=0)


def test_each_of_several_sets_and_predictions(trainer_of):
    several = {"one": VALIDATION, "other": OTHER}
    trainer, watching = watched(trainer_of, Corrected, own={"eval_dataset": several})
    trainer.train()
    before = bits(trainer.model)
    truth = noise_off_variances(trainer.model, trainer._noise_off.recent.batches())
    metrics = trainer.evaluate()
    predicted = trainer.predict(OTHER)
    assert len(watching.seen) == 3
    for seen in watching.seen:
        for path, var in truth.items():
            assert_close(seen[path], var, rtol=1e-10, atol=0)
    assert metrics["eval_other_loss"] == predicted.metrics["test_loss"]
    assert same(before, bits(trainer.model))


@pytest.mark.parametrize("raised", [ValueError("no such metric"), KeyboardInterrupt()])
def test_they_go_back_whatever_is_raised(trainer_of, raised):
    trainer, watching = watched(trainer_of, Corrected, raises=raised)
    trainer.train()
    before = bits(trainer.model)
    with pytest.raises(type(raised)):
        trainer.evaluate()
    assert not torch.equal(watching.seen[0]["body.3"], before["body.3.running_var"])
    assert same(before, bits(trainer.model))


def test_before_the_first_step_training_data_are_read(trainer_of):
    workers = {"dataloader_num_workers": 1, "dataloader_persistent_workers": True}
    options = {"eval_on_start": True, "eval_strategy": "steps", "eval_steps": 5, **workers}
    other = trained(trainer_of(**options))  # an evaluation draws, so it must have one as well
    trainer, watching = watched(trainer_of, Corrected, **options)
    trainer.train()
    truth = noise_off_variances(network(), TRAIN.batches())  # all of it, in any order
    for path, var in truth.items():
        assert_close(watching.seen[0][path], var, rtol=1e-10, atol=0)
    assert same(bits(trainer.model), bits(other.model))


def test_predict_before_train(trainer_of):
    trainer, watching = watched(trainer_of, Corrected)
    before = bits(trainer.model)
    trainer.predict(VALIDATION)
    for path, var in noise_off_variances(network(), TRAIN.batches()).items():
        assert_close(watching.seen[0][path], var, rtol=1e-10, atol=0)
    assert same(before, bits(trainer.model))


class Stream(IterableDataset):
    def __iter__(self):
        return iter(TRAIN)


@pytest.mark.parametrize("dataset", [None, Stream()], ids=["none", "stream"])
def test_without_training_data_it_is_said_once(trainer_of, dataset):
    own = {"train_dataset": dataset}
    plain, trainer = (trainer_of(kind, own=own, max_steps=1) for kind in KINDS)
    with pytest.warns(UserWarning, match=r"nothing has been trained here.*calibration="):
        metrics = trainer.evaluate()
    assert metrics["eval_loss"] == plain.evaluate()["eval_loss"]
    trainer.evaluate()  # a second warning would be an error


def test_given_batches_are_used(trainer_of):
    calibration = OTHER.batches()
    own = {"calibration": calibration, "train_dataset": None}
    trainer, watching = watched(trainer_of, Corrected, own=own)
    trainer.evaluate()
    for path, var in noise_off_variances(network(), calibration).items():
        assert_close(watching.seen[0][path], var, rtol=1e-10, atol=0)


def test_attached_to_a_trainer_it_is_the_same(trainer_of):
    class Mine(transformers.Trainer):
        """One of somebody's own."""

    one = trained(trainer_of(Corrected, eval_strategy="epoch"))
    other = trainer_of(Mine, eval_strategy="epoch")
    assert attach(other) is other
    assert isinstance(other, Mine)
    other.train()
    assert evaluated(one) == evaluated(other)
    with pytest.raises(vs.errors.UsageError, match="Mine has noise-off statistics already"):
        attach(other)


def test_what_is_wrong_is_refused(trainer_of):
    with pytest.raises(vs.errors.UsageError, match=r"takes a Trainer of transformers.*Linear"):
        attach(nn.Linear(1, 1))
    with pytest.raises(vs.errors.UsageError, match="save is 'both'; it is 'training' or"):
        attach(trainer_of(), save="both")
    with pytest.raises(vs.errors.UsageError, match=r"max_samples is 1;.*at least 2"):
        trainer_of(Corrected, own={"max_samples": 1})
    with pytest.raises(vs.errors.UsageError, match=r"Other\(Trainer, Noise.*: put Noise.* first"):
        type("Other", (transformers.Trainer, NoiseOffStatistics), {})


def test_a_model_without_norms_is_refused(trainer_of):
    trainer = trainer_of(Corrected, Linear())
    with pytest.raises(vs.errors.ModelError, match="no BatchNorm"):
        trainer.evaluate()


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 2).double()

    def forward(self, x, labels):
        return {"loss": F.cross_entropy(self.head(x), labels)}


class Frozen(nn.Module):
    """Its first norm stays in eval mode when the others train."""

    def __init__(self):
        super().__init__()
        self.net = network()

    def train(self, mode=True):
        super().train(mode)
        self.net.body[3].eval()
        return self

    def forward(self, x, labels=None):
        return self.net(x, labels)


def test_norms_that_are_frozen_in_training_stay(trainer_of):
    trainer, watching = watched(trainer_of, Corrected, Frozen())
    trainer.train()
    for _ in range(2):  # at the second the flags are those of evaluation
        trainer.evaluate()
    for seen in watching.seen:
        assert torch.equal(seen["net.body.3"], torch.ones(16, dtype=torch.float64))
        assert float(seen["net.body.7"].sub(1).abs().max()) > 0.05


class Popping(transformers.Trainer):
    """Labels are taken out of the batch, and the model is called without names."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        labels = inputs.pop("labels")
        logits = model(inputs.pop("x"))["logits"]
        loss = F.cross_entropy(logits, labels)
        return (loss, {"logits": logits}) if return_outputs else loss


def per_item(outputs, labels, num_items_in_batch):
    return F.cross_entropy(outputs["logits"], labels, reduction="sum") / num_items_in_batch


@pytest.mark.parametrize(
    ("kind", "own"),
    [(Popping, {}), (transformers.Trainer, {"compute_loss_func": per_item})],
    ids=["compute_loss", "compute_loss_func"],
)
def test_the_model_is_run_as_training_runs_it(trainer_of, kind, own):
    plain = trained(trainer_of(kind, own=own, eval_strategy="epoch"))
    trainer = trained(attach(trainer_of(kind, own=own, eval_strategy="epoch")))
    assert len(trainer._noise_off.recent.batches()) == 12
    truth = noise_off_variances(trainer.model, trainer._noise_off.recent.batches())
    with vs.test_statistics(
        trainer.model, [{"x": b["x"]} for b in trainer._noise_off.recent.batches()]
    ):
        for path, var in truth.items():
            assert_close(variances(trainer.model)[path], var, rtol=1e-10, atol=0)
        assert_close(plain_loss(trainer), evaluated(trainer)[-1], rtol=1e-10, atol=0)
    assert same(bits(plain.model), bits(trainer.model))


def plain_loss(trainer):
    """What the model in its present state scores, without any trainer."""
    with torch.no_grad():
        return float(trainer.model.eval()(VALIDATION.x, VALIDATION.y)["loss"])


def test_another_forward(trainer_of):
    calibration = [batch["x"] for batch in TRAIN.batches()]
    own = {"calibration": calibration, "forward": lambda model, x: model(x)}
    trainer, watching = watched(trainer_of, Corrected, own=own)
    trainer.evaluate()
    for path, var in noise_off_variances(network(), TRAIN.batches()).items():
        assert_close(watching.seen[0][path], var, rtol=1e-10, atol=0)


class Logging(transformers.Trainer):
    """Logs a part of its loss, as trainers of several losses do."""

    def compute_loss(self, model, inputs, return_outputs=False, **keywords):
        outputs = model(**inputs)
        self.log({"part": float(outputs["loss"].detach())})
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]


def test_what_is_logged_while_calibrating_is_not_of_training(trainer_of):
    plain = trained(trainer_of(Logging, eval_strategy="epoch"))
    other = trained(attach(trainer_of(Logging, eval_strategy="epoch")))
    assert len(evaluated(other, "part")) == len(evaluated(plain, "part"))
    assert "log" not in vars(other)


def test_gradient_accumulation(trainer_of):
    options = {"gradient_accumulation_steps": 5, "eval_strategy": "steps", "eval_steps": 1}
    plain, trainer = (trained(trainer_of(kind, **options)) for kind in KINDS)
    assert len(evaluated(trainer)) == 3  # of twelve batches, the last two alone
    assert same(bits(plain.model), bits(trainer.model))
    assert len(trainer._noise_off.recent.batches()) == 12


def test_autocast(trainer_of):
    """The calibration runs as the evaluation does: in bfloat16 where that is asked for."""
    kept = []

    def single_model():
        model = network().float()
        model.head.register_forward_hook(lambda _, given, out: kept.append(out.dtype))
        return model

    options = {"own": {"data_collator": single}, "bf16": True, "eval_strategy": "epoch"}
    plain, trainer = (trained(trainer_of(kind, single_model(), **options)) for kind in KINDS)
    assert set(kept) == {torch.bfloat16}
    assert same(bits(plain.model), bits(trainer.model))


def single(samples):
    """A batch in float32."""
    stacked = {name: torch.stack([s[name] for s in samples]) for name in ("x", "labels")}
    return {"x": stacked["x"].float(), "labels": stacked["labels"]}


def test_an_optimizer_that_evaluates_other_weights(trainer_of):
    """Schedule-free optimizers swap an average in for evaluation, and say so by `eval()`."""

    class Averaging(torch.optim.SGD):
        def _swapped(self, factor):
            for group in self.param_groups:
                for weight in group["params"]:
                    weight.data.mul_(factor)

        def eval(self):
            if not self.evaluates:
                self._swapped(0.5)
            self.evaluates = True

        def train(self):
            if self.evaluates:
                self._swapped(2.0)
            self.evaluates = False

        evaluates = False

    model = network()
    own = {"optimizers": (Averaging(model.parameters(), 0.1), None)}
    trainer, watching = watched(trainer_of, Corrected, model, own=own)
    trainer.train()
    trainer.evaluate()
    for path, var in noise_off_variances(model, trainer._noise_off.recent.batches()).items():
        assert_close(watching.seen[0][path], var, rtol=1e-10, atol=0)


class WritesIntoItsInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = network()

    def forward(self, x, labels=None):
        return self.net(x.mul_(0.5), labels)


def test_a_model_that_writes_into_its_input(trainer_of):
    trainer = trainer_of(Corrected, WritesIntoItsInput())
    trainer.train()
    held = torch.cat([batch["x"] for batch in trainer._noise_off.recent.batches()])
    assert_close(held.sum(0), TRAIN.x.sum(0), rtol=1e-9, atol=1e-9)


def test_a_small_resnet_of_transformers(trainer_of):
    """A model of the library itself; its norms see dropout from the embedder's channels."""
    config = transformers.ResNetConfig(
        num_channels=1, embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], num_labels=2
    )
    model = transformers.ResNetForImageClassification(config)
    model.resnet.embedder.pooler = nn.Sequential(model.resnet.embedder.pooler, nn.Dropout(0.5))
    batches = [
        {"pixel_values": torch.randn(1, 16, 16), "labels": torch.tensor(n % 2)} for n in range(40)
    ]
    trainer = trainer_of(
        Corrected,
        model,
        own={"train_dataset": batches, "eval_dataset": batches},
        eval_strategy="epoch",
        per_device_train_batch_size=10,
    )
    trainer.train()
    before = bits(trainer.model)
    with vs.test_statistics(trainer.model, list(trainer._noise_off.recent.batches())) as found:
        assert len(found.sites) == 8
    assert same(before, bits(trainer.model))


def test_without_the_library_it_says_what_to_install(monkeypatch):
    mine = "varshift.integrations.transformers"
    for name in [name for name in sys.modules if name.startswith(mine)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        vs.errors.MissingExtraError, match=r"pip install 'varshift\[transformers\]'"
    ):
        importlib.import_module(mine)
