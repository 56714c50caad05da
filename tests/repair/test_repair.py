"""The verb: nothing is kept unmeasured, what helps is kept, and everything can be taken back."""

from __future__ import annotations

import json
from importlib import import_module

import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs
from problems.noisy_nets import Mlp
from problems.settling import settled
from problems.shifted import pairs, shifted
from problems.steady import steady
from varshift._repair.recalibration import statistics_of


def bits(net):
    return {
        name: t.detach().clone().contiguous().view(-1).view(torch.uint8)
        for name, t in net.state_dict().items()
    }


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_auto_keeps_the_best_that_is_better_beyond_chance():
    net = shifted("a", 0.7)
    before = bits(net)
    r = vs.repair(net, pairs("train"), held_out=pairs("test"))
    assert r.accepted
    assert r.judged_by == "labels"
    assert [c.method for c in r.candidates] == ["recalibrate", "correct", "distill"]
    passed = {c.method: c.score.loss for c in r.candidates if c.accepted}
    assert r.method == min(passed, key=passed.get)
    assert r.after.loss == passed[r.method] < r.before.loss
    assert r[r.method].trial.loss.p_value < 0.05 / 3
    assert r[r.method].trial.loss.high < 0
    # What is said is what the network now does.
    net.eval()
    with torch.no_grad():
        losses = torch.cat(
            [functional.cross_entropy(net(x), y, reduction="none") for x, y in pairs("test")]
        )
    assert float(losses.double().mean()) == pytest.approx(r.after.loss, rel=1e-6)
    changed = {name for name, value in bits(net).items() if not torch.equal(value, before[name])}
    assert changed == set(r.changes)
    for name, change in r.changes.items():
        assert torch.equal(change.after, net.state_dict()[name])
    r.undo()
    assert same(bits(net), before)
    r.undo()
    assert same(bits(net), before)


def test_the_level_is_shared_by_all_candidates_and_no_more():
    asked = {"held_out": pairs("test"), "method": ["recalibrate", "correct"], "max_held_out": 100}
    found = vs.repair(shifted("a", 0.7), pairs("train"), **asked)["recalibrate"].trial.loss
    assert found.mean < 0  # by nine standard errors of 898 samples
    assert found.p_value > 0
    for factor in (0.99, 1.01):  # of what two candidates need
        level = 2 * found.p_value * factor
        r = vs.repair(shifted("a", 0.7), pairs("train"), **asked, level=level)
        assert r["recalibrate"].trial.loss == found
        assert r["recalibrate"].accepted == (factor > 1)


def test_a_model_lent_in_eval_mode_is_repaired_alike_and_comes_back_in_eval_mode():
    asked = {"held_out": pairs("test"), "method": ["recalibrate", "distill"]}
    one = vs.repair(shifted("a", 0.7), pairs("train")[:6], **asked)
    net = shifted("a", 0.7).eval()
    two = vs.repair(net, pairs("train")[:6], **asked)
    assert (two.before, two.after, two.method) == (one.before, one.after, one.method)
    assert not any(module.training for module in net.modules())


def test_correcting_statistics_that_are_right_is_rejected():
    net = shifted("a", 0.7)
    vs.recalibrate(net, [x for x, _ in pairs("train")])  # the closed form divides once more
    before = bits(net)
    r = vs.repair(net, pairs("train"), held_out=pairs("test"), method="correct")
    assert not r.accepted
    assert r["correct"].trial.loss.low > 0  # it does harm, and that is sure
    assert "worse" in r["correct"].reason
    assert r.reason.startswith("no repair helped, the model is untouched (correct: worse")
    assert same(bits(net), before)
    r.undo()  # nothing was changed, so nothing is to be done
    assert same(bits(net), before)


def test_without_labels_the_noise_averaged_prediction_is_the_judge():
    net = shifted("a", 0.7)
    r = vs.repair(net, [x for x, _ in pairs("train")], method=["recalibrate", "distill"])
    assert r.judged_by == "noise-averaged prediction"
    assert r.accepted
    assert r.method == "distill"  # nearest to the average it was fitted to
    assert r.after.loss < 0.3 * r.before.loss
    assert r.reference is None
    assert any("taken for scores of classes" in note for note in r.notes)
    told = vs.repair(shifted("a", 0.7), pairs("train"), labels=False, method="distill")
    assert told.judged_by == "noise-averaged prediction"


