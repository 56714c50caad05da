"""bfloat16 in the convolutions of training, and nowhere else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import varshift as vs
from reproduce.small import DROPPED, LITTLE, PLAIN
from varshift.reproduce import trial
from varshift.reproduce.estimates import estimate
from varshift.reproduce.images import Pixels, crop_and_flip, pixels
from varshift.reproduce.nets import Shape, WideResNet
from varshift.reproduce.one import Job, do
from varshift.reproduce.precision import bf16_available, precision_of, wish_named
from varshift.reproduce.recipe import Recipe
from varshift.reproduce.recording import record_of
from varshift.reproduce.run import Images, Run
from varshift.reproduce.training import fresh_net, train
from varshift.reproduce.trial import WORTH, chosen_precision, speeds

needs_bf16 = pytest.mark.skipif(
    not bf16_available("cpu"), reason="no bfloat16 autocast on this processor"
)
# 0.1 is too steep for ten epochs of so few images: one seed would go far from the others.
LEARNS = Recipe(10, (5.0, 8.0), 0.1, 1e-4, batch_size=64, pad=1, rate=0.05, flip=False)


@needs_bf16
def test_bf16_reaches_what_fp32_reaches(tmp_path):
    """Same epochs, three seeds each: its mean error is within the interval of fp32's."""
    run = Run(Shape("WRN", 1, 1), PLAIN.placing, Images("digits", 8), LEARNS, 0)
    held = pixels(run.images)
    errors = {"fp32": [], "bf16": []}
    for precision, found in errors.items():
        for seed in range(3):
            one = replace(run, seed=seed)
            net = train(one, held, tmp_path / f"{precision}{seed}", precision=precision).net
            with torch.no_grad():
                wrong = net(held.test).argmax(1) != held.test_labels
            found.append(100 * float(wrong.float().mean()))
    assert max(errors["fp32"] + errors["bf16"]) < 8  # a guess errs in 90
    full, half = estimate(errors["fp32"]), estimate(errors["bf16"])
    assert full.low <= half.mean <= full.high, errors
    assert abs(half.mean - full.mean) < 2, errors  # intervals of three seeds are wide


@needs_bf16
def test_only_the_training_forward_is_cast(digits, tmp_path, monkeypatch):
    """Looks on the way, errors and shifts are float32, even under a caller's own autocast."""
    seen, plain = [], WideResNet.forward

    def watched(self, x):
        scores = plain(self, x)
        seen.append((torch.is_grad_enabled(), scores.dtype))
        return scores

    monkeypatch.setattr(WideResNet, "forward", watched)
    trained = train(DROPPED, digits, tmp_path / "state.pt", precision="bf16")
    assert set(seen) == {(True, torch.bfloat16), (False, torch.float32)}
    assert seen.count((True, torch.bfloat16)) == 8  # the steps, and nothing else
    seen.clear()
    with torch.autocast("cpu", torch.bfloat16):
        record = record_of(DROPPED, trained, digits, LITTLE)
    assert {dtype for _, dtype in seen} == {torch.float32}
    assert record["precision"] == "bf16"
    assert {weight.dtype for weight in trained.net.parameters()} == {torch.float32}


@needs_bf16
def test_norms_keep_float32_moments_of_what_they_are_given(digits):
    net = fresh_net(PLAIN, digits).train()
    norm, inputs = net.blocks[0].norm2, []
    norm.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    with torch.autocast("cpu", torch.bfloat16):
        net(digits.train)
    (x,) = inputs
    assert x.dtype == torch.bfloat16
    assert norm.running_var.dtype == torch.float32
    exact = x.detach().double().var((0, 2, 3), correction=1)
    found = (norm.running_var.double() - 0.9) / 0.1
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-5)


@needs_bf16
def test_a_state_goes_on_in_the_precision_it_was_begun_in(digits, tmp_path):
    whole = train(DROPPED, digits, tmp_path / "whole.pt", precision="bf16")

    class Stopped(Exception):
        pass

    def stop(step):
        if step == 5:
            raise Stopped

    saved = tmp_path / "state.pt"
    with pytest.raises(Stopped):
        train(DROPPED, digits, saved, every=0, precision="bf16", step_done=stop)
    resumed = train(DROPPED, digits, saved, precision="fp32")
    assert resumed.precision == "bf16"
    for name, tensor in whole.net.state_dict().items():
        assert torch.equal(resumed.net.state_dict()[name], tensor), name


