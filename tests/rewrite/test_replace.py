"""Other noise in the same places: what is asked for is what is drawn, and nothing else moves."""

from __future__ import annotations

import copy
import json
import math
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs
from problems.libraries import library
from problems.noisy_nets import Conv, Mlp
from problems.settling import settled
from problems.traces import trace
from varshift._rewrite.replacing import replace
from varshift.results.rewrite import Rewrite

X = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))


def small(noise: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 8), noise, nn.BatchNorm1d(8))


def rates(net):
    return [module.p for module in net.modules() if isinstance(module, nn.Dropout)]


# What is put where -----------------------------------------------------------------------------


def test_a_float_changes_the_rate_and_keeps_the_very_module():
    net = Mlp()
    kept = net.body[3]
    r = replace(net, X, {"body.3": 0.2})
    assert net.body[3] is kept
    assert rates(net) == [0.2, 0.5, 0.5]
    assert [(c.noise, c.tau_before, c.tau_after) for c in r.changes] == [("body.3", 1.0, 0.25)]
    assert r.after.noise("body.3").drop_p == 0.2
    assert r.before.noise("body.3").drop_p == 0.5


def test_globs_match_names_and_paths_and_later_ones_win():
    net = Mlp()
    replace(net, X, {"body.*": 0.1, "body.1?": 0.3})
    assert rates(net) == [0.1, 0.1, 0.3]
    replace(net, X, 0.4)
    assert rates(net) == [0.4, 0.4, 0.4]


def test_a_prototype_is_copied_into_each_place():
    net = Mlp()
    prototype = vs.nn.Uout(0.2)
    r = replace(net, X, prototype)
    put = [net.body[i] for i in (3, 7, 11)]
    assert all(type(layer) is vs.nn.Uout and layer.beta == 0.2 for layer in put)
    assert len({id(layer) for layer in [*put, prototype]}) == 4
    assert r.changes[0].after == "Uout(beta=0.2, inplace=False)"
    assert r.changes[0].tau_after == pytest.approx(0.04 / 3)


@pytest.mark.parametrize(
    ("drop_p", "kind", "name", "number"),
    [
        (0.5, "gaussian", "sigma", 1.0),
        (0.2, "gaussian", "sigma", 0.5),
        (0.2, "uout", "beta", math.sqrt(0.75)),
        (0.25, "uout", "beta", 1.0),
        (0.1, "uout", "beta", math.sqrt(3 / 9)),
    ],
)
def test_the_same_amount_of_noise(drop_p, kind, name, number):
    net = small(nn.Dropout(drop_p))
    r = replace(net, X, kind)
    assert getattr(net[1], name) == pytest.approx(number, rel=1e-12)
    assert r.changes[0].tau_after == pytest.approx(r.changes[0].tau_before, rel=1e-9)
    assert r.changes[0].tau_before == pytest.approx(drop_p / (1 - drop_p), rel=1e-9)


def test_back_to_dropout():
    net = small(vs.nn.GaussianDropout(1.0))
    replace(net, X, "dropout")
    assert type(net[1]) is nn.Dropout
    assert net[1].p == 0.5


def test_uout_stops_at_a_third_and_says_what_to_do():
    net = small(nn.Dropout(0.5))
    kept = net[1]
    with pytest.raises(vs.UsageError, match=r"τ = 1/3 .*τ = 1 .*'gaussian' \(σ = 1\).*max_sev"):
        replace(net, X, "uout")
    assert net[1] is kept


@pytest.mark.parametrize(
    ("shape", "layer"),
    [
        ((4, 8), nn.Dropout),
        ((4, 8, 5), nn.Dropout1d),
        ((4, 8, 5, 5), nn.Dropout2d),
        ((4, 8, 3, 3, 3), nn.Dropout3d),
    ],
)
def test_channel_wise_by_the_rank_that_was_seen(shape, layer):
    norm = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[len(shape)]
    net = nn.Sequential(nn.Dropout(0.3), norm(8))
    r = replace(net, torch.randn(shape), "channel")
    assert type(net[0]) is layer
    assert net[0].p == 0.3
    if len(shape) > 2:
        assert r.after.noise("0").sharing == "channel"


def test_a_rank_without_channel_wise_dropout_is_refused():
    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.norm = nn.Dropout(0.3), nn.BatchNorm1d(8)

        def forward(self, x):
            return self.norm(self.drop(x[:, None, None, None, None])[:, 0, 0, 0, 0])

    with pytest.raises(vs.UsageError, match=r"inputs of \[6\] dimensions"):
        replace(Wide(), X, "channel")


