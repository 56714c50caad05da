"""Checkpoints: what they hold, what a plain module scores with them, and exact resume."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch

import varshift as vs
from integrations.lightning_runs import (
    Net,
    Seeded,
    epoch,
    fitted,
    held_out,
    score,
    states_equal,
    trainer,
)
from problems.libraries import library
from problems.steady import steady
from varshift.errors import UsageError
from varshift.integrations.lightning import NoiseOffStatistics

callbacks = library("lightning.pytorch.callbacks")
strategies = library("lightning.pytorch.strategies")

# Lightning's own, about torch and about how few cores there are.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:Warning:lightning"),
    pytest.mark.filterwarnings("ignore:.*num_workers"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec"),
]


def silent(**kwargs):
    return NoiseOffStatistics(lint=False, **kwargs)


def average():
    return callbacks.EMAWeightAveraging(decay=0.8)


def files(folder, **kwargs):
    """One file an epoch: epoch=0.ckpt and so on."""
    return callbacks.ModelCheckpoint(
        folder, filename="{epoch}", save_top_k=-1, monitor="val_loss", **kwargs
    )


def saved(folder, epoch):
    return torch.load(folder / f"epoch={epoch}.ckpt", weights_only=True)


def loaded(file):
    """A plain module with what the file's `state_dict` holds."""
    with steady(0):
        module = Net()
    module.load_state_dict(file["state_dict"])
    return module.eval()


ORDERS = {
    "alone": lambda mine: [mine],
    "behind an average": lambda mine: [average(), mine],
    "before an average": lambda mine: [mine, average()],
}


@pytest.mark.parametrize("order", ORDERS)
def test_a_file_scores_what_validation_said(order, tmp_path):
    said = []

    class Note(callbacks.Callback):
        def on_validation_end(self, trainer, module):
            if not trainer.sanity_checking:
                said.append(float(trainer.callback_metrics["val_loss"]))

    mine = silent(save="noise_off")
    module, run = fitted(files(tmp_path), *ORDERS[order](mine), Note(), enable_checkpointing=True)
    for index, loss in enumerate(said):
        assert score(loaded(saved(tmp_path, index))) == pytest.approx(loss, rel=1e-12)
    assert len(set(said)) == 2
    # What leaves training is what is shipped, and is what validation says of it.
    assert score(module) == pytest.approx(said[-1], rel=1e-12)
    with steady(0):
        again = run.validate(module, held_out(), verbose=False)[0]["val_loss"]
    assert again == pytest.approx(said[-1], rel=1e-12)


@pytest.mark.parametrize(
    ("save", "order"), [("training", "alone"), *(("noise_off", order) for order in ORDERS)]
)
def test_a_resumed_run_equals_one_that_never_stopped(save, order, tmp_path):
    def run(folder, **kwargs):
        return fitted(
            *(files(folder), *ORDERS[order](silent(save=save))),
            kind=Seeded,
            enable_checkpointing=True,
            **kwargs,
        )

    whole, _ = run(tmp_path / "whole")
    start = tmp_path / "whole" / "epoch=0.ckpt"
    resumed, _ = run(tmp_path / "resumed", ckpt_path=start)
    assert resumed.losses == whole.losses[10:]
    assert states_equal(resumed.state_dict(), whole.state_dict())
    one, other = saved(tmp_path / "whole", 1), saved(tmp_path / "resumed", 1)
    assert states_equal(one["state_dict"], other["state_dict"])
    assert ("varshift" in one) == (save == "noise_off")


def test_training_is_the_same_and_training_s_files_too(tmp_path):
    fitted(files(tmp_path / "without"), enable_checkpointing=True)
    fitted(files(tmp_path / "with"), silent(), enable_checkpointing=True)
    fitted(files(tmp_path / "both"), silent(save="noise_off"), enable_checkpointing=True)
    for index in range(2):
        without = saved(tmp_path / "without", index)
        assert states_equal(saved(tmp_path / "with", index)["state_dict"], without["state_dict"])
        both = saved(tmp_path / "both", index)
        assert not states_equal(both["state_dict"], without["state_dict"])
        own = both["state_dict"] | both["varshift"]["training"]
        assert states_equal(own, without["state_dict"])