@pytest.mark.parametrize(("gain", "expected"), [(WORTH, "bf16"), (WORTH - 0.01, "fp32")])
def test_auto_takes_what_is_clearly_faster_and_the_record_says_so(
    gain, expected, tmp_path, monkeypatch
):
    if not bf16_available("cpu"):
        pytest.skip("no bfloat16 autocast on this processor")
    monkeypatch.setattr(trial, "_known", {})
    found = {"fp32": 100.0, "bf16": 100.0 * gain}
    monkeypatch.setattr(trial, "speeds", lambda run, images, device: found)
    job = Job((PLAIN,), tmp_path, LITTLE, {}, precision="auto")
    record = do(job, PLAIN).record
    assert record["precision"] == expected
    assert record["provenance"]["images_per_second"] == found
    json.dumps(record)


def test_the_trial_times_both_and_runs_once_for_a_network(digits, monkeypatch):
    monkeypatch.setattr(trial, "_known", {})
    state, tried = torch.get_rng_state(), []

    def counted(*args):
        tried.append(args)
        return speeds(*args)

    monkeypatch.setattr(trial, "speeds", counted)
    first = chosen_precision("auto", PLAIN, digits, "cpu")
    assert chosen_precision("auto", replace(DROPPED, seed=3), digits, "cpu") == first
    assert len(tried) == 1
    assert set(first.images_per_second) == {"fp32", "bf16"}
    assert min(first.images_per_second.values()) > 0
    assert torch.equal(torch.get_rng_state(), state)


def test_what_is_wished_for_is_taken_without_a_trial(digits, monkeypatch):
    monkeypatch.setattr(trial, "speeds", None)
    assert chosen_precision("fp32", PLAIN, digits, "cpu").precision == "fp32"
    monkeypatch.setattr(trial, "bf16_available", lambda device: True)
    assert chosen_precision("bf16", PLAIN, digits, "cpu").precision == "bf16"
    monkeypatch.setattr(trial, "bf16_available", lambda device: False)
    assert chosen_precision("auto", PLAIN, digits, "cpu").precision == "fp32"
    with pytest.raises(vs.UsageError, match="cpu has no bfloat16; pass fp32 or auto"):
        chosen_precision("bf16", PLAIN, digits, "cpu")


def test_a_name_that_is_no_precision_is_refused():
    assert [wish_named(name) for name in ("fp32", "bf16", "auto")] == ["fp32", "bf16", "auto"]
    with pytest.raises(vs.UsageError, match="--precision 'fp16' is none of fp32, bf16, auto"):
        wish_named("fp16")


def test_a_record_without_the_field_is_fp32():
    assert precision_of({}) == "fp32"
    assert precision_of({"precision": "bf16"}) == "bf16"


def test_bytes_stay_bytes_and_are_normalised_to_the_same_bits(tmp_path):
    """The set of bytes against the whole set as floats, normalised twice as it always was."""
    dice = torch.Generator().manual_seed(0)
    drawn = {
        name: torch.randint(256, (count, 28, 28), generator=dice, dtype=torch.uint8)
        for name, count in (("train", 90), ("t10k", 40))
    }
    for name, images in drawn.items():
        labels = (torch.arange(len(images)) % 10).to(torch.uint8)
        write_idx(tmp_path / f"{name}-images-idx3-ubyte", images)
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte", labels)
    held = pixels(Images("fashion-mnist", 28, 60), str(tmp_path))
    assert (held.train.dtype, held.test.dtype) == (torch.uint8, torch.uint8)
    floats = {name: images[:, None].float() for name, images in drawn.items()}
    mean, deviation = floats["train"].mean(), floats["train"].std()
    kept = torch.randperm(90, generator=torch.Generator().manual_seed(0))[:60]
    train_, test = ((floats[name] - mean) / deviation for name in ("train", "t10k"))
    train_ = train_[kept]
    mean, deviation = train_.mean(), train_.std()
    assert torch.equal(held.normalised(held.train), (train_ - mean) / deviation)
    assert torch.equal(held.normalised(held.test), (test - mean) / deviation)
    chosen = torch.tensor([3, 59, 0])
    batch = held.normalised(held.train[chosen])
    assert torch.equal(batch, held.normalised(held.train)[chosen])
    # A border of zeros is the mean, as it is around normalised images.
    edge = crop_and_flip(torch.zeros_like(batch), pad=4, flip=True, seed=0)
    assert not edge.any()
    whole = replace(held, train=held.normalised(held.train), test=held.normalised(held.test))
    assert isinstance(whole, Pixels)


def write_idx(path, tensor):
    sizes = b"".join(size.to_bytes(4, "big") for size in tensor.shape)
    path.write_bytes(bytes([0, 0, 8, tensor.ndim]) + sizes + tensor.numpy().tobytes())
