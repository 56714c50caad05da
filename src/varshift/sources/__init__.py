"""Where models and data come from: specs, checkpoints, named data sets."""

from varshift.sources.checkpoints import load_checkpoint
from varshift.sources.data import example_from_shapes, load_data
from varshift.sources.datasets import NAMES, ImageSet, load_images
from varshift.sources.factories import load_factory, load_function, load_model
from varshift.sources.saving import refuse_unwritable, save_checkpoint

__all__ = [
    "NAMES",
    "ImageSet",
    "example_from_shapes",
    "load_checkpoint",
    "load_data",
    "load_factory",
    "load_function",
    "load_images",
    "load_model",
    "refuse_unwritable",
    "save_checkpoint",
]