def test_the_file_of_an_average_resumes_without_the_callback_too(tmp_path):
    whole, _ = fitted(average(), kind=Seeded)
    mine = silent(save="noise_off")
    fitted(
        *(files(tmp_path / "b"), mine, average()),
        kind=Seeded,
        enable_checkpointing=True,
        max_epochs=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        resumed, _ = fitted(average(), kind=Seeded, ckpt_path=tmp_path / "b" / "epoch=0.ckpt")
    assert states_equal(resumed.state_dict(), whole.state_dict())


def test_a_file_is_tested_as_it_is_shipped(tmp_path):
    mine = silent(save="noise_off")
    _, run = fitted(files(tmp_path), mine, enable_checkpointing=True)
    path = tmp_path / "epoch=1.ckpt"
    with steady(0):
        found = trainer(silent()).test(Net(), held_out(), ckpt_path=path, verbose=False)
    assert found[0]["test_loss"] == pytest.approx(
        float(run.callback_metrics["val_loss"]), rel=1e-12
    )


def test_a_file_of_the_middle_of_an_epoch(tmp_path):
    kept = callbacks.ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=5)
    fitted(kept, silent(save="noise_off", calibration=list(epoch())), enable_checkpointing=True)
    file = torch.load(kept.best_model_path, weights_only=True)
    training = loaded(file)
    training.load_state_dict(file["state_dict"] | file["varshift"]["training"])
    vs.recalibrate(training, list(epoch()))
    for name, value in training.state_dict().items():
        torch.testing.assert_close(value, file["state_dict"][name], rtol=1e-9, atol=1e-12)


def test_what_is_saved_when_something_raises_can_be_resumed(tmp_path):
    class Raises(Net):
        def validation_step(self, batch, batch_idx, dataloader_idx=0):
            if self.trainer.current_epoch == 1 and batch_idx == 1:
                raise ValueError("in the second validation")
            super().validation_step(batch, batch_idx)

    kept = callbacks.OnExceptionCheckpoint(tmp_path)
    with pytest.raises(ValueError, match="in the second validation"):
        fitted(kept, silent(save="noise_off"), kind=Raises, enable_checkpointing=True)
    file = torch.load(tmp_path / "on_exception.ckpt", weights_only=True)
    plain, _ = fitted()
    assert states_equal(file["state_dict"] | file["varshift"]["training"], plain.state_dict())


def test_a_second_fit_goes_on_from_training_s_own_statistics():
    def twice(*mine):
        with steady(0):
            module, run = Net(), trainer(*mine, max_epochs=1)
            run.fit(module, epoch(), held_out())
            run.fit_loop.max_epochs = 2
            run.fit(module, epoch(), held_out())
        return module, run

    (plain, _), (module, _) = twice(), twice(silent(save="noise_off"))
    assert module.losses == plain.losses
    shipped = copy.deepcopy(plain)
    vs.recalibrate(shipped, list(epoch()))
    for name, value in shipped.state_dict().items():
        torch.testing.assert_close(module.state_dict()[name], value, rtol=1e-9, atol=1e-12)


def test_a_norm_that_a_module_holds_twice_has_them_under_both_names(tmp_path):
    class Twice(Net):
        def __init__(self):
            super().__init__()
            self.also = self.net[3]

    fitted(files(tmp_path), silent(save="noise_off"), kind=Twice, enable_checkpointing=True)
    state = saved(tmp_path, 1)["state_dict"]
    assert torch.equal(state["net.3.running_var"], state["also.running_var"])


def test_files_that_could_not_hold_them_are_refused(tmp_path):
    light = files(tmp_path, save_weights_only=True)
    with pytest.raises(UsageError, match=r"ModelCheckpoint\(save_weights_only=True\) asks no call"):
        fitted(light, silent(save="noise_off"), enable_checkpointing=True)
    fitted(light, silent(), enable_checkpointing=True, max_epochs=1)

    class FSDPStrategy(strategies.SingleDeviceStrategy):
        """By its name alone: the real one wants an accelerator."""

    with pytest.raises(UsageError, match="FSDPStrategy keeps parts of the module's state on each"):
        fitted(silent(save="noise_off"), strategy=FSDPStrategy("cpu"))


def test_a_file_without_any_batch_seen_says_that_it_holds_training_s(tmp_path):
    _, run = fitted(max_epochs=1)
    mine = silent(save="noise_off")
    run.callbacks.append(mine)
    with pytest.warns(UserWarning, match="a file keeps the statistics of training: this callback"):
        run.save_checkpoint(tmp_path / "one.ckpt")
    assert "varshift" not in torch.load(tmp_path / "one.ckpt", weights_only=True)
