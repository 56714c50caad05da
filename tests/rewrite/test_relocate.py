"""No noise before any norm, one dropout before the classifier, and nothing else moved."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs
from problems.libraries import library, patchtst
from problems.noisy_nets import ByHand, Conv, Mlp
from problems.traces import trace
from varshift._rewrite.relocating import relocate

X = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
theirs = pytest.mark.filterwarnings("ignore")  # third-party imports warn as they please


class TwoHeads(nn.Module):
    """Dropout by keyword, a norm that runs last in one branch, and a classifier after it."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.3)
        self.early = nn.Linear(8, 2)
        self.norm = nn.BatchNorm1d(8)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        early = self.early(x)
        return self.fc(input=self.norm(self.drop(input=x))), early


def test_what_stands_after_the_last_norm_stays():
    net = Mlp()
    dropouts = [net.body[i] for i in (3, 7, 11)]
    r = relocate(net, X)
    assert r.clean
    assert [drop.p for drop in dropouts] == [0.0, 0.0, 0.5]
    assert [net.body[i] for i in (3, 7, 11)] == dropouts
    assert r.added is None
    assert r.notes == ("body.11 draws right before head already: no dropout was added",)
    assert [(c.noise, c.tau_before, c.tau_after) for c in r.changes] == [
        ("body.3", 1.0, 0.0),
        ("body.7", 1.0, 0.0),
    ]


def test_one_dropout_before_the_classifier():
    net = Conv()
    keys = list(net.state_dict())
    r = relocate(net, IMAGES)
    assert r.clean
    assert (r.added, net.head.noise_before.p) == ("head", 0.5)
    assert type(net.head) is nn.Linear
    assert list(net.state_dict()) == keys
    added = r.after.noise("head.noise_before")
    assert (added.active, added.drop_p, added.tau) == (True, 0.5, 1.0)
    net.eval()
    one, other = net(IMAGES), net(IMAGES)
    r.undo()
    assert torch.equal(one, other)
    assert torch.equal(one, net(IMAGES))


def test_the_new_dropout_really_drops_before_the_classifier():
    net = nn.Sequential(nn.Dropout(0.2), nn.BatchNorm1d(8), nn.Linear(8, 8, bias=False))
    net[2].weight.data = torch.eye(8)
    relocate(net, X, drop_p=0.25)
    torch.manual_seed(0)
    out = torch.stack([net(X) for _ in range(400)])
    zero = (out == 0).double().mean()
    assert zero == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / out.numel()) ** 0.5)


def test_rates_are_the_largest_of_what_was_silenced():
    net = nn.Sequential(nn.Dropout(0.1), nn.Dropout(0.3), nn.BatchNorm1d(8), nn.Linear(8, 2))
    relocate(net, X)
    assert net[3].noise_before.p == 0.3
    net = nn.Sequential(vs.nn.GaussianDropout(0.3), nn.BatchNorm1d(8), nn.Linear(8, 2))
    r = relocate(net, X)
    assert (type(net[0]), net[2].noise_before.p) == (nn.Identity, 0.5)
    assert r.changes[0].after == "Identity()"
    net = Conv()
    r = relocate(net, IMAGES, drop_p=0)
    assert r.clean
    assert r.added is None
    assert not hasattr(net.head, "noise_before")


def test_a_place_of_ones_own():
    net = nn.Sequential(
        *(nn.Dropout(0.3), nn.BatchNorm1d(8), nn.Linear(8, 8), nn.ReLU()),
        *(nn.Sequential(nn.Linear(8, 8), nn.ReLU()), nn.Linear(8, 2)),
    )
    r = relocate(net, X, before="4")  # a Sequential would run a further child as its last layer
    assert r.added == "4.0"
    assert net[4][0].noise_before.p == 0.3
    assert len(net[4]) == 2
    r.undo()
    relocate(net, X)
    assert hasattr(net[5], "noise_before")


def test_keywords_and_early_heads():
    net = TwoHeads()
    r = relocate(net, X)
    assert (r.clean, r.added) == (True, "fc")
    torch.manual_seed(0)
    one, other = net(X)[0], net(X)[0]
    assert not torch.equal(one, other)
    again = relocate(net, X, drop_p=0.2)
    assert again.notes[0] == "fc.noise_before draws right before fc already: no dropout was added"


def test_a_network_without_a_classifier():
    net = nn.Sequential(nn.Dropout(0.3), nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU())
    r = relocate(net, X)
    assert (r.clean, r.added) == (True, None)
    assert "no module with weights runs after the last norm" in r.notes[0]