def test_other_names_of_the_rate():
    class DropPath(nn.Module):
        def __init__(self, drop_prob):
            super().__init__()
            self.drop_prob = drop_prob

        def forward(self, x):
            if not self.training or self.drop_prob == 0:
                return x
            keep = 1 - self.drop_prob
            return x * x.new_empty(len(x), 1).bernoulli_(keep).div_(keep)

    net = small(DropPath(0.4))
    kept = net[1]
    r = replace(net, X, 0.1)
    assert net[1] is kept
    assert kept.drop_prob == 0.1
    assert r.after.noise("1").drop_p == pytest.approx(0.1)
    r.undo()
    assert kept.drop_prob == 0.4
    r = replace(net, X, "gaussian")
    assert net[1].sigma == pytest.approx(math.sqrt(2 / 3))
    assert r.after.noise("1").sharing == net[1].sharing == "sample"
    r.undo()
    r = replace(net, X, "dropout")
    assert "1: one draw served each sample, now each element" in r.notes[0]


@pytest.mark.parametrize("kind", ["uout", "gaussian"])
def test_channels_that_shared_a_draw_still_do(kind):
    net = nn.Sequential(nn.Dropout2d(0.2), nn.BatchNorm2d(8))
    r = replace(net, torch.randn(4, 8, 5, 5), kind)
    assert r.after.noise("0").sharing == net[0].sharing == "channel"
    assert r.notes == ()


def test_our_own_layers_take_a_drop_p_by_their_own_number():
    net = nn.Sequential(vs.nn.GaussianDropout(1.0), vs.nn.Uout(1.0), nn.BatchNorm1d(8))
    kept = list(net)
    r = replace(net, X, 0.2)
    assert list(net) == kept
    assert (net[0].sigma, net[1].beta) == (0.5, pytest.approx(math.sqrt(0.75)))
    assert [c.tau_after for c in r.changes] == pytest.approx([0.25, 0.25])


def test_inplace_and_training_flags_go_over():
    net = small(nn.Dropout(0.2, inplace=True))
    net[1].eval()
    r = replace(net, X, {"1": "uout"})
    assert net[1].inplace
    assert not net[1].training
    assert r.after.noises == ()  # silent, and no module by class that would be listed
    net.eval()
    assert torch.equal(net[1](X), X)


def test_silent_sources_are_changed_only_by_their_full_name():
    net = nn.Sequential(nn.Dropout(0.0), nn.Dropout(0.3), nn.BatchNorm1d(8))
    r = replace(net, X, {"*": 0.5})
    assert rates(net) == [0.0, 0.5]
    assert "0: draws nothing (silent): name it to change it" in r.notes
    replace(net, X, {"0": 0.25})
    assert rates(net) == [0.25, 0.5]


def test_attention_and_recurrent_layers_hold_a_plain_rate():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, dropout=0.3, batch_first=True)
            self.lstm = nn.LSTM(8, 8, 2, dropout=0.3, batch_first=True)
            self.norm = nn.BatchNorm1d(8)

        def forward(self, x):
            x = self.lstm(self.attention(x, x, x, need_weights=False)[0])[0]
            return self.norm(x.transpose(1, 2))

    net, x = Block(), torch.randn(3, 5, 8)
    r = replace(net, x, 0.1)
    assert (net.attention.dropout, net.lstm.dropout) == (0.1, 0.1)
    assert r.changes[0].before == "MultiheadAttention.dropout = 0.3"
    assert [c.tau_after for c in r.changes] == pytest.approx([1 / 9] * 2)
    r.undo()
    assert (net.attention.dropout, net.lstm.dropout) == (0.3, 0.3)
    r = replace(net, x, "gaussian")
    assert r.changes == ()
    assert [patch.noise for patch in r.patches] == ["attention", "lstm"]
    assert "can draw nothing but dropout" in r.patches[0].why


# Places ----------------------------------------------------------------------------------------


class Nest(nn.Module):
    def __init__(self):
        super().__init__()
        shared = nn.Dropout(0.2)
        self.list = nn.ModuleList([nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.2)), shared])
        self.table = nn.ModuleDict({"odd[0]": nn.Dropout(0.2), "same": shared})
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x):
        for layer in self.list:
            x = layer(x)
        for layer in self.table.values():
            x = layer(x)
        return self.norm(x)