@pytest.mark.parametrize("into", ["affine", "statistics"])
def test_a_repaired_model_is_an_ordinary_one(tmp_path, into):
    net = shifted("a", 0.7)
    vs.repair(net, pairs("train"), held_out=pairs("test"), method="distill", into=into)
    torch.save(net.state_dict(), tmp_path / "fixed.pt")
    fresh = shifted("a", 0.7)
    fresh.load_state_dict(torch.load(tmp_path / "fixed.pt", weights_only=True))
    x = pairs("test")[0][0]
    assert torch.equal(fresh.eval()(x), net.eval()(x))
    moved = {
        name.rpartition(".")[2]
        for name, value in bits(net).items()
        if not torch.equal(value, bits(shifted("a", 0.7))[name])
    }
    expected = {"affine": {"weight", "bias"}, "statistics": {"running_mean", "running_var"}}
    assert moved == expected[into]


def test_everything_in_the_result_is_strict_json_and_a_row():
    net = shifted("a", 0.7)
    methods = ["recalibrate", "adjust-once", "adjust-live"]
    r = vs.repair(net, pairs("train"), held_out=pairs("test"), method=methods)
    held = json.loads(json.dumps(r.to_dict(), allow_nan=False))
    assert held["schema"] == "varshift.repair/1"
    assert held["method"] == r.method
    assert held["before"] == r.before.to_dict()
    assert held["candidates"][0]["score"]["accuracy"] == r["recalibrate"].score.accuracy
    assert set(held["changes"]) == set(r.changes)
    change = held["changes"]["blocks.0.norm2.running_var"]
    assert len(change["before"]) == len(change["after"]) == 8
    assert [row["repair"] for row in r.rows()] == ["as trained", *methods]
    assert list(r.to_frame()["repair"]) == ["as trained", *methods]


# Nothing to do ---------------------------------------------------------------------------------

UNTOUCHED = {
    "no noise": (lambda: Mlp(drop_p=0.0), "draws no noise in training"),
    "noise after the last norm": (
        lambda: nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)),
        "none of its noise reaches a norm (1 source, 1 norm)",
    ),
    "no norm": (
        lambda: nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 3)),
        "no BatchNorm with running statistics",
    ),
}


@pytest.mark.parametrize("case", UNTOUCHED)
def test_a_network_to_which_nothing_should_be_done(case):
    make, reason = UNTOUCHED[case]
    net = make()
    before, versions = bits(net), [p._version for p in net.parameters()]
    r = vs.repair(net, [torch.randn(16, 8) for _ in range(8)])
    assert not r.accepted
    assert r.method is None
    assert r.candidates == ()
    assert reason in r.reason
    assert "untouched" in r.reason
    assert same(bits(net), before)
    assert [p._version for p in net.parameters()] == versions
    assert json.dumps(r.to_dict(), allow_nan=False)


@pytest.mark.parametrize("methods", [["recalibrate", "distill"], ["distill", "recalibrate"]])
def test_frozen_norms_stay_as_they_are(methods):
    net = shifted("a", 0.7)
    frozen = ("blocks.0.norm2", "blocks.1.norm2")
    for path in frozen:
        net.get_submodule(path).eval()
    r = vs.repair(net, pairs("train"), held_out=pairs("test"), method=methods)
    assert r.accepted
    for candidate in r.candidates:
        assert candidate.tensors
        assert not [name for name in candidate.tensors if name.startswith(frozen)]
    assert not net.blocks[0].norm2.training
    assert net.blocks[2].norm2.training


# Data in other forms ---------------------------------------------------------------------------


def test_dicts_forward_and_a_loss_of_ones_own():
    class Keyed(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = shifted("a", 0.7)

        def forward(self, image, labels=None):
            return {"loss": torch.zeros(()), "logits": self.net(image)}

    as_dicts = [[{"image": x, "labels": y} for x, y in pairs(part)] for part in ("train", "test")]
    asked = {"method": "recalibrate"}
    one = vs.repair(Keyed(), as_dicts[0], held_out=as_dicts[1], **asked)
    two = vs.repair(shifted("a", 0.7), pairs("train"), held_out=pairs("test"), **asked)
    assert (one.before, one.after) == (two.before, two.after)
    boxed = [[{"box": (x, y)} for x, y in pairs(part)] for part in ("train", "test")]
    three = vs.repair(
        shifted("a", 0.7),
        boxed[0],
        held_out=boxed[1],
        forward=lambda model, batch: model(batch["box"][0]),
        loss=lambda out, batch: functional.cross_entropy(out, batch["box"][1], reduction="none"),
        **asked,
    )
    assert three.after.loss == pytest.approx(two.after.loss, rel=1e-6)
    assert three.after.accuracy is None
    assert not any("were taken for" in note for note in three.notes)


def test_regression_is_judged_by_squared_error():
    with steady(0):
        net = nn.Sequential(
            *(nn.Linear(6, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.6)),
            *(nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 1)),
        )
        x = torch.randn(4096, 6)
        y = (x[:, :1] * x[:, 1:2]).tanh() + x[:, 2:3]
        optimiser = torch.optim.Adam(net.parameters(), 1e-2)
        for step in range(300):
            part = slice(64 * (step % 64), 64 * (step % 64 + 1))
            optimiser.zero_grad()
            functional.mse_loss(net(x[part]), y[part]).backward()
            optimiser.step()
    r = vs.repair(net, list(zip(x.split(64), y.split(64), strict=True)))
    assert r.accepted
    assert r.after.loss < r.before.loss
    assert r.after.accuracy is None
    net.eval()
    assert r.calibration + r.held_out == 4096


