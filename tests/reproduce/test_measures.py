"""What is measured on a trained network, against the slow way of each."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

import varshift as vs
from reproduce.small import DROPPED
from varshift.reproduce.images import crop_and_flip
from varshift.reproduce.measures import (
    METHODS,
    filter_records,
    paper_means,
    repair_records,
    score,
    site_records,
    train_score,
)
from varshift.theory import null_band_of_mean


def views(digits, count, size=64):
    """Augmented batches, each of so many of the 128 images."""
    made = []
    for number in range(count):
        dice = torch.Generator().manual_seed(number)
        chosen = torch.randperm(128, generator=dice)[:size]
        made.append(crop_and_flip(digits.train[chosen], pad=1, flip=True, seed=number))
    return made


def pairs(digits, size=32):
    return list(zip(digits.test.split(size), digits.test_labels.split(size), strict=True))


def bits(net):
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def unchanged(net, before):
    assert not net.training
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_paper_means_are_a_moving_average_of_batch_variances(digits, trained):
    batches, net = views(digits, 5), copy.deepcopy(trained.net).eval()
    norms = {p: m for p, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)}
    real = {path: norm.running_var.double().clone() for path, norm in norms.items()}

    def meet(path):
        def before(norm, inputs):
            values = inputs[0].double().transpose(0, 1).flatten(1)
            # Unbiased, as PyTorch stores it.
            real[path] = 0.9 * real[path] + 0.1 * values.var(1, correction=1)

        return before

    for path, norm in norms.items():
        norm.register_forward_pre_hook(meet(path))
    with torch.no_grad():
        for batch in batches:
            net(batch)
    before = bits(trained.net)
    found = paper_means(trained.net, batches)
    unchanged(trained.net, before)
    assert set(found) == set(norms)
    for path, (now, moving) in found.items():
        assert now == pytest.approx(float(real[path].mean()), rel=1e-6)
        stored = trained.net.get_submodule(path).running_var.double().mean()
        assert moving == pytest.approx(float(stored), rel=1e-12)


@pytest.fixture(scope="module")
def sites(digits, trained):
    """Statistics settled first: after eight steps they are stale, which is no noise's shift."""
    net, whole = copy.deepcopy(trained.net), views(digits, 12, size=128)
    vs.recalibrate(net, whole)
    before = bits(net)
    found = site_records(net, whole, tau=1.0, long=whole)
    unchanged(net, before)
    return {site["path"]: site for site in found}