def test_nested_and_shared_modules_are_swapped_everywhere():
    net = Nest()
    keys = [name for name, _ in net.named_modules(remove_duplicate=False)]
    r = replace(net, X, "gaussian")
    assert net.list[1] is net.table["same"]
    assert type(net.list[1]) is type(net.list[0][1]) is vs.nn.GaussianDropout
    assert type(net.table["odd[0]"]) is vs.nn.GaussianDropout
    assert [name for name, _ in net.named_modules(remove_duplicate=False)] == keys
    assert "list.1: registered in 2 places, changed in all of them" in r.notes
    assert replace(net, X, {"list.1": vs.nn.Uout(0.1)}).changes
    assert net.list[1] is net.table["same"]
    assert type(net.list[1]) is vs.nn.Uout
    assert type(net.table["odd[0]"]) is vs.nn.GaussianDropout
    replace(net, X, {"table.odd[0]": nn.Identity()})  # a name in full is no pattern
    assert type(net.table["odd[0]"]) is nn.Identity


def test_a_module_that_draws_at_two_lines_is_one_module():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(8)

        def forward(self, x):
            x = self.drop(x)
            x = x + 1
            return self.norm(self.drop(x))

    net = Twice()
    r = replace(net, X, "gaussian")
    assert [c.noise for c in r.changes] == ["drop", "drop#2"]
    assert all(c.tau_after == pytest.approx(1.0) for c in r.changes)
    assert "drop: runs more than once a pass, and draws the new noise every time" in r.notes
    r.undo()
    with pytest.raises(vs.UsageError, match="one module and can hold one noise"):
        replace(net, X, {"drop": "gaussian", "drop#2": vs.nn.Uout(0.1)})


def test_a_module_held_outside_the_modules_is_found_out():
    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(8)
            self.steps = [self.drop]

        def forward(self, x):
            return self.norm(self.steps[0](x))

    net = Hidden()
    with pytest.raises(vs.ModelError, match="was taken out, but still runs"):
        replace(net, X, "gaussian")
    assert net.drop is net.steps[0]
    replace(net, X, 0.1)
    assert net.drop.p == 0.1


def test_what_does_more_than_noise_is_not_swapped():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.p = 0.5

        def forward(self, x):
            return functional.dropout(x, self.p, self.training) * 2

    net = nn.Sequential(Scaled(), nn.RReLU(), nn.BatchNorm1d(8))
    r = replace(net, X, {"*": vs.nn.GaussianDropout(0.5)})
    assert r.changes == ()
    assert [patch.noise for patch in r.patches] == ["0", "1"]
    assert "nn.LeakyReLU(0.229167)" in r.patches[1].why
    r = replace(net, X, "gaussian")
    assert any("how much noise it draws is not known (law: rrelu)" in note for note in r.notes)


def test_a_rate_computed_elsewhere_is_found_out():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.p, self.keep = 0.5, 0.5

        def forward(self, x):
            return functional.dropout(x, 1 - self.keep, self.training)

    net = small(Fixed())
    with pytest.raises(vs.ModelError, match=r"given drop_p = 0.2, but draws at 0.5"):
        replace(net, X, 0.2)
    assert net[1].p == 0.5


# Severity --------------------------------------------------------------------------------------


def measured(net, data):
    settled(net, data, 60)
    return {path: site.severity for path, site in vs.measure(net, data).sites.items()}


@pytest.mark.parametrize("kind", [0.5, "uout", "gaussian", nn.Dropout(0.5)])
def test_a_severity_kept_is_a_severity_measured(kind):
    torch.manual_seed(1)
    net = nn.Sequential(
        *(nn.Linear(8, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 16), nn.BatchNorm1d(16)),
        *(nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3)),
    )
    data = [torch.randn(500, 8) for _ in range(8)]
    asked = {"2": kind}
    before = measured(net, data)["4"]
    r = replace(net, data[0][:4], asked, max_severity=1.05, data=iter(data))
    assert before > 1.2
    assert 1.049 < r.severities["4"] <= 1.05
    assert r.changes[0].tau_after < 1
    assert measured(net, data)["4"] == pytest.approx(1.05, rel=0.02)


