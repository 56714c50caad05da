"""Real models of six libraries: which norms noise reaches, counted by hand in each source."""

from __future__ import annotations

import pytest
import torch

import varshift as vs
from problems.libraries import library, patchtst

pytestmark = pytest.mark.filterwarnings("ignore")  # third-party imports warn as they please


def hit(structure):
    return {route.norm for route in structure.direct()}


CLEAN = (
    *("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "regnet_y_400mf", "mnasnet1_0"),
    *("vgg11_bn", "googlenet", "inception_v3", "shufflenet_v2_x1_0", "densenet121"),
)


@pytest.mark.parametrize("name", CLEAN)
def test_the_clean_list_has_no_route(name):
    models = library("torchvision.models")
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    size = 299 if name == "inception_v3" else 64
    s = vs.inspect(getattr(models, name)(weights=None, **options), torch.randn(2, 3, size, size))
    assert s.norms
    assert s.routes == ()


def test_efficientnet_b0_is_hit_through_weights_after_every_residual_block():
    models = library("torchvision.models")
    s = vs.inspect(models.efficientnet_b0(), torch.randn(2, 3, 64, 64))
    assert len(s.norms) == 49
    assert len(hit(s)) == 9
    assert {route.placement for route in s.direct()} == {"b"}
    depth = s.noise("features.6.3.stochastic_depth")
    assert (depth.sharing, depth.drop_p, depth.law) == ("sample", 0.175, "bernoulli")
    assert depth.line.function == "stochastic_depth"
    assert s.noise("classifier.0").sharing == "element"


def test_deeplab_is_hit_in_its_head_alone():
    segmentation = library("torchvision.models.segmentation")
    model = segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None)
    s = vs.inspect(model, torch.randn(2, 3, 64, 64))
    assert len(s.norms) == 60
    assert hit(s) == {"classifier.2"}
    assert s.noise("classifier.0.project.3").drop_p == 0.5


def test_timm_resnet50_with_drop_path():
    timm = library("timm")
    s = vs.inspect(timm.create_model("resnet50", drop_path_rate=0.1), torch.randn(2, 3, 64, 64))
    assert len(s.norms) == 53
    assert len(hit(s)) == 17
    assert all(noise.sharing == "sample" for noise in s.noises)


def test_timm_efficientnet_is_clean_by_default_and_hit_with_drop_path():
    timm = library("timm")
    x = torch.randn(2, 3, 64, 64)
    assert vs.inspect(timm.create_model("efficientnet_b0"), x).routes == ()
    s = vs.inspect(timm.create_model("efficientnet_b0", drop_path_rate=0.2), x)
    assert len(hit(s)) == 9
    assert all(norm.kind == "BatchNormAct2d" for norm in s.norms)


def test_timm_drop_block_shares_blocks():
    timm = library("timm")
    model = timm.create_model("resnet50", drop_block_rate=0.1)
    s = vs.inspect(model, torch.randn(2, 3, 224, 224))
    active = [noise for noise in s.noises if noise.active]
    assert len(active) == 9
    assert {(noise.sharing, noise.drop_p) for noise in active} == {("block", 0.1)}
    assert len(hit(s)) == 9


def test_pyg_gcn_is_hit_at_every_norm_after_the_first():
    nn = library("torch_geometric.nn")
    model = nn.GCN(8, 16, 4, 4, norm="batch_norm", dropout=0.5)
    edges = torch.randint(0, 20, (2, 60))
    s = vs.inspect(model, (torch.randn(20, 8), edges), forward=lambda m, b: m(b[0], b[1]))
    assert len(s.norms) == 3
    assert hit(s) == {norm.path for norm in s.norms[1:]}
    assert [noise.calls for noise in s.noises] == [3]


def test_patchtst_is_hit_everywhere():
    rates = ("dropout", "attention_dropout", "ff_dropout", "path_dropout", "positional_dropout")
    model = patchtst(3, **dict.fromkeys(rates, 0.2))
    s = vs.inspect(model, {"past_values": torch.randn(2, 32, 3)})
    assert len(s.norms) == 6
    assert len(hit(s)) == 6
    attention = next(noise for noise in s.noises if noise.path.endswith("self_attn"))
    assert attention.drop_p == 0.2


def test_monai_vnet():
    nets = library("monai.networks.nets")
    model = nets.VNet(spatial_dims=3, in_channels=1, out_channels=2)
    s = vs.inspect(model, torch.randn(2, 1, 32, 32, 32))
    assert len(s.norms) == 24
    assert len(hit(s)) == 11
    assert {noise.sharing for noise in s.noises} == {"channel"}
