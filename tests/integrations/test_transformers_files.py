"""What a Trainer saves and resumes: with the statistics of training, or with noise-off ones."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from integrations.hugging_face import (
    Pretrained,
    Samples,
    arguments,
    bits,
    evaluated,
    network,
    same,
    transformers,
)
from varshift.integrations.transformers import NoiseOffStatistics

TRAIN, VALIDATION = Samples(600), Samples(200, seed=1)
SAVES = ("training", "noise_off")
EVERY_FIVE_STEPS = {
    "eval_strategy": "steps",
    "eval_steps": 5,
    "save_strategy": "steps",
    "save_steps": 5,
    "num_train_epochs": 2,
}


class Corrected(NoiseOffStatistics, transformers.Trainer):
    pass


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        yield
    torch.set_num_threads(threads)


def trainer_in(folder, kind=Corrected, model=None, own=None, **options):
    if kind is Corrected:
        own = {"max_samples": 150, **(own or {})}
    return kind(
        model=model or network(),
        args=arguments(folder, **(EVERY_FIVE_STEPS | options)),
        train_dataset=TRAIN,
        eval_dataset=VALIDATION,
        **(own or {}),
    )


def file_in(folder):
    return load_file(folder / "model.safetensors")


def scored(folder):
    """The loss of a model file, by a trainer that knows nothing of all this."""
    model = network()
    model.load_state_dict(file_in(folder))
    return trainer_in(folder / "scoring", transformers.Trainer, model).evaluate()["eval_loss"]


# 12 steps an epoch: 10 lies in the middle of the first, 15 in the second.
@pytest.mark.parametrize("save", SAVES)
def test_resumed_in_the_middle_it_ends_as_if_never_stopped(tmp_path, save):
    own = {"save": save, "calibration": TRAIN.batches()[:4]}
    plain = trainer_in(tmp_path / "plain", transformers.Trainer)
    plain.train()
    straight = trainer_in(tmp_path / "straight", own=own)
    straight.train()
    again = trainer_in(tmp_path / "again", model=network(seed=9), own=own)
    again.train(resume_from_checkpoint=str(tmp_path / "straight" / "checkpoint-15"))
    assert same(bits(straight.model), bits(again.model))
    assert evaluated(straight) == evaluated(again)
    last = "checkpoint-24"
    assert same(file_in(tmp_path / "straight" / last), file_in(tmp_path / "again" / last))
    assert same(bits(plain.model), bits(straight.model))


@pytest.mark.parametrize("save", SAVES)
def test_with_the_last_batches_training_resumes_as_exactly(tmp_path, save):
    straight = trainer_in(tmp_path / "straight", own={"save": save})
    straight.train()
    again = trainer_in(tmp_path / "again", model=network(seed=9), own={"save": save})
    again.train(resume_from_checkpoint=str(tmp_path / "straight" / "checkpoint-10"))
    assert same(bits(straight.model), bits(again.model))


def test_a_file_with_noise_off_statistics_scores_what_the_evaluation_said(tmp_path):
    trainer = trainer_in(tmp_path, own={"save": "noise_off"})
    trainer.train()
    steps = (5, 10, 15, 20, 24)
    files = [tmp_path / f"checkpoint-{step}" for step in steps]
    assert [scored(file) for file in files] == pytest.approx(evaluated(trainer), rel=1e-12)
    # The model itself goes on with the statistics of training, as they lie beside the file.
    beside = load_file(files[-1] / "training_statistics.safetensors")
    held = bits(trainer.model)
    named = {name.removeprefix("training/") for name in beside if name.startswith("training/")}
    assert named == {name for name in held if name.endswith(("running_mean", "running_var"))}
    for name in named:
        assert torch.equal(beside[f"training/{name}"], held[name])
        assert torch.equal(beside[f"noise_off/{name}"], file_in(files[-1])[name])


def test_by_default_files_are_those_of_a_trainer_without_it(tmp_path):
    for kind in (transformers.Trainer, Corrected):
        trainer_in(tmp_path / kind.__name__, kind).train()
    for step in (5, 24):
        one, other = (
            tmp_path / kind / f"checkpoint-{step}" for kind in ("Trainer", Corrected.__name__)
        )
        assert same(file_in(one), file_in(other))
        assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}


def test_a_model_of_the_library_is_read_by_from_pretrained(tmp_path):
    model = Pretrained(transformers.PretrainedConfig())
    trainer = trainer_in(tmp_path, model=model, own={"save": "noise_off"}, num_train_epochs=1)
    trainer.train()
    before = bits(model)
    trainer.save_model(str(tmp_path / "final"))
    assert same(before, bits(model))
    read = Pretrained.from_pretrained(tmp_path / "final")
    scoring = trainer_in(tmp_path / "scoring", transformers.Trainer, read)
    assert scoring.evaluate()["eval_loss"] == pytest.approx(evaluated(trainer)[-1], rel=1e-12)


def best(folder, save):
    """Trained so that the first checkpoint counts as the best, and is loaded at the end."""
    own = {"save": save, "max_samples": 600}
    options = {"load_best_model_at_end": True, "greater_is_better": True, "num_train_epochs": 1}
    trainer = trainer_in(folder, own=own, **options)
    trainer.train()
    assert trainer.state.best_global_step == 5
    return trainer


def test_the_best_model_scores_what_chose_it_and_is_saved_like_that(tmp_path):
    trainer = best(tmp_path, "noise_off")
    chosen = file_in(tmp_path / "checkpoint-5")
    assert same(chosen, bits(trainer.model))
    assert trainer.evaluate()["eval_loss"] == pytest.approx(trainer.state.best_metric, rel=1e-12)
    trainer.save_model(str(tmp_path / "final"))
    assert same(chosen, file_in(tmp_path / "final"))
    beside = [
        tmp_path / name / "training_statistics.safetensors" for name in ("checkpoint-5", "final")
    ]
    assert same(*map(load_file, beside))


def test_with_training_s_statistics_the_best_model_is_calibrated_again(tmp_path):
    trainer = best(tmp_path, "training")
    before = bits(trainer.model)
    assert same(file_in(tmp_path / "checkpoint-5"), before)
    loss = trainer.evaluate()["eval_loss"]
    assert loss == pytest.approx(trainer.state.best_metric, rel=0.05)  # from other batches
    assert loss < scored(tmp_path / "checkpoint-5")
    assert same(before, bits(trainer.model))


def test_training_goes_on_from_the_best_model_with_statistics_of_its_own(tmp_path):
    ended = []
    for save in SAVES:
        trainer = best(tmp_path / save, save)
        trainer.args.load_best_model_at_end = False
        trainer.train()
        ended.append(bits(trainer.model))
    assert same(*ended)


def test_other_statistics_than_the_file_s_are_replaced_again(tmp_path):
    trainer = best(tmp_path, "noise_off")
    state = trainer.model.state_dict()
    trainer.model.load_state_dict(state | {"body.3.running_var": state["body.3.running_var"] * 9})
    metric = trainer.state.best_metric
    assert trainer.evaluate()["eval_loss"] == pytest.approx(metric, rel=0.05)


def test_statistics_that_belong_to_another_file_are_left_aside(tmp_path):
    trainer_in(tmp_path, own={"save": "noise_off"}).train()
    trainer_in(tmp_path, transformers.Trainer, seed=1).train()  # over it, knowing nothing
    again = trainer_in(tmp_path)
    with pytest.warns(UserWarning, match=r"training_statistics\.safetensors in .*checkpoint-15.*"):
        again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-15"))
    plain = trainer_in(tmp_path, transformers.Trainer)
    plain.train(resume_from_checkpoint=str(tmp_path / "checkpoint-15"))
    assert same(bits(plain.model), bits(again.model))


def test_a_model_that_was_never_trained_is_saved_as_it_is(tmp_path):
    trainer = Corrected(model=network(), args=arguments(tmp_path), save="noise_off")
    with pytest.warns(UserWarning, match="nothing has been trained here"):
        trainer.save_model()
    assert same(file_in(tmp_path), bits(network()))
    assert not (tmp_path / "training_statistics.safetensors").exists()