def test_a_chain_of_norms_is_kept_under_the_bound_as_a_whole():
    torch.manual_seed(2)
    net, data = Mlp(48), [torch.randn(500, 8) for _ in range(6)]
    settled(net, data, 40)
    r = replace(net, data[0], 0.5, max_severity=1.05, data=data)
    assert 1.049 < max(r.severities.values()) <= 1.05
    assert all(0 < c.tau_after < 1 for c in r.changes if c.noise != "body.11")
    assert rates(net)[-1] == 0.5  # it reaches no norm
    assert max(measured(net, data).values()) <= 1.05 * 1.03


def test_what_is_low_enough_is_not_lowered():
    net, data = small(nn.Dropout(0.01)), [torch.randn(400, 8)]
    r = replace(net, data[0], "gaussian", max_severity=1.5, data=data)
    assert net[1].sigma == pytest.approx(math.sqrt(1 / 99))
    assert r.severities["2"] < 1.5


def test_without_data_the_checkpoint_says():
    torch.manual_seed(3)
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8))
    data = [torch.randn(500, 8)]
    settled(net, data, 60)
    replace(net, data[0], 0.5, max_severity=1.1)
    assert net[0].p == pytest.approx(0.1 / 1.1, rel=0.1)  # c ≈ 0: 1 + τ = 1.1
    fresh = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 8), nn.BatchNorm1d(8))
    fresh = nn.Sequential(*fresh, nn.Dropout(0.5), nn.Linear(8, 8), nn.BatchNorm1d(8))
    r = replace(fresh, X, 0.5, max_severity=1.1)
    assert any("cannot be predicted" in note and "pass data=" in note for note in r.notes)


def test_noise_that_was_not_named_is_said_to_be_too_much():
    net = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.3), nn.BatchNorm1d(8), nn.Linear(8, 8))
    net = nn.Sequential(*net, nn.BatchNorm1d(8))
    data = [torch.randn(500, 8)]
    r = replace(net, X, {"0": 0.2}, max_severity=1.05, data=data)
    assert net[0].p == 0.2
    assert any("2: predicted severity 1.4" in note and "name that" in note for note in r.notes)


def test_a_norm_without_a_live_channel_has_no_figure():
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    nn.init.zeros_(net[1].weight)
    r = replace(net, X, 0.3, max_severity=1.05, data=[torch.randn(50, 8)])
    assert net[0].p == 0.3
    assert any(note.startswith("2: its severity cannot be predicted") for note in r.notes)
    assert json.dumps(r.to_dict(), allow_nan=False)


def test_what_max_severity_cannot_hold():
    net = nn.Sequential(nn.AlphaDropout(0.5), nn.BatchNorm1d(8))
    r = replace(net, X, 0.2, max_severity=1.05, data=[torch.randn(500, 8)])
    assert net[0].p == 0.2
    assert "0: τ is not known (law: alpha): max_severity leaves it as it is" in r.notes
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 8))
    r = replace(net, X, 0.2, max_severity=1.05)
    assert net[0].p == 0.2
    assert any("max_severity has nothing to lower" in note for note in r.notes)


def test_a_bound_must_be_above_one():
    with pytest.raises(vs.UsageError, match=r"max_severity is 0\.9"):
        replace(Mlp(), X, 0.5, max_severity=0.9)


# Borrowed --------------------------------------------------------------------------------------


def test_only_the_noise_changes_and_undo_puts_it_back():
    net = Conv()
    net.second.eval()
    x = torch.randn(4, 3, 8, 8)
    torch.manual_seed(0)
    before = trace(net)
    old = copy.deepcopy(net.state_dict())
    r = replace(net, x, {"drop": "gaussian", "direct": vs.nn.Uout(0.3)})
    after = trace(net)
    assert (after["state"], after["rng"]) == (before["state"], before["rng"])
    assert [m[::2] for m in after["modules"]] == [m[::2] for m in before["modules"]]
    net.load_state_dict(old, strict=True)
    r.undo()
    assert trace(net) == before
    r.undo()
    assert trace(net) == before


