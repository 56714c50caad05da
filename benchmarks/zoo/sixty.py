"""The sixty whose figures are checked: each kind of norm, noise and body, the small of each."""

from __future__ import annotations

__all__ = ["SIXTY"]

_CHOSEN = {
    "timm": (
        *("resnet26d", "resnetv2_50", "ecaresnet26t", "legacy_seresnet18", "skresnet18"),
        *("res2net50_14w_8s", "resnest14d", "resnext26ts", "bat_resnext26ts", "botnet26t_256"),
        *("densenet121", "dla34", "dpn48b", "cs3darknet_m", "hrnet_w18_small", "vgg11_bn"),
        *("efficientnet_b0", "tf_efficientnetv2_b0", "tf_efficientnet_lite0", "mnasnet_small"),
        *("mobilenetv2_035", "mobilenetv3_small_050", "mobilenetv4_conv_small_035", "lcnet_035"),
        *("ghostnet_100", "fbnetv3_b", "regnetx_002", "regnety_002", "regnetz_b16", "repvgg_a0"),
        *("mobileone_s0", "levit_128s", "xcit_nano_12_p16_224", "inception_v3"),
    ),
    "torchvision": (
        *("resnet18", "googlenet", "shufflenet_v2_x0_5", "regnet_y_400mf"),
        *("efficientnet_b0", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"),
        *("fcn_resnet50", "r3d_18", "mc3_18"),
    ),
    "torch_geometric": ("GCN", "GIN", "GAT, jump cat", "MLP", "DeepGCN res+", "BatchNorm"),
    "transformers": (
        *("ResNet, basic", "RegNet, y", "MobileNetV2", "CvT", "PatchTST", "SwiftFormer"),
    ),
    "monai": ("UNet, 2D", "resnet10, 3D", "DenseNet121, 2D", "BasicUNet, 3D"),
}
SIXTY = tuple(f"{library}/{name}" for library, names in _CHOSEN.items() for name in names)