def test_the_split_is_seeded_reported_and_keeps_the_sides_apart():
    net = shifted("a", 0.7)
    asked = {"method": "recalibrate", "max_samples": 300, "max_held_out": 500}
    one = vs.repair(net, pairs("train"), **asked)
    assert (one.calibration, one.held_out, one.split_seed) == (300, 500, 0)
    one.undo()
    two = vs.repair(net, pairs("train"), **asked)
    assert two.after == one.after
    two.undo()
    other = vs.repair(net, pairs("train"), **asked, seed=1)
    assert other.split_seed == 1
    assert other.before != one.before


def test_held_out_data_that_is_the_calibration_data_is_refused():
    net = shifted("a", 0.7)
    before = bits(net)
    with pytest.raises(vs.DataError, match="held-out samples are among the calibration samples"):
        vs.repair(net, pairs("train"), held_out=pairs("train", 100))
    assert same(bits(net), before)


def test_a_single_large_batch_is_cut_in_two():
    x, y = (torch.cat(part) for part in zip(*pairs("train"), strict=True))
    r = vs.repair(shifted("a", 0.7), [(x, y)], method="recalibrate", max_samples=400)
    # Both sides are held to the share that was asked of them: 400 to 4096 of 899.
    assert (r.calibration, r.held_out) == (80, 819)


# What is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "magic"}, "method 'magic' is none of auto, adjust-live"),
        ({"method": []}, "method is empty"),
        ({"method": None}, "method is None; pass 'auto', the name of a repair or a list"),
        ({"method": [1]}, "method 1 is none of auto, adjust-live"),
        ({"method": ("auto",)}, "'auto' stands for recalibrate, correct, distill and takes no"),
        ({"method": ["correct", "correct"]}, "method names 'correct' twice"),
        ({"method": ""}, "method '' is none of auto"),
        ({"passes": 1}, "an average needs at least 2"),
        ({"passes": 2.5}, r"passes is 2\.5; an average needs at least 2, a whole number"),
        ({"seed": None}, "seed is None; pass a whole number"),
        ({"kind": "probabilities"}, "kind is 'probabilities' .* the outputs range from"),
        ({"labels": False, "loss": lambda out, batch: out[:, 0]}, "pass one of the two"),
        ({"level": 0.0}, "pass a chance between 0 and 1"),
        ({"into": "bias"}, "into is 'bias'; pass one of affine, statistics"),
        ({"kind": "scores"}, "kind is 'scores'; pass one of logits"),
        ({"max_samples": 1}, "must be at least 2"),
        ({"loss": lambda out, batch: out.mean()}, "one loss per sample"),
    ],
)
def test_wrong_calls_say_what_to_pass(options, match):
    net = shifted("a", 0.7)
    before = bits(net)
    with pytest.raises(vs.UsageError, match=match):
        vs.repair(net, pairs("train"), **options)
    assert same(bits(net), before)


def test_labels_that_do_not_fit():
    net = shifted("a", 0.7)
    wrong = [(x, y + 5) for x, y in pairs("train")]
    with pytest.raises(vs.DataError, match=r"from \d+ to 1\d do not fit 10 classes"):
        vs.repair(net, wrong)
    mixed = [batch if index % 2 else (batch[0],) for index, batch in enumerate(pairs("train"))]
    with pytest.raises(vs.DataError, match="some held-out batches carry labels and some do not"):
        vs.repair(net, mixed)


def test_models_whose_weights_lie_on_several_ranks_are_sent_to_recalibrate():
    sharded = type("FSDPMlp", (Mlp,), {"__module__": "torch.distributed.fsdp.made"})
    with pytest.raises(vs.UsageError, match=r"gather the model on one rank .* or use recalibrate"):
        vs.repair(sharded(), torch.randn(64, 8).split(8))