FAILURES = {
    "glob": (vs.UsageError, "no noise source matches 'bdy'", X, {"body.3": 0.1, "bdy": 0.2}),
    "rate": (vs.UsageError, "drop_p is 1.5", X, {"body.3": 0.1, "body.7": 1.5}),
    "word": (vs.UsageError, "noise is 'cauchy'", X, {"body.3": 0.1, "body.7": "cauchy"}),
    "type": (vs.UsageError, "noise is a type", X, nn.Dropout2d),
    "state": (vs.UsageError, "holds 'weight'", X, {"body.3": nn.PReLU()}),
    "uout": (vs.UsageError, "Uout reaches no more", X, {"body.3": "gaussian", "body.7": "uout"}),
    "example": (vs.ModelError, "the model raised", torch.randn(6, 9), "gaussian"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_failure_leaves_no_trace(failure):
    error, match, x, noise = FAILURES[failure]
    net = Mlp()
    before = trace(net)
    with pytest.raises(error, match=match):
        replace(net, x, noise)
    assert trace(net) == before


def test_code_that_reads_the_rate_is_not_broken_silently():
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(8)

        def forward(self, x):
            return self.norm(self.drop(x) * (1 - self.drop.p))

    net = Reads()
    before = trace(net)
    with pytest.raises(vs.ModelError, match="no attribute 'p'"):
        replace(net, X, "gaussian")
    assert trace(net) == before


def test_copies_pickles_and_compiles():
    net = Mlp()
    replace(net, X, {"*": "gaussian"})
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert vs.inspect(twin, X).noise("body.3").tau == pytest.approx(1.0)
    compiled = torch.compile(Mlp(), backend="eager")
    compiled(X)
    r = replace(compiled, X, nn.Identity())
    assert torch.equal(compiled(X), compiled(X))
    assert "compiled code was dropped (torch.compiler.reset()): the next call compiles again" in (
        r.notes
    )
    r.undo()
    assert not torch.equal(compiled(X), compiled(X))


def test_nothing_to_do():
    net = Mlp()
    before = trace(net)
    r = replace(net, X, 0.5)
    assert (r.changes, r.patches) == ((), ())
    assert "nothing to be done" in r.notes[0]
    assert trace(net) == before
    r.undo()
    bare = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
    assert "nothing to be done" in replace(bare, X, 0.5).notes[0]


def test_the_record_is_strict_json():
    r = replace(Mlp(), X, "gaussian")
    held = json.loads(json.dumps(r.to_dict(), allow_nan=False))
    assert held["schema"] == "varshift.rewrite/1"
    assert (held["clean"], held["added"], len(held["changes"])) == (False, None, 3)
    assert [row["how"] for row in r.rows()] == ["changed"] * 3
    with pytest.raises(vs.UsageError, match="nothing to undo"):
        Rewrite((), None, (), r.before, r.after).undo()
    with pytest.raises(vs.UsageError, match="inspect it again"):
        r.before.prove(r.before.routes[0])


@pytest.mark.filterwarnings("ignore")  # third-party imports warn as they please
def test_a_library_model():
    timm = library("timm")
    net = timm.create_model("resnet18", drop_path_rate=0.2, num_classes=10)
    r = replace(net, torch.randn(2, 3, 64, 64), {"*drop_path": 0.05})
    assert [c.tau_after for c in r.changes] == pytest.approx([0.05 / 0.95] * 7)


def test_a_layers_own_sharing_is_what_is_predicted_of_it():
    """Channel noise becomes element noise: through weights that is another severity."""
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Dropout2d(0.2)),
        *(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8, momentum=None)),
    )
    with torch.no_grad():
        net[3].weight.abs_()  # so that what shares a draw adds up
    data = [torch.randn(16, 3, 12, 12) for _ in range(8)]
    r = vs.replace(net, data[0], vs.nn.Uout(0.8), max_severity=50.0, data=data)
    with torch.no_grad():
        for batch in data * 4:
            net(batch)
    measured = vs.measure(net, data).sites["4"].severity
    assert r.severities["4"] == pytest.approx(measured, rel=0.03)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("noises", [(0.2, 0.1), ("uout", 0.1), ("uout", "gaussian"), (0.2, "uout")])
def test_two_changes_are_undone_in_either_order(noises, first):
    net = nn.Sequential(nn.Dropout(0.15), nn.BatchNorm1d(8))
    drop = net[0]
    ways = [replace(net, X, noise) for noise in noises]
    ways[first].undo()
    ways[1 - first].undo()
    assert net[0] is drop
    assert drop.p == 0.15


def test_noise_is_moved_and_changed_and_both_are_undone_the_earlier_first():
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 2))
    one = replace(net, X, 0.2)
    two = vs.relocate(net, X)
    one.undo()
    two.undo()
    assert (net[0].p, hasattr(net[2], "noise_before")) == (0.5, False)
