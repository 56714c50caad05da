"""A fixed forty of the zoo: small, of every library, kind of noise and kind of body."""

from __future__ import annotations

__all__ = ["FORTY"]

TIMM = (
    *("resnet18", "resnetv2_18", "legacy_seresnet18", "res2net50_26w_4s", "skresnet18"),
    *("resnest14d", "densenet121", "dla46_c", "cs3darknet_focus_s", "fbnetc_100", "repvgg_a0"),
    *("efficientnet_lite0", "tf_efficientnet_b0", "mobilenetv2_035", "mobilenetv3_small_050"),
    *("mobilenetv4_conv_small_035", "lcnet_035", "ghostnet_050", "regnetx_002", "regnetz_005"),
    *("levit_128s", "test_maxvit", "test_coatnet", "mobileone_s0", "starnet_s1"),
    *("efficientvit_m0", "repghostnet_050", "botnet26t_256"),
)
FORTY = (
    *(f"timm/{name}" for name in TIMM),
    *("torchvision/shufflenet_v2_x0_5", "torchvision/lraspp_mobilenet_v3_large"),
    *("torchvision/ssdlite320_mobilenet_v3_large", "torchvision/mc3_18"),
    *("torch_geometric/GIN, jump lstm", "torch_geometric/GAT, version 2"),
    "torch_geometric/InstanceNorm",
    *("transformers/CvT", "transformers/PatchTSMixer", "transformers/Wav2Vec2 Conformer"),
    *("monai/UNet, residual, 2D", "monai/VNet, 3D"),
)
