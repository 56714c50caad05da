"""transformers: models that hold batch norms, made from small configurations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as hf
from torch import Tensor, nn

from benchmarks.zoo.specimen import LeftOut, Specimen, revived, tested

__all__ = ["families", "make"]

Make = Callable[[], nn.Module]
Draw = Callable[[int], dict[str, Tensor]]
RATE = 0.3
TINY = {
    **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
    **{"intermediate_size": 64, "hidden_dropout_prob": RATE},
}
BEIT = TINY | {
    "num_hidden_layers": 4,
    "image_size": 64,
    "patch_size": 16,
    "out_indices": [1, 2, 3, 4],
}


def _images(side: int = 64, key: str = "pixel_values") -> Draw:
    return lambda count: {key: torch.randn(count, 3, side, side)}


def _series(count: int) -> dict[str, Tensor]:
    return {"past_values": torch.randn(count, 32, 3)}


def _sound(count: int) -> dict[str, Tensor]:
    return {"input_values": torch.randn(count, 1600)}


def _features(count: int) -> dict[str, Tensor]:
    return {"input_features": torch.randn(count, 64, 80)}


def _made(model: str, config: str = "", **options: Any) -> Make:
    """The model of that class from the configuration of its family."""
    family = config or model.partition("For")[0].removesuffix("Model") + "Config"
    return lambda: getattr(hf, model)(getattr(hf, family)(**options))


def _classifier(family: str, side: int = 64, **options: Any) -> tuple[Make, Draw]:
    return _made(f"{family}ForImageClassification", f"{family}Config", **options), _images(side)


def _resnet() -> Any:
    return hf.ResNetConfig(
        embedding_size=16,
        hidden_sizes=[16, 24, 32, 48],
        depths=[1, 1, 1, 1],
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


def _upernet() -> nn.Module:
    config = hf.UperNetConfig(backbone_config=_resnet(), hidden_size=32, auxiliary_in_channels=32)
    return hf.UperNetForSemanticSegmentation(config)


def _vitpose() -> nn.Module:
    backbone = hf.VitPoseBackboneConfig(
        image_size=[64, 64],
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        hidden_dropout_prob=RATE,
        out_indices=[2],
    )
    return hf.VitPoseForPoseEstimation(
        hf.VitPoseConfig(backbone_config=backbone, use_simple_decoder=False)
    )


def _vitmatte() -> nn.Module:
    backbone = hf.VitDetConfig(
        image_size=64,
        pretrain_image_size=64,
        num_channels=4,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        dropout_prob=RATE,
        drop_path_rate=RATE,
        out_features=["stage2"],
    )
    return hf.VitMatteForImageMatting(
        hf.VitMatteConfig(
            backbone_config=backbone, hidden_size=32, fusion_hidden_sizes=[32, 16, 8, 8]
        )
    )


_RATES = {"dropout": RATE, "attention_dropout": RATE, "ff_dropout": RATE, "path_dropout": RATE}
PATCHES = {
    **{"num_input_channels": 3, "context_length": 32, "prediction_length": 4, "d_model": 16},
    **{"patch_length": 8, "patch_stride": 8},
}
CONFORMER = {
    **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
    **{
        "intermediate_size": 64,
        "conv_dim": [16, 16],
        "conv_kernel": [10, 5],
        "conv_stride": [5, 4],
    },
    **{"num_feat_extract_layers": 2, "hidden_dropout": RATE, "activation_dropout": RATE},
    **{"conformer_conv_dropout": RATE, "layerdrop": 0.0, "apply_spec_augment": False},
    "num_conv_pos_embedding_groups": 4,
}
SPEECH = {
    **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
    **{"intermediate_size": 64, "dropout": RATE, "num_mel_bins": 80},
    "subsampling_conv_channels": 16,
}
HUBERT = {name: value for name, value in CONFORMER.items() if "conformer" not in name}

NETS: dict[str, tuple[Make, Draw]] = {
    "ResNet": _classifier("ResNet"),
    "ResNet, basic": _classifier("ResNet", layer_type="basic", hidden_sizes=[32, 64, 128, 256]),
    "ResNet, downsampled first": _classifier("ResNet", downsample_in_bottleneck=True),
    "RegNet, y": _classifier("RegNet"),
    "RegNet, x": _classifier("RegNet", layer_type="x"),
    "MobileNetV1": _classifier("MobileNetV1", classifier_dropout_prob=RATE),
    "MobileNetV2": _classifier("MobileNetV2", classifier_dropout_prob=RATE),
    "MobileNetV2, segmentation": (_made("MobileNetV2ForSemanticSegmentation"), _images()),
    "LeViT": _classifier("Levit", 224),
    "LeViT, with teacher": (
        _made("LevitForImageClassificationWithTeacher"),
        _images(224),
    ),
    "EfficientNet": _classifier(
        "EfficientNet",
        width_coefficient=1.0,
        depth_coefficient=1.0,
        hidden_dim=1280,
        drop_connect_rate=RATE,
    ),
    "SwiftFormer": _classifier(
        "SwiftFormer", drop_path_rate=RATE, drop_mlp_rate=RATE, drop_conv_encoder_rate=RATE
    ),
    "CvT": _classifier(
        "Cvt",
        depth=(1, 2, 3),
        drop_rate=(RATE,) * 3,
        drop_path_rate=(RATE,) * 3,
        attention_drop_rate=(RATE,) * 3,
    ),
    "MobileViT": _classifier("MobileViT", hidden_dropout_prob=RATE),
    "MobileViT, segmentation": (
        _made("MobileViTForSemanticSegmentation", hidden_dropout_prob=RATE),
        _images(),
    ),
    "MobileViTV2": _classifier("MobileViTV2", attn_dropout=RATE, ffn_dropout=RATE),
    "MobileViTV2, segmentation": (
        _made("MobileViTV2ForSemanticSegmentation", attn_dropout=RATE, ffn_dropout=RATE),
        _images(),
    ),
    "HGNetV2": _classifier("HGNetV2"),
    "HGNetV2, affine": _classifier("HGNetV2", use_learnable_affine_block=True),
    "TextNet": _classifier(
        "TextNet",
        conv_layer_kernel_sizes=[[[3, 3]], [[3, 1]], [[1, 3]], [[3, 3]]],
        conv_layer_strides=[[2], [2], [2], [2]],
    ),
    "PPLCNet": _classifier("PPLCNet", hidden_dropout_prob=RATE),
    "UperNet": (_upernet, _images()),
    "SegFormer": (
        _made(
            "SegformerForSemanticSegmentation",
            hidden_dropout_prob=RATE,
            drop_path_rate=RATE,
            classifier_dropout_prob=RATE,
            hidden_sizes=[16, 32, 32, 64],
            decoder_hidden_size=32,
        ),
        _images(),
    ),
    "BEiT, segmentation": (
        _made("BeitForSemanticSegmentation", **BEIT, drop_path_rate=RATE),
        _images(),
    ),
    "data2vec, segmentation": (
        _made("Data2VecVisionForSemanticSegmentation", **BEIT, drop_path_rate=RATE),
        _images(),
    ),
    "ViTPose": (_vitpose, _images()),
    "ViTMatte": (_vitmatte, lambda count: {"pixel_values": torch.randn(count, 4, 64, 64)}),
    "ALIGN vision": (
        _made(
            "AlignVisionModel",
            width_coefficient=1.0,
            depth_coefficient=1.0,
            hidden_dim=1280,
            drop_connect_rate=RATE,
        ),
        _images(),
    ),
    "PatchTST": (_made("PatchTSTForPrediction", "PatchTSTConfig", **PATCHES, **_RATES), _series),
    "PatchTSMixer": (
        _made(
            "PatchTSMixerForPrediction",
            "PatchTSMixerConfig",
            **PATCHES,
            norm_mlp="batch",
            dropout=RATE,
        ),
        _series,
    ),
    "Wav2Vec2 Conformer": (_made("Wav2Vec2ConformerModel", **CONFORMER), _sound),
    "HuBERT, batch norm": (_made("HubertModel", **HUBERT, conv_pos_batch_norm=True), _sound),
    "Parakeet encoder": (
        _made("ParakeetEncoder", "ParakeetEncoderConfig", **SPEECH),
        _features,
    ),
    "LASR encoder": (
        _made("LasrEncoder", "LasrEncoderConfig", **SPEECH),
        _features,
    ),
    "FastSpeech2 Conformer": (
        _made(
            "FastSpeech2ConformerModel",
            hidden_size=32,
            encoder_layers=1,
            decoder_layers=1,
            encoder_linear_units=32,
            decoder_linear_units=32,
            num_mel_bins=16,
        ),
        lambda count: {
            "input_ids": torch.randint(1, 70, (count, 12)),
            "attention_mask": torch.ones(count, 12, dtype=torch.long),
            "duration_labels": torch.full((count, 12), 2),
            "pitch_labels": torch.randn(count, 12, 1),
            "energy_labels": torch.randn(count, 12, 1),
            "spectrogram_labels": torch.randn(count, 24, 16),
        },
    ),
    "UVDoc backbone": (_made("UVDocBackbone", "UVDocBackboneConfig"), _images(128)),
}


def families() -> dict[str, str]:
    """By name, the family: what is before the comma."""
    return {name: name.partition(",")[0] for name in NETS}


def make(name: str) -> Specimen:
    """With the rates that its configuration takes."""
    build, draw = NETS[name]
    try:
        model = revived(build())
    except (AttributeError, TypeError, ValueError) as failed:
        said = f"{type(failed).__name__}: {failed}".splitlines()[0]
        raise LeftOut(f"not in this version of transformers: {said}") from failed
    shapes = ", ".join(
        f"{key} {' × '.join(map(str, value.shape))}" for key, value in draw(2).items()
    )
    return tested(Specimen(model, draw, None, shapes, samples=2))