def test_attention_before_a_norm():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
            self.norm = nn.BatchNorm1d(8)
            self.head = nn.Linear(8, 2)

        def forward(self, x):
            x = self.encoder(x)
            return self.head(self.norm(x.transpose(1, 2)).mean(-1))

    net, x = Block(), torch.randn(3, 5, 8)
    net.eval()
    before = net(x)
    net.train()
    r = relocate(net, x)
    assert (r.clean, r.added, r.patches) == (True, "head", ())
    assert net.encoder.self_attn.dropout == 0.0
    assert r.changes[0].before == "MultiheadAttention.dropout = 0.2"
    assert torch.allclose(net.eval()(x), before, atol=1e-6)
    r.undo()
    assert net.encoder.self_attn.dropout == 0.2


def test_shared_layers():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = vs.nn.Uout(0.3)
            self.blocks = nn.ModuleDict({"a_b": nn.Sequential(self.drop)})
            self.norm, self.head = nn.BatchNorm1d(8), nn.Linear(8, 2)

        def forward(self, x):
            x = self.norm(self.blocks["a_b"](self.drop(x)))
            x = x * 2
            return self.head(self.drop(x))

    net = Shared()
    r = relocate(net, X)
    assert net.drop is net.blocks["a_b"][0]
    assert type(net.drop) is nn.Identity
    assert r.added == "head"
    assert any("registered in 2 places" in note for note in r.notes)
    assert any("drawn by the same module as noise before a norm" in note for note in r.notes)
    r.undo()
    assert net.drop is net.blocks["a_b"][0]
    assert type(net.drop) is vs.nn.Uout


def test_noise_in_code_is_left_and_said():
    net = ByHand()
    x = torch.randn(4, 6)
    r = relocate(net, x)
    assert not r.clean
    assert r.changes == ()
    patch = r.patches[0]
    assert patch.old.strip() == "x = functional.dropout(x, 0.4, self.training)"
    assert patch.new == ""
    assert "no module with weights" in " ".join(r.notes)


# Libraries -------------------------------------------------------------------------------------


@theirs
def test_timm_drop_path():
    timm = library("timm")
    net = timm.create_model("resnet18", drop_path_rate=0.2, num_classes=10)
    old = copy.deepcopy(net.state_dict())
    r = relocate(net, torch.randn(2, 3, 64, 64), drop_p=0.3)
    assert r.clean
    assert len(r.changes) == 6
    assert {c.after for c in r.changes} == {"Identity()"}
    # The last block's own drop path reaches no norm, and stands before the classifier.
    assert r.notes == ("layer4.1.drop_path draws right before fc already: no dropout was added",)
    net.load_state_dict(old, strict=True)


@theirs
def test_torchvision_stochastic_depth():
    models = library("torchvision.models")
    net = models.efficientnet_b0(num_classes=10)
    r = relocate(net, torch.randn(2, 3, 64, 64))
    assert (r.clean, r.added, len(r.changes)) == (True, None, 9)
    assert type(net.features[6][3].stochastic_depth) is nn.Identity
    assert net.classifier[0].p == 0.2


@theirs
def test_deeplab_gets_its_dropout_before_the_last_convolution():
    segmentation = library("torchvision.models.segmentation")
    net = segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None)
    r = relocate(net, torch.randn(2, 3, 64, 64))
    assert (r.clean, r.added) == (True, "classifier.4")
    assert net.classifier[4].noise_before.p == 0.5


@theirs
def test_a_graph_network():
    geometric = library("torch_geometric.nn")
    net = geometric.GCN(8, 16, 4, 4, norm="batch_norm", dropout=0.5)
    edges = torch.randint(0, 20, (2, 60))
    batch = (torch.randn(20, 8), edges)
    r = relocate(net, batch, forward=lambda m, b: m(b[0], b[1]))
    assert (r.clean, r.added) == (True, "convs.3.lin")


@theirs
def test_a_library_says_its_own_number():
    net = patchtst(2, attention_dropout=0.2, ff_dropout=0.1)
    r = relocate(net, {"past_values": torch.randn(2, 32, 3)})
    names = [f"model.encoder.layers.{i}.self_attn" for i in (0, 1)]
    assert [patch.noise for patch in r.patches] == names
    assert r.patches[0].why == (
        f"this is a library's code: change model.{names[0]}.dropout instead, which is 0.2"
    )
    for name in names:
        net.get_submodule(name).dropout = 0.0
    assert vs.inspect(net, {"past_values": torch.randn(2, 32, 3)}).routes == ()


# Borrowed --------------------------------------------------------------------------------------


def test_undo_restores_everything_and_an_old_state_dict_fits():
    net = Conv()
    net.second.eval()
    torch.manual_seed(0)
    before, old = trace(net), copy.deepcopy(net.state_dict())
    r = relocate(net, IMAGES)
    now = trace(net)
    assert (now["state"], now["rng"]) == (before["state"], before["rng"])
    net.load_state_dict(old, strict=True)
    r.undo()
    assert trace(net) == before
    r.undo()
    assert trace(net) == before


