"""Noise-off statistics in the Trainer of Hugging Face transformers.

    from varshift.integrations.transformers import NoiseOffStatistics, attach

    class MyTrainer(NoiseOffStatistics, Trainer): ...

    attach(trainer)  # the same for a trainer that is already there

Whatever evaluates goes through the trainer's `evaluation_loop`: training's own evaluations, those
of several evaluation sets, `evaluate()` and `predict()`. There, and nowhere else, the model has
noise-off statistics; training goes on as if nothing had been there.
"""

from __future__ import annotations

from varshift.errors import MissingExtraError

try:
    import transformers as _transformers  # noqa: F401
except ImportError as error:
    raise MissingExtraError(
        "transformers", "transformers", "varshift.integrations.transformers"
    ) from error

from varshift.integrations.transformers.trainer import NoiseOffStatistics, attach

__all__ = ["NoiseOffStatistics", "attach"]
