"""Models of other libraries, where those are installed; their import warnings are not ours."""

from __future__ import annotations

import warnings

import pytest


def library(name):
    """The library, or the test is skipped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"no {name}; pip install '.[dev]'")


def patchtst(layers, **rates):
    """A small PatchTST of transformers; `rates` are its dropouts, its defaults where not given."""
    transformers = library("transformers")
    config = transformers.PatchTSTConfig(
        num_input_channels=3,
        context_length=32,
        prediction_length=4,
        patch_length=8,
        patch_stride=8,
        d_model=16,
        num_attention_heads=2,
        ffn_dim=32,
        num_hidden_layers=layers,
        **rates,
    )
    return transformers.PatchTSTForPrediction(config)
