"""How a picture becomes an input: by the transform that the model's own library has for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from varshift._loading.hubs import hub_of
from varshift.errors import DataError, MissingExtraError

__all__ = ["Pictures", "Preparation"]

_SIZE = 224
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_CROP = 256 / 224  # size before the crop ÷ size, the usual one


@dataclass(frozen=True)
class Preparation:
    """What is done to a picture; `mode` is Pillow's ("RGB", "L"), `said` tells it in a note."""

    transform: Callable[[Any], Tensor]
    mode: str
    said: str


@dataclass(frozen=True, eq=False)
class Pictures:
    """Whose pictures they are to be: the model, what named it, and a size asked for.

    The transform is that of evaluation, which draws nothing at random.
    """

    model: nn.Module
    target: str = ""
    keywords: Mapping[str, Any] = field(default_factory=dict)
    size: int | None = None

    def preparation(self) -> Preparation:
        """By timm's data configuration, by torchvision's weights, by an image processor, or usual.

        Raises MissingExtraError without torchvision, which all of them need.
        """
        try:
            import torchvision  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("torchvision", "zoo", "a folder of pictures") from error
        kind, name = hub_of(self.target) or ("", "")
        made = None
        if kind == "torchvision":
            made = _of_torchvision(name, self.keywords, self.size)
        elif kind == "hf":
            made = _of_transformers(name, self.size)
        elif isinstance(getattr(self.model, "pretrained_cfg", None), Mapping):
            made = _of_timm(self.model, self.size)
        return _usual(self.model, self.size) if made is None else made


def _of_timm(model: nn.Module, size: int | None) -> Preparation | None:
    try:
        data: Any = import_module("timm.data")
    except ImportError:
        return None
    asked = {} if size is None else {"img_size": size}
    found = data.resolve_model_data_config(model, args=asked)
    channels, height, width = found["input_size"]
    return Preparation(
        data.create_transform(**found, is_training=False),
        _mode(channels),
        f"pictures are prepared as timm's data configuration says ({height} × {width})",
    )


def _of_torchvision(name: str, keywords: Mapping[str, Any], size: int | None) -> Preparation | None:
    from torchvision import models

    weights = models.get_model_weights(name)
    asked = str(keywords.get("weights") or "DEFAULT").rpartition(".")[2]
    made = weights[asked].transforms() if asked in weights.__members__ else None
    if made is None:
        return None
    if size is not None:
        if not hasattr(made, "crop_size"):
            raise DataError(f"torchvision:{name} prepares whole pictures; leave --image-size out")
        made = type(made)(
            crop_size=size, resize_size=round(size * _CROP), mean=made.mean, std=made.std
        )
    return Preparation(
        made, "RGB", f"pictures are prepared as torchvision's weights {asked} of {name} say"
    )


def _of_transformers(name: str, size: int | None) -> Preparation | None:
    """None where nothing is said of pictures there."""
    processors: Any = import_module("transformers").AutoImageProcessor
    path = Path(name).expanduser()
    try:
        processor = processors.from_pretrained(
            str(path) if path.is_dir() else name, local_files_only=True
        )
    except (OSError, ValueError, ImportError):
        return None
    if size is not None:
        mean = getattr(processor, "image_mean", None) or _MEAN
        std = getattr(processor, "image_std", None) or _STD
        made = _resized(size, mean, std)
        return Preparation(made, "RGB", f"pictures are {size} × {size}, normalised as hf:{name}'s")

    def prepare(picture: Any) -> Tensor:
        values: Tensor = processor(picture, return_tensors="pt")["pixel_values"][0]
        return values

    return Preparation(prepare, "RGB", f"pictures are prepared by the image processor of hf:{name}")


def _usual(model: nn.Module, size: int | None) -> Preparation:
    mode = _mode(_channels(model))
    grey = mode == "L"
    mean, std = ((sum(_MEAN) / 3,), (sum(_STD) / 3,)) if grey else (_MEAN, _STD)
    across = size or _SIZE
    return Preparation(
        _resized(across, mean, std),
        mode,
        f"the model names no transform: pictures are resized, cropped to {across} × {across} "
        f"{'in grey ' if grey else ''}and normalised as ImageNet's (--image-size for another size; "
        "for anything else give --data as file.py:loader)",
    )


def _resized(size: int, mean: Any, std: Any) -> Callable[[Any], Tensor]:
    from torchvision import transforms

    made: Callable[[Any], Tensor] = transforms.Compose(
        [
            transforms.Resize(round(size * _CROP)),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
    )
    return made


def _channels(model: nn.Module) -> int:
    """Those that its first convolution takes."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return next((each.in_channels for each in model.modules() if isinstance(each, kinds)), 3)


def _mode(channels: int) -> str:
    if channels not in (1, 3):
        raise DataError(
            f"the model takes {channels} channels, and pictures have 3 or 1; give --data as "
            "file.py:loader"
        )
    return "RGB" if channels == 3 else "L"
