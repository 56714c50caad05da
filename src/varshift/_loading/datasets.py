"""Named image sets: what scikit-learn carries, and local copies of two well-known ones.

Nothing is downloaded unless it is asked for. Figures made with a re-encoded copy say so in the
set's name.
"""

from __future__ import annotations

import gzip
import io
import itertools
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from varshift._files import unreadable
from varshift._loading.saying import first_line
from varshift.errors import DataError, MissingExtraError, UsageError, VarshiftError, quoted

__all__ = ["NAMES", "ImageSet", "channel_scale", "load_images", "load_raw_images", "normalised"]

NAMES = ("digits", "fashion-mnist", "cifar10", "cifar100")
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # apt-get install dataset-fashion-mnist


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images (N, C, H, W), labels (N,), and a name for figures.

    Normalised, the images are float32; as they lie on disk, most sets' are uint8.
    """

    name: str
    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor

    @property
    def channels(self) -> int:
        """Colour channels of an image."""
        return self.train.shape[1]


def load_images(
    name: str, root: str | Path | None = None, *, seed: int = 0, download: bool = False
) -> ImageSet:
    """A named set, normalised; `root` is the folder (or the .npz file) of a local copy.

    "digits" has no split of its own: it is halved, shuffled by `seed`. Raises DataError where the
    files are not found, with what would bring them.
    """
    return normalised(load_raw_images(name, root, seed=seed, download=download))


def load_raw_images(
    name: str, root: str | Path | None = None, *, seed: int = 0, download: bool = False
) -> ImageSet:
    """The same with the pixels as they lie on disk: most are bytes, a quarter of the memory."""
    if name == "digits":
        return _digits(seed)
    try:
        return _from_disk(name, root, download)
    except VarshiftError:
        raise
    except Exception as error:  # of gzip, zipfile, numpy, pillow: each has its own
        raise DataError(
            f"the copy of {name} in {quoted(str(root or _DEBIAN))} cannot be read "
            f"({type(error).__name__}: {first_line(error)}); fetch it again"
        ) from error


def _from_disk(name: str, root: str | Path | None, download: bool) -> ImageSet:
    if name == "fashion-mnist":
        return _fashion(Path(root) if root else _DEBIAN, download)
    if name == "cifar10":
        return _cifar10(root, download)
    if name == "cifar100":
        return _cifar100(root, download)
    raise UsageError(f"no data set {name!r}; there are {', '.join(NAMES)}")


def _digits(seed: int) -> ImageSet:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "demo", "the digits data set") from error
    bunch = load_digits()
    order = torch.randperm(
        len(bunch.target), generator=torch.Generator().manual_seed(seed), device="cpu"
    )
    images = torch.tensor(bunch.images, dtype=torch.float32, device="cpu")[order, None]
    labels = torch.tensor(bunch.target, device="cpu")[order]
    half = (len(labels) + 1) // 2
    return ImageSet(
        "digits (scikit-learn)", images[:half], labels[:half], images[half:], labels[half:]
    )


def _fashion(root: Path, download: bool) -> ImageSet:
    parts = [_idx(root, f"{part}-{kind}") for part in ("train", "t10k") for kind in _IDX]
    if any(part is None for part in parts):
        return _from_torchvision("FashionMNIST", "Fashion-MNIST", root, download)
    images, labels, test, test_labels = (torch.from_numpy(part) for part in parts)
    return ImageSet(
        "Fashion-MNIST", images[:, None], labels.long(), test[:, None], test_labels.long()
    )


_IDX = ("images-idx3-ubyte", "labels-idx1-ubyte")


def _idx(root: Path, name: str) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
    """One idx file, plain or gzipped; None where there is none."""
    for path, opener in ((root / f"{name}.gz", gzip.open), (root / name, open)):
        if os.path.isfile(path):  # not by `Path.is_file`, which raises for too long a name
            with opener(path, "rb") as file:
                raw = file.read()
            sizes = [
                int.from_bytes(raw[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(raw[3])
            ]
            data = np.frombuffer(raw, np.uint8, offset=4 + 4 * len(sizes))
            if data.size != np.prod(sizes):
                raise DataError(f"{str(path)!r} is cut short; fetch it again")
            return data.reshape(sizes).copy()
    return None


def _cifar10(root: str | Path | None, download: bool) -> ImageSet:
    if root is None:
        raise DataError(
            "cifar10 needs --root: the folder of torchvision's copy, or an .npz of JPEG images"
        )
    path = Path(root)
    packed = sorted(path.glob("cifar10*.npz")) if os.path.isdir(path) else [path]
    if packed and packed[0].suffix == ".npz":
        return _from_npz(packed[0])
    return _from_torchvision("CIFAR10", "CIFAR-10", path, download)


def _cifar100(root: str | Path | None, download: bool) -> ImageSet:
    if root is None:
        raise DataError("cifar100 needs --root: the folder of torchvision's copy")
    return _from_torchvision("CIFAR100", "CIFAR-100", Path(root), download)


def _from_npz(path: Path) -> ImageSet:
    """Keys jpeg (bytes), offsets (N + 1), label, is_test."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("pillow", "zoo", "an .npz of JPEG images") from error
    if said := unreadable(path):
        raise DataError(said)
    with np.load(path) as held:
        missing = {"jpeg", "offsets", "label", "is_test"} - set(held.files)
        if missing:
            raise DataError(f"{str(path)!r} has no {sorted(missing)}; it is another kind of .npz")
        jpeg, offsets, labels, is_test = (
            held[key] for key in ("jpeg", "offsets", "label", "is_test")
        )
    images = np.stack(
        [
            np.asarray(Image.open(io.BytesIO(jpeg[start:stop].tobytes())))
            for start, stop in itertools.pairwise(offsets)
        ]
    )
    test = torch.from_numpy(np.asarray(is_test, dtype=bool))
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    kinds = torch.from_numpy(np.asarray(labels, dtype=np.int64))
    name = "CIFAR-10 (JPEG re-encoded)"
    return ImageSet(name, pixels[~test], kinds[~test], pixels[test], kinds[test])


def _from_torchvision(kind: str, name: str, root: Path, download: bool) -> ImageSet:
    try:
        from torchvision import datasets
    except ImportError as error:
        raise MissingExtraError("torchvision", "zoo", f"{name} from {str(root)!r}") from error
    try:
        train, test = (getattr(datasets, kind)(root, part, download=download) for part in (1, 0))
    except RuntimeError as error:
        raise DataError(
            f"{name} is not in {str(root)!r}; give --root=FOLDER with a copy of it"
            + (" (on Debian: apt-get install dataset-fashion-mnist)" if "Fashion" in name else "")
        ) from error
    parts = []
    for part in (train, test):
        pixels = torch.as_tensor(part.data, device="cpu")
        pixels = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
        parts += [pixels, torch.as_tensor(part.targets, device="cpu")]
    return ImageSet(name, *parts)


def normalised(raw: ImageSet) -> ImageSet:
    """Per channel by the training images' own mean and deviation."""
    train, test = raw.train.float(), raw.test.float()
    mean, deviation = channel_scale(train)
    return replace(raw, train=(train - mean) / deviation, test=(test - mean) / deviation)


def channel_scale(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel, (1, C, 1, 1); a constant channel's is not zero."""
    mean = images.mean((0, 2, 3), keepdim=True)
    return mean, images.std((0, 2, 3), keepdim=True).clamp(min=1e-6)
