"""MONAI: networks with batch norm, two- and three-dimensional."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.networks import nets
from torch import nn

from benchmarks.zoo.specimen import Specimen, revived, tested

__all__ = ["families", "make"]

Make = Callable[[], nn.Module]
SEG = {"in_channels": 1, "out_channels": 2}
STEPS = {"channels": (8, 16, 32, 64), "strides": (2, 2, 2)}
LAYERS = {"kernel_size": [3, 3, 3, 3], "strides": [1, 2, 2, 2], "upsample_kernel_size": [2, 2, 2]}


def _both(make: Callable[[int], Any], name: str, sides: tuple[int, int] = (64, 32)) -> Any:
    return {
        f"{name}, {dims}D": (lambda dims=dims: make(dims), (1, *(sides[dims - 2],) * dims))
        for dims in (2, 3)
    }


def _classified(kind: str, **options: Any) -> Callable[[int], nn.Module]:
    return lambda dims: getattr(nets, kind)(
        spatial_dims=dims, in_channels=1, out_channels=4, **options
    )


def _residual(kind: str) -> Callable[[int], nn.Module]:
    return lambda dims: getattr(nets, kind)(spatial_dims=dims, n_input_channels=1, num_classes=4)


NETS: dict[str, tuple[Make, tuple[int, ...]]] = {
    **_both(lambda d: nets.UNet(spatial_dims=d, **SEG, **STEPS, norm="batch", dropout=0.3), "UNet"),
    **_both(
        lambda d: nets.UNet(
            spatial_dims=d, **SEG, **STEPS, num_res_units=2, norm="batch", dropout=0.3
        ),
        "UNet, residual",
    ),
    **_both(
        lambda d: nets.BasicUNet(
            spatial_dims=d, **SEG, features=(8, 8, 16, 32, 64, 8), norm="batch", dropout=0.3
        ),
        "BasicUNet",
    ),
    **_both(
        lambda d: nets.BasicUNetPlusPlus(
            spatial_dims=d, **SEG, features=(8, 8, 16, 32, 64, 8), norm="batch", dropout=0.3
        ),
        "BasicUNetPlusPlus",
    ),
    **_both(lambda d: nets.AttentionUnet(d, 1, 2, **STEPS, dropout=0.3), "AttentionUnet"),
    **_both(lambda d: nets.DynUNet(d, 1, 2, **LAYERS, norm_name="batch", dropout=0.3), "DynUNet"),
    **_both(
        lambda d: nets.DynUNet(d, 1, 2, **LAYERS, norm_name="batch", dropout=0.3, res_block=True),
        "DynUNet, residual",
    ),
    **_both(lambda d: nets.VNet(spatial_dims=d, **SEG, dropout_prob_down=0.3), "VNet", (64, 32)),
    **_both(
        lambda d: nets.SegResNet(spatial_dims=d, **SEG, norm="batch", dropout_prob=0.3),
        "SegResNet",
    ),
    **_both(
        lambda d: nets.SegResNetDS(spatial_dims=d, init_filters=8, **SEG, norm="batch"),
        "SegResNetDS",
    ),
    **_both(
        lambda d: nets.SegResNetVAE(
            (32,) * d, spatial_dims=d, **SEG, norm="batch", dropout_prob=0.3
        ),
        "SegResNetVAE",
        (32, 32),
    ),
    **_both(lambda d: nets.HighResNet(spatial_dims=d, **SEG, dropout_prob=0.3), "HighResNet"),
    **_both(
        lambda d: nets.UNETR(
            1,
            2,
            (64 if d == 2 else 32,) * d,
            8,
            48,
            96,
            4,
            norm_name="batch",
            dropout_rate=0.3,
            spatial_dims=d,
        ),
        "UNETR",
    ),
    **_both(
        lambda d: nets.SwinUNETR(
            1,
            2,
            feature_size=12,
            norm_name="batch",
            drop_rate=0.3,
            dropout_path_rate=0.3,
            spatial_dims=d,
        ),
        "SwinUNETR",
    ),
    **_both(
        lambda d: nets.AutoEncoder(
            spatial_dims=d,
            in_channels=1,
            out_channels=1,
            channels=(8, 16),
            strides=(2, 2),
            norm="batch",
            dropout=0.3,
            num_res_units=1,
        ),
        "AutoEncoder",
    ),
    **_both(
        lambda d: nets.VarAutoEncoder(
            d, (1, *(32,) * d), 1, 8, (8, 16), (2, 2), norm="batch", dropout=0.3
        ),
        "VarAutoEncoder",
        (32, 32),
    ),
    **_both(lambda d: nets.RegUNet(d, 1, 8, 2, out_channels=2), "RegUNet"),
    **_both(lambda d: nets.LocalNet(d, 1, 8, (0, 1, 2), out_channels=2), "LocalNet"),
    **_both(
        lambda d: nets.Regressor((1, *(32,) * d), (2,), (8, 16), (2, 2), norm="batch", dropout=0.3),
        "Regressor",
        (32, 32),
    ),
    **_both(
        lambda d: nets.Classifier((1, *(32,) * d), 3, (8, 16), (2, 2), norm="batch", dropout=0.3),
        "Classifier",
        (32, 32),
    ),
    **_both(
        lambda d: nets.Discriminator((1, *(32,) * d), (8, 16), (2, 2), norm="batch", dropout=0.3),
        "Discriminator",
        (32, 32),
    ),
    **{
        f"Generator, {dims}D": (
            lambda d=dims: nets.Generator(
                (16,), (16, *(8,) * d), (8, 1), (2, 2), norm="batch", dropout=0.3
            ),
            (16,),
        )
        for dims in (2, 3)
    },
    **_both(
        lambda d: nets.PatchDiscriminator(spatial_dims=d, channels=8, in_channels=1, dropout=0.3),
        "PatchDiscriminator",
    ),
    **{
        name: value
        for kind in ("DenseNet121", "DenseNet169", "DenseNet201", "DenseNet264")
        for name, value in _both(_classified(kind, dropout_prob=0.3), kind).items()
    },
    **{
        name: value
        for kind in ("resnet10", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
        for name, value in _both(_residual(kind), kind).items()
    },
    **{
        name: value
        for kind in ("SEResNet50", "SEResNext50", "SENet154")
        for name, value in _both(
            lambda d, kind=kind: getattr(nets, kind)(spatial_dims=d, in_channels=1, num_classes=4),
            kind,
        ).items()
    },
    **{
        name: value
        for size in ("b0", "b2", "b4")
        for name, value in _both(
            lambda d, size=size: nets.EfficientNetBN(
                f"efficientnet-{size}", pretrained=False, spatial_dims=d, in_channels=1
            ),
            f"EfficientNet {size}",
        ).items()
    },
    "FlexibleUNet": (
        lambda: nets.FlexibleUNet(3, 2, "efficientnet-b0", dropout=0.3),
        (3, 64, 64),
    ),
    "FlexibleUNet, resnet18": (
        lambda: nets.FlexibleUNet(3, 2, "resnet18", dropout=0.3),
        (3, 64, 64),
    ),
    "AHNet, 2D": (lambda: nets.AHNet(spatial_dims=2, **SEG), (1, 128, 128)),
    "HoVerNet": (lambda: nets.HoVerNet(dropout_prob=0.3), (3, 256, 256)),
    "Daf3d": (lambda: nets.DAF3D(1, 2, visual_output=False), (1, 32, 32, 32)),
    "TorchVisionFCModel": (
        lambda: nets.TorchVisionFCModel("resnet18", 4, pretrained=False),
        (3, 224, 224),
    ),
    "SegResNetDS2": (
        lambda: nets.SegResNetDS2(3, 8, 1, out_channels=8, norm="batch"),
        (1, 32, 32, 32),
    ),
}


def families() -> dict[str, str]:
    """By name, the class: what is before the comma."""
    return {name: name.partition(",")[0] for name in NETS}


def make(name: str) -> Specimen:
    """With dropout of 0.3 wherever it is taken."""
    build, shape = NETS[name]

    def draw(count: int) -> torch.Tensor:
        return torch.randn(count, *shape)

    told = " × ".join(str(size) for size in (2, *shape))
    return tested(Specimen(revived(build()), draw, None, told, samples=2))
