"""Where models and data come from: specs, checkpoints, named data sets."""

from varshift._loading.checkpoints import file_and_key, is_checkpoint, load_checkpoint
from varshift._loading.data import example_from_shapes, load_data
from varshift._loading.datasets import (
    NAMES,
    ImageSet,
    channel_scale,
    load_images,
    load_raw_images,
    normalised,
)
from varshift._loading.factories import load_factory, load_function, load_model
from varshift._loading.hubs import untrained
from varshift._loading.keywords import keywords_of
from varshift._loading.preparing import Pictures
from varshift._loading.saving import refuse_unwritable, save_checkpoint

__all__ = [
    "NAMES",
    "ImageSet",
    "Pictures",
    "channel_scale",
    "example_from_shapes",
    "file_and_key",
    "is_checkpoint",
    "keywords_of",
    "load_checkpoint",
    "load_data",
    "load_factory",
    "load_function",
    "load_images",
    "load_model",
    "load_raw_images",
    "normalised",
    "refuse_unwritable",
    "save_checkpoint",
    "untrained",
]