FAILURES = {
    "rate": (vs.UsageError, "drop_p is 1.0", {"drop_p": 1.0}),
    "path": (vs.UsageError, "no module of that path", {"before": "nowhere"}),
    "norm": (vs.UsageError, "'conv' runs before the norm 'second'", {"before": "conv"}),
    "unreached": (vs.UsageError, "never reached that module", {"before": "spare"}),
    "example": (vs.ModelError, "the model raised", {"example": torch.randn(2, 4, 8, 8)}),
    "list": (vs.UsageError, "is a container", {"before": "held"}),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_failure_leaves_no_trace(failure):
    error, match, options = FAILURES[failure]
    net = Conv()
    net.spare, net.held = nn.Linear(2, 2), nn.ModuleList([nn.Linear(2, 2)])
    before = trace(net)
    with pytest.raises(error, match=match):
        relocate(net, **({"example": IMAGES} | options))
    assert trace(net) == before


def test_a_model_that_raises_afterwards_leaves_no_trace():
    class Checks(Conv):
        def forward(self, x):
            if self.drop.p == 0:
                raise ValueError("no dropout?")
            return super().forward(x)

    net = Checks()
    before = trace(net)
    with pytest.raises(vs.ModelError, match="no dropout"):
        relocate(net, IMAGES)
    assert trace(net) == before


def test_a_classifier_that_also_runs_before_a_norm_is_refused():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.norm, self.fc = nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 8)

        def forward(self, x):
            return self.fc(self.norm(self.fc(self.drop(x))))

    net = Tied()
    before = trace(net)
    with pytest.raises(vs.UsageError, match="'fc' runs before the norm 'norm'"):
        relocate(net, X)
    assert trace(net) == before
    assert relocate(net, X, drop_p=0).clean


@pytest.mark.parametrize("how", ["copy", "pickle"])
def test_it_survives_copies(how):
    net = Conv()
    relocate(net, IMAGES)
    twin = copy.deepcopy(net) if how == "copy" else pickle.loads(pickle.dumps(net))
    assert twin.head.noise_before is not net.head.noise_before
    s = vs.inspect(twin, IMAGES)
    assert s.routes == ()
    assert s.noise("head.noise_before").active
    assert torch.equal(twin.eval()(IMAGES), net.eval()(IMAGES))


def test_it_survives_compilers():
    net = Conv()
    compiled = torch.compile(net, backend="eager")
    compiled(IMAGES)
    r = relocate(compiled, IMAGES)
    assert not torch.equal(compiled(IMAGES), compiled(IMAGES))
    assert any("torch.compiler.reset()" in note for note in r.notes)
    net.eval()
    assert torch.equal(compiled(IMAGES), net(IMAGES))
    exported = torch.export.export(net, (IMAGES,)).module()
    assert torch.allclose(exported(IMAGES), net(IMAGES), atol=1e-6)


@pytest.mark.filterwarnings("ignore:`torch.jit.trace")
def test_it_survives_tracing():
    net = Conv()
    relocate(net, IMAGES)
    net.eval()
    assert torch.allclose(torch.jit.trace(net, IMAGES)(IMAGES), net(IMAGES), atol=1e-6)


def test_wrapped_and_eval_models():
    net = nn.DataParallel(Conv())
    r = relocate(net, IMAGES)
    assert r.added == "head"
    net = Conv().eval()
    r = relocate(net, IMAGES)
    assert r.clean
    assert not any(module.training for module in net.modules())


def test_nothing_to_do():
    net = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    before = trace(net)
    r = relocate(net, X)
    assert (r.changes, r.added, r.patches, r.clean) == ((), None, (), True)
    assert r.notes == ("nothing to be done: no noise reaches a norm",)
    assert trace(net) == before
    bare = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    assert relocate(bare, X).added is None
    assert relocate(bare, X, drop_p=0.4).added == "2"
    normless = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 2))
    assert relocate(normless, X, drop_p=0.4).added is None


def test_the_record_is_strict_json():
    r = relocate(Conv(), IMAGES)
    held = json.loads(json.dumps(r.to_dict(), allow_nan=False))
    assert held["schema"] == "varshift.rewrite/1"
    assert (held["clean"], held["added"]) == (True, "head")
    assert [row["how"] for row in r.rows()] == ["changed", "changed", "added"]
    assert r.rows()[-1]["after"] == "Dropout(p=0.5)"


def test_functional_noise_after_the_last_norm_counts_too():
    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.norm, self.fc = nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 2)

        def forward(self, x):
            x = self.norm(self.drop(x)).relu()
            return self.fc(functional.dropout(x, 0.1, self.training))

    r = relocate(Head(), X)
    assert (r.clean, r.added, r.patches) == (True, None, ())


def test_layer_drop_in_python_is_for_a_person():
    class Skips(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.norm, self.fc = nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)

        def forward(self, x):
            if not self.training or torch.rand(()) < 0.9:
                x = x + self.one(x)
            return self.fc(self.norm(x))

    r = relocate(Skips(), X)
    assert (r.changes, r.added) == ((), None)
    assert r.patches[0].new is None
    assert "decides in Python what runs" in r.patches[0].why
