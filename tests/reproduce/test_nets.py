"""The paper's networks, counted, and their noise where the paper puts it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from varshift.reproduce.nets import FAMILIES, KINDS, PAPER, PLACES, Placing, Shape, build

# Table 2 as printed, in millions (C10, C100), and the norms that follow from the networks.
PRINTED = {
    "PreResNet": (1.70, 1.77, 163),
    "ResNeXt": (34.43, 34.52, 31),
    "WRN": (36.48, 36.54, 25),
    "DenseNet": (0.77, 0.80, 99),
}
SMALL = {
    "PreResNet": Shape("PreResNet", 2, 4),
    "ResNeXt": Shape("ResNeXt", 2, 4, 2),
    "WRN": Shape("WRN", 2, 1),
    "DenseNet": Shape("DenseNet", 2, 4),
}
# In each block: the norm before its last, and the last; its last convolution.
LAST_NORM = {"PreResNet": "norm3", "ResNeXt": "norm3", "WRN": "norm2", "DenseNet": "norm2"}
LAST_CONV = {"PreResNet": "conv3", "ResNeXt": "conv3", "WRN": "conv2", "DenseNet": "conv2"}
NOISY = [("dropout", 0.5, nn.Dropout), ("uout", 0.3, vs.nn.Uout), ("gaussian", 0.25, None)]


def small(family, placing=Placing(), seed=0):  # noqa: B008
    return build(SMALL[family], placing, channels=3, classes=10, seed=seed)


def blocks(net):
    """Paths of the residual or dense blocks: not those of transitions."""
    return [
        f"blocks.{name}" for name, block in net.blocks.named_children() if hasattr(block, "conv1")
    ]


def paper_net(family, classes):
    """On no device: only shapes are looked at, 36 million weights need not be drawn."""
    with torch.device("meta"):
        return build(PAPER[family], Placing(), channels=3, classes=classes, seed=0)


def millions(net):
    return sum(weight.numel() for weight in net.parameters()) / 1e6


@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_papers_networks_have_their_printed_size(family, classes):
    printed = PRINTED[family][classes == 100]
    if (family, classes) == ("PreResNet", 100):
        # A slip of the paper: 90 classes more cost 90·257 weights, and 1.70 + 0.023 is not 1.77.
        assert millions(paper_net(family, 100)) == pytest.approx(1.726, abs=5e-4)
        assert printed / millions(paper_net(family, 100)) - 1 == pytest.approx(0.025, abs=1e-3)
        assert millions(paper_net(family, 100)) - millions(paper_net(family, 10)) == pytest.approx(
            90 * 257 / 1e6, rel=1e-9
        )
    else:
        assert millions(paper_net(family, classes)) == pytest.approx(printed, rel=0.01)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_papers_networks_have_their_norms(family):
    norms = [m for m in paper_net(family, 10).modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == PRINTED[family][2]


@pytest.mark.parametrize(
    ("family", "depth"), [("PreResNet", 164), ("ResNeXt", 29), ("WRN", 26), ("DenseNet", 100)]
)
def test_depth_is_counted_on_the_main_line(family, depth):
    """A WRN-28 counts its three shortcuts and not its classifier: 26 + 3 − 1."""
    weights = [
        path
        for path, module in paper_net(family, 10).named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    assert len([path for path in weights if "shortcut" not in path]) == depth
    assert len([path for path in weights if "shortcut" in path]) == (0, 3)[family != "DenseNet"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("kind", "amount", "layer"), NOISY)
def test_place_a_feeds_the_last_norm_of_every_block_and_no_other(family, kind, amount, layer):
    net = small(family, Placing("a", kind, amount))
    found = vs.inspect(net, torch.randn(4, 3, 8, 8))
    routes = [route for route in found.routes if "a" in route.placements]
    assert {route.norm for route in routes} == {f"{b}.{LAST_NORM[family]}" for b in blocks(net)}
    assert len(routes) == len(blocks(net)) == len(found.noises) == 6
    assert all(route.noise.rpartition(".")[0] in route.norm for route in routes)
    assert all(route.layers == () for route in routes)
    if layer is not None:
        assert sum(isinstance(module, layer) for module in net.modules()) == 6


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("kind", "amount", "layer"), NOISY)
def test_place_b_stands_right_before_the_last_convolution(family, kind, amount, layer):
    net = small(family, Placing("b", kind, amount)).train()
    assert not [r for r in vs.inspect(net, torch.randn(4, 3, 8, 8)).routes if "a" in r.placements]
    given, taken = {}, {}
    for block in blocks(net):
        noise = net.get_submodule(f"{block}.before_conv")
        conv = net.get_submodule(f"{block}.{LAST_CONV[family]}")
        noise.register_forward_hook(lambda _, i, out, block=block: given.update({block: (i, out)}))
        conv.register_forward_pre_hook(lambda _, i, block=block: taken.update({block: i[0]}))
    net(torch.randn(4, 3, 8, 8))
    assert len(given) == len(taken) == 6
    for block, ((before,), after) in given.items():
        assert taken[block] is after
        assert not torch.equal(before, after)


@pytest.mark.parametrize("family", FAMILIES)
def test_at_place_b_every_route_to_the_next_norm_carries_weights(family):
    found = vs.inspect(small(family, Placing("b", "dropout", 0.5)), torch.randn(4, 3, 8, 8))
    assert len(found.noises) == 6
    assert {route.noise for route in found.direct()} == {noise.name for noise in found.noises}
    assert {route.placement for route in found.direct()} == {"b"}


@pytest.mark.parametrize("family", FAMILIES)
def test_noise_before_the_classifier_reaches_no_norm(family):
    found = vs.inspect(small(family, Placing("last", "dropout", 0.5)), torch.randn(4, 3, 8, 8))
    assert [noise.drop_p for noise in found.noises] == [0.5]
    assert found.routes == ()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_without_noise_has_none(family):
    assert vs.inspect(small(family), torch.randn(4, 3, 8, 8)).noises == ()


@pytest.mark.parametrize("family", FAMILIES)
def test_one_seed_gives_the_same_weights_whatever_the_noise(family):
    plain = small(family, seed=3).state_dict()
    for placing in (
        Placing("a", "dropout", 0.5),
        Placing("b", "uout", 0.3),
        Placing("b", "gaussian", 0.3),
        Placing("last", "dropout", 0.2),
    ):
        noisy = small(family, placing, seed=3).state_dict()
        assert list(noisy) == list(plain)
        assert all(torch.equal(noisy[name], held) for name, held in plain.items())
    other = small(family, seed=4).state_dict()
    assert not torch.equal(other["stem.weight"], plain["stem.weight"])


@pytest.mark.parametrize("family", FAMILIES)
def test_convolutions_start_as_he_said(family):
    """The deviation √(2 / fan-out) of pooled, scaled weights; a count n knows it to 1/√(2n)."""
    net = small(family)
    scaled = torch.cat(
        [
            # PyTorch's fan-out of a grouped convolution counts all its output channels.
            (conv.weight * (conv.out_channels * conv.kernel_size[0] ** 2 / 2) ** 0.5).flatten()
            for conv in net.modules()
            if isinstance(conv, nn.Conv2d)
        ]
    ).detach()
    assert float(scaled.std()) == pytest.approx(1, abs=5 / (2 * len(scaled)) ** 0.5)
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        assert bool((norm.weight == 1).all())
        assert bool((norm.bias == 0).all())


def test_building_leaves_the_generator_alone():
    before = torch.get_rng_state()
    small("WRN")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_one_per_class(family):
    net = build(SMALL[family], Placing(), channels=1, classes=7, seed=0)
    assert net(torch.randn(3, 1, 8, 8)).shape == (3, 7)


def test_noise_layers_carry_what_was_asked_for():
    assert Placing("a", "dropout", 0.3).at("a").p == 0.3
    assert Placing("b", "uout", 0.3).at("b").beta == 0.3
    x = torch.ones(200_000)
    torch.manual_seed(0)
    drawn = Placing("b", "gaussian", 0.5).at("b").train()(x)
    # τ = 1 at drop_p 0.5: a deviation of 1, known to 1/√(2n).
    assert float(drawn.std()) == pytest.approx(1, abs=5 / (2 * len(x)) ** 0.5)
    for place in PLACES:
        for kind in KINDS:
            at = Placing("last", kind, 0.5).at(place)
            assert isinstance(at, nn.Identity) == (place != "last")


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (("c", "dropout", 0.5), r"no place 'c'; there are none, a, b, last"),
        (("a", "droput", 0.5), r"no noise 'droput'; there are dropout, uout, gaussian"),
        (("a", "dropout", -0.1), r"is -0\.1; it must be at least 0 and below 1"),
        (("a", "dropout", 1.0), r"is 1\.0; it must be at least 0 and below 1"),
        (("b", "gaussian", 1.0), r"at least 0 and below 1"),
        (("b", "uout", -1.0), r"is -1\.0; it must be at least 0 and at most 1$"),
        (("a", "dropout", 0.0), r"place 'a' with amount 0: no place and no amount go together"),
        (("none", "dropout", 0.5), r"place 'none' with amount 0\.5: no place and no amount"),
    ],
)
def test_a_wrong_placing_is_refused(wrong, match):
    with pytest.raises(vs.UsageError, match=match):
        Placing(*wrong)


def test_uout_goes_up_to_one():
    assert Placing("b", "uout", 1.0).at("b").beta == 1.0
    with pytest.raises(vs.UsageError, match=r"1\.5"):
        Placing("b", "uout", 1.5).at("b")


def test_an_unknown_family_is_refused():
    with pytest.raises(vs.UsageError, match="no network 'VGG'; there are PreResNet, ResNeXt, WRN"):
        Shape("VGG", 1, 1)
