"""A run's images: loaded once, reduced in size, cut, and known by their hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from varshift._loading import ImageSet, channel_scale, load_raw_images
from varshift.reproduce.run import Images

__all__ = ["Pixels", "crop_and_flip", "pixels"]


@dataclass(frozen=True, eq=False)
class Pixels(ImageSet):
    """A set's images, each of `side` pixels, and the hash that tells which they are.

    Attributes:
        sha256: of the normalised images and their labels.
        scales: what `normalised` takes away and divides by, one after the other; none where the
            images are kept normalised.
    """

    sha256: str
    scales: tuple[tuple[Tensor, Tensor], ...] = ()

    def to(self, device: str) -> Pixels:
        """The same images on another device."""
        parts = ("train", "train_labels", "test", "test_labels")
        moved = {part: getattr(self, part).to(device) for part in parts}
        scales = tuple((mean.to(device), deviation.to(device)) for mean, deviation in self.scales)
        return replace(self, **moved, scales=scales)

    def normalised(self, images: Tensor) -> Tensor:
        """Some of the images as networks take them: float32, normalised per channel."""
        images = images.float()
        for mean, deviation in self.scales:
            images = (images - mean) / deviation
        return images

    @property
    def classes(self) -> int:
        """Classes the labels name."""
        return int(self.train_labels.max()) + 1


@lru_cache(maxsize=2)
def pixels(images: Images, root: str | Path | None = None) -> Pixels:
    """The images of a run. Which ones are kept of a larger set is fixed, the same for all seeds.

    Bytes stay bytes where no pixel is averaged, and are normalised batch by batch: to the same
    bits as the whole set at once, in a quarter of the memory.
    """
    raw = load_raw_images(images.name, root)
    first = channel_scale(raw.train.float())
    train, train_labels = _part(raw.train, raw.train_labels, images.train)
    test, test_labels = _part(raw.test, raw.test_labels, images.test)
    whole = images.side == raw.train.shape[-1]
    ready = [_reduced((part.float() - first[0]) / first[1], images.side) for part in (train, test)]
    # Averaging pixels takes variance away: normalised once more, as the networks expect.
    mean, deviation = channel_scale(ready[0])
    ready = [(part - mean) / deviation for part in ready]
    name = raw.name if whole else f"{raw.name}, {images.side} px"
    sha256 = _hash((ready[0], train_labels, ready[1], test_labels))
    if whole and raw.train.dtype == torch.uint8:
        scales = (first, (mean, deviation))
        return Pixels(name, train, train_labels, test, test_labels, sha256, scales)
    return Pixels(name, ready[0], train_labels, ready[1], test_labels, sha256)


def _part(images: Tensor, labels: Tensor, count: int | None) -> tuple[Tensor, Tensor]:
    if count is None or count >= len(images):
        return images, labels
    kept = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:count]
    return images[kept], labels[kept]


def _reduced(images: Tensor, side: int) -> Tensor:
    if images.shape[-1] == side:
        return images
    return functional.interpolate(images, size=(side, side), mode="area")


def _hash(parts: tuple[Tensor, ...]) -> str:
    told = hashlib.sha256()
    for part in parts:
        told.update(part.contiguous().numpy().tobytes())
    return told.hexdigest()


def crop_and_flip(batch: Tensor, *, pad: int, flip: bool, seed: int) -> Tensor:
    """Each image shifted by up to `pad` pixels over zeros, and mirrored or not.

    `(N, C, H, W)` -> the same shape; what is drawn follows from `seed` alone.
    """
    count, _, high, wide = batch.shape
    dice = torch.Generator().manual_seed(seed)
    down, right = torch.randint(2 * pad + 1, (2, count, 1), generator=dice)
    mirrored = torch.randint(2, (count, 1), generator=dice).bool() & flip
    rows = down + torch.arange(high)
    columns = torch.arange(wide)
    columns = right + torch.where(mirrored, columns.flip(0), columns)
    padded = functional.pad(batch, (pad, pad, pad, pad))
    chosen = torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]
    # Indexed with the channels last, the layout convolutions are fastest in on a CPU.
    moved = padded.permute(0, 2, 3, 1)[tuple(index.to(batch.device) for index in chosen)]
    return moved.permute(0, 3, 1, 2)