def test_how_to_judge_is_one_value_or_single_keywords_but_not_both():
    net = shifted("a", 0.7)
    asked = {"held_out": pairs("test"), "method": "adjust-once"}
    judged = {"labels": False, "passes": 2, "max_held_out": 300, "level": 0.01}
    one = vs.repair(net, pairs("train"), **asked, judge=vs.judging.Judge(**judged))
    one.undo()
    two = vs.repair(net, pairs("train"), **asked, **judged)
    two.undo()
    assert (one.before, one["adjust-once"].score) == (two.before, two["adjust-once"].score)
    assert (one.held_out, one.judged_by) == (300, "noise-averaged prediction")
    with pytest.raises(vs.UsageError, match="judge= and passes= both say how to judge"):
        vs.repair(net, pairs("train"), judge=vs.judging.Judge(), passes=2)
    with pytest.raises(vs.UsageError, match=r"judge is a dict; pass a varshift\.judging\.Judge"):
        vs.repair(net, pairs("train"), judge=judged)
    with pytest.raises(TypeError, match="unexpected keyword argument 'lables'"):
        vs.repair(net, pairs("train"), lables=False)


def test_a_candidate_that_cannot_be_made_is_listed_with_its_reason():
    class Closed(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.linear, self.norm = nn.Dropout(0.5), nn.Linear(8, 8), nn.BatchNorm1d(8)

        @torch.no_grad()
        def forward(self, x):
            return self.norm(self.linear(self.drop(x)))

    net = settled(Closed(), torch.randn(256, 8).split(32), 4)
    r = vs.repair(net, torch.randn(512, 8).split(32), kind="values")
    assert r["distill"].score is None
    assert "nothing can be fitted" in r["distill"].reason
    assert not r["distill"].accepted
    assert r["recalibrate"].score is not None
    with pytest.raises(vs.UsageError, match="'magic' was not tried"):
        r["magic"]


def test_losses_that_are_not_finite_decide_nothing():
    net = shifted("a", 0.7)
    r = vs.repair(
        net,
        pairs("train"),
        method="recalibrate",
        loss=lambda out, batch: torch.full((len(out),), float("inf")),
    )
    assert not r.accepted
    assert "is not finite, so nothing can be compared" in r.reason


def test_combinations_are_done_one_after_the_other_and_parts_only_once():
    net = shifted("a", 0.7)
    methods = ["recalibrate", "recalibrate+distill", "distill+recalibrate"]
    r = vs.repair(net, pairs("train")[:6], held_out=pairs("test"), method=methods)
    kinds = {c.method: {name.rpartition(".")[2] for name in c.tensors} for c in r.candidates}
    assert kinds["recalibrate"] == {"running_mean", "running_var"}
    assert kinds["recalibrate+distill"] == {"running_mean", "running_var", "weight", "bias"}
    # Statistics of a fitted network are others than those of the network as trained, and the
    # fit was made for the ones it replaces.
    assert r["distill+recalibrate"].score.loss != r["recalibrate"].score.loss
    assert r["recalibrate+distill"].seconds > r["recalibrate"].seconds


def test_recalibration_takes_as_many_samples_as_memory_holds(monkeypatch):
    """The bound itself is tested elsewhere; a warm process grows too little to meet it here."""
    asked = []

    def bounded(model, data, *, max_samples, **options):
        asked.append(max_samples)
        if max_samples > 100:
            raise vs.MemoryBoundError("too many", fits=max_samples - 1)
        return statistics_of(model, data, max_samples=max_samples, **options)

    monkeypatch.setattr(import_module("varshift._repair.candidates"), "statistics_of", bounded)
    r = vs.repair(shifted("a", 0.7), pairs("train"), held_out=pairs("test"), method="recalibrate")
    assert asked == [899, 449, 224, 112, 56]  # at most half of what did not fit, each time
    assert r["recalibrate"].score is not None
    (note,) = r["recalibrate"].notes
    assert note == "recalibrated on 56 samples: more at once do not fit into memory"


def test_noise_that_decides_what_runs_is_not_taken_for_none():
    class LayerDrop(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.norm = nn.Linear(8, 8), nn.Linear(8, 8), nn.BatchNorm1d(8)
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            x = self.one(x)
            if not self.training or float(torch.rand(())) < 0.5:
                x = x + 3 * self.two(x)
            return self.head(self.norm(x).relu())

    torch.manual_seed(0)
    net = settled(LayerDrop(), torch.randn(512, 8).split(32), 5)
    r = vs.repair(net, torch.randn(1024, 8).split(32))
    assert [c.method for c in r.candidates] == ["recalibrate", "correct", "distill"]
    assert r["distill"].score is not None