def test_every_norm_has_a_record_in_the_order_of_the_data(trained, sites):
    norms = [p for p, m in trained.net.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert list(sites) == norms
    hit = [path for path, site in sites.items() if "theory" in site]
    assert hit == [f"blocks.{k}.norm2" for k in range(3)]
    assert all(("a" in site["placements"]) == (path in hit) for path, site in sites.items())


def test_the_first_hit_norm_shifts_as_the_law_says(sites):
    """No noise stands before the first dropout, so that equation 8 is exact there."""
    site = sites["blocks.0.norm2"]
    assert 0 < site["shift_se"] < 0.02  # else 5 of them would let anything pass
    assert abs(site["shift"] - site["theory"]) < 5 * site["shift_se"]
    # The law without its mean is another one here, and would not pass.
    assert site["theory_without_mean"] == 0.5
    assert abs(site["shift"] - 0.5) > 5 * site["shift_se"]
    assert site["misfit"] < site["misfit_without_mean"]


def test_theory_is_equation_8_on_the_test_moments(digits, trained):
    batches = views(digits, 4)
    received = []
    conv = copy.deepcopy(trained.net).eval().blocks[0]
    conv.before_norm.register_forward_hook(lambda _, inputs, out: received.append(out.double()))
    with torch.no_grad():
        net = copy.deepcopy(trained.net).eval()
        net.blocks[0] = conv
        for batch in batches:
            net(batch)
    values = torch.cat(received).transpose(0, 1).flatten(1)
    mean, var = values.mean(1), values.var(1)
    law = var / (var + (mean**2 + var))
    site = {s["path"]: s for s in site_records(trained.net, batches, tau=1.0, long=batches)}[
        "blocks.0.norm2"
    ]
    assert site["theory"] == pytest.approx(float(law.median()), rel=1e-5)


def test_figures_of_a_site_are_those_of_measure(digits, trained):
    batches = views(digits, 4)
    torch.manual_seed(3)
    records = site_records(trained.net, batches, tau=1.0, long=batches)
    torch.manual_seed(3)
    found = vs.measure(trained.net, batches)
    means = paper_means(trained.net, batches)
    for record in records:
        site, (real, moving) = found[record["path"]], means[record["path"]]
        delta = sorted(d for d in site.delta.tolist() if not math.isnan(d))
        assert record["channels"] == len(site.delta)
        assert record["live"] == len(delta)
        assert record["shift"] == site.shift
        assert record["severity"] == site.severity
        assert record["levels"][0] == pytest.approx(delta[0], rel=1e-12)
        assert record["levels"][-1] == pytest.approx(delta[-1], rel=1e-12)
        told = list(zip(site.delta.tolist(), site.delta_se.tolist(), strict=True))
        assert record["below"] == sum(d + 3 * e < 1 for d, e in told)
        assert record["above"] == sum(d - 3 * e > 1 for d, e in told)
        assert (record["real"], record["moving"]) == (real, moving)
        assert record["paper"] == pytest.approx(real / moving, rel=1e-12)


def test_filters_are_counted_by_hand():
    conv = nn.Conv2d(2, 3, (1, 1), bias=False)
    with torch.no_grad():
        # (3, 1): (Σw)²/Σw² = 16/10; (1, −1): 0; zeros have no direction.
        conv.weight.copy_(torch.tensor([[3.0, 1.0], [1.0, -1.0], [0.0, 0.0]])[..., None, None])
    (found,) = filter_records(nn.Sequential(conv))
    assert found["path"] == "0"
    assert (found["kernel"], found["d"], found["filters"]) == (1, 2, 2)
    assert found["d_cos2"] == pytest.approx((1.6 + 0) / 2, rel=1e-12)
    assert found["cos2"] == pytest.approx((0.8 + 0) / 2, rel=1e-12)
    assert found["null"] == pytest.approx(list(null_band_of_mean(2, 2)), rel=1e-12)


def test_filters_of_a_network_against_the_angle_itself(trained):
    convs = {p: m for p, m in trained.net.named_modules() if isinstance(m, nn.Conv2d)}
    found = filter_records(trained.net)
    assert [one["path"] for one in found] == list(convs)
    for one in found:
        rows = convs[one["path"]].weight.detach().double().flatten(1)
        ones = torch.ones_like(rows[0])
        cos2 = [float((row @ ones / (row.norm() * ones.norm())) ** 2) for row in rows]
        assert one["d"] == rows.shape[1]
        assert one["cos2"] == pytest.approx(sum(cos2) / len(cos2), rel=1e-9)
        assert one["d_cos2"] == pytest.approx(one["d"] * one["cos2"], rel=1e-9)


def test_score_is_that_of_a_plain_evaluation(digits, trained):
    net = copy.deepcopy(trained.net).eval()
    with torch.no_grad():
        scores = net(digits.test).double()
    chances = scores.softmax(1)[torch.arange(64), digits.test_labels]
    found = score(trained.net, pairs(digits, 24))  # the last batch is a ragged one
    wrong = float((scores.argmax(1) != digits.test_labels).double().mean())
    assert found["error"] == pytest.approx(wrong, rel=1e-12)
    assert found["loss"] == pytest.approx(float(-chances.log().mean()), rel=1e-5)
    assert found["images"] == 64


def test_train_score_has_noise_and_batch_statistics_and_gives_all_back(digits, trained):
    before, state = bits(trained.net), torch.get_rng_state()
    found = train_score(trained.net, pairs(digits), seed=5)
    unchanged(trained.net, before)
    assert torch.equal(torch.get_rng_state(), state)
    net, wrong, loss = copy.deepcopy(trained.net).train(), 0, 0.0
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        for images, labels in pairs(digits):
            scores = net(images)
            wrong += int((scores.argmax(1) != labels).sum())
            loss += float(nn.functional.cross_entropy(scores.double(), labels)) * len(labels)
    assert found["error"] == wrong / 64
    assert found["loss"] == pytest.approx(loss / 64, rel=1e-5)
    assert train_score(trained.net, pairs(digits), seed=6)["loss"] != found["loss"]


def test_a_score_that_breaks_gives_the_network_back(trained):
    before, labels = bits(trained.net), torch.zeros(4, dtype=torch.long)
    with pytest.raises(RuntimeError, match="channels"):
        train_score(trained.net, [(torch.randn(4, 3, 8, 8), labels)], seed=0)
    unchanged(trained.net, before)


@pytest.fixture(scope="module")
def repairs(digits, trained):
    before = bits(trained.net)
    calibration = list(zip(digits.train.split(32), digits.train_labels.split(32), strict=True))
    found = repair_records(
        trained.net,
        calibration=calibration,
        test=pairs(digits),
        methods=METHODS,
        passes=2,
        seed=0,
    )
    unchanged(trained.net, before)
    return found


def test_every_repair_is_scored_kept_or_not(repairs):
    assert set(repairs) == {*METHODS, "noisy ensemble", "kept", "calibration"}
    for method in METHODS:
        assert 0 <= repairs[method]["error"] <= 1
        assert repairs[method]["loss"] > 0
        assert isinstance(repairs[method]["accepted"], bool)
    assert repairs["noisy ensemble"]["passes"] == 2
    assert repairs["kept"] in (*METHODS, None)
    assert repairs["calibration"] == 128


def test_a_recalibrated_error_is_that_of_recalibrate(digits, trained, repairs):
    net = copy.deepcopy(trained.net)
    vs.recalibrate(net, digits.train.split(32))
    found = score(net, pairs(digits))
    assert repairs["recalibrate"]["error"] == pytest.approx(found["error"], abs=1e-9)
    assert repairs["recalibrate"]["loss"] == pytest.approx(found["loss"], rel=1e-5)


def test_an_adjusted_error_is_that_of_the_slow_twin(digits, trained, repairs):
    from oracles.adjusting import adjusted_statistics

    for method, live in (("adjust-once", False), ("adjust-live", True)):
        net = copy.deepcopy(trained.net).eval()
        told = adjusted_statistics(net, list(digits.train.split(32)), live=live)
        for path, (mean, var) in told.items():
            net.get_submodule(path).running_mean.copy_(mean)
            net.get_submodule(path).running_var.copy_(var)
        found = score(net, pairs(digits))
        assert repairs[method]["error"] == pytest.approx(found["error"], abs=1e-9)
        assert repairs[method]["loss"] == pytest.approx(found["loss"], rel=1e-5)


def test_the_network_that_is_measured_carries_what_the_run_says(trained):
    assert trained.net.blocks[0].before_norm.p == DROPPED.placing.amount
