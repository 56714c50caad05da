"""torchvision: classification, segmentation, detection, video, optical flow."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn
from torchvision import models

from benchmarks.zoo.images import SIDES, accepted, smallest
from benchmarks.zoo.specimen import Specimen, on_meta, revived, tested

__all__ = ["families", "make"]

OPTIONS = {"dropout": 0.3, "drop_rate": 0.3, "stochastic_depth_prob": 0.3}
# Their weights come by other switches, and what is downloaded is none of ours.
WITHOUT_WEIGHTS = {"weights": None, "weights_backbone": None, "init_weights": False}


def families() -> dict[str, str]:
    """By name, the file of torchvision that holds its builder."""
    return {name: models.get_model_builder(name).__module__ for name in models.list_models()}


def make(name: str) -> Specimen:
    """With every drop option that the constructor takes."""
    builder = models.get_model_builder(name)
    taken = inspect.signature(builder).parameters
    without = {key: value for key, value in WITHOUT_WEIGHTS.items() if key in taken}
    if "init_weights" not in without and name in ("googlenet", "inception_v3"):
        without["init_weights"] = False

    def build(**options: Any) -> nn.Module:
        return builder(**without, **options)

    kind = builder.__module__
    if ".detection" in kind:
        return _detector(build, {} if "ssd" in kind else {"min_size": 96, "max_size": 128})
    options = accepted(build, OPTIONS)
    if ".optical_flow" in kind:
        return _flow(build, options)
    if ".video" in kind:
        tries = [(options, side) for side in (32, 64, 112, 224)]
        return smallest(build, tries, depth=(16 if name == "s3d" else 8,))
    return smallest(build, [(options, side) for side in SIDES])


def _detector(build: Any, options: dict[str, int]) -> Specimen:
    """Images and boxes; most networks resize by themselves, to what they are told here."""
    on_meta(lambda: build(**options))
    model = revived(build(**options))
    keypoints = hasattr(model, "roi_heads") and model.roi_heads.has_keypoint()
    masks = hasattr(model, "roi_heads") and model.roi_heads.has_mask()

    def draw(count: int) -> tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]:
        target = {
            "boxes": torch.tensor([[4.0, 4.0, 60.0, 70.0], [30.0, 20.0, 90.0, 90.0]]),
            "labels": torch.tensor([1, 1]),
        }
        if masks:
            target["masks"] = torch.ones(2, 96, 96, dtype=torch.uint8)
        if keypoints:
            target["keypoints"] = torch.tensor([[[30.0, 30.0, 1.0]] * 17] * 2)
        return [torch.rand(3, 96, 96) for _ in range(count)], [dict(target)] * count

    def forward(model: nn.Module, batch: Any) -> Any:
        images, targets = batch
        return model(images, [dict(target) for target in targets])

    return tested(Specimen(model, draw, forward, f"2 images of 96 × 96 {options}", 2))


def _flow(build: Any, options: dict[str, Any]) -> Specimen:
    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.randn(count, 3, 128, 128), torch.randn(count, 3, 128, 128)

    def forward(model: nn.Module, batch: Any) -> Any:
        return model(*batch, num_flow_updates=2)

    model = revived(build(**options))
    return tested(Specimen(model, draw, forward, "2 pairs of 128 × 128", 2))
