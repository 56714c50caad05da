"""Noise-off statistics of a module as it stands in its trainer, or of other weights in it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from varshift._engine import Data, Edit, Forward
from varshift._repair.recalibration import recalibrate
from varshift.errors import DataError, ForwardError, MemoryBoundError, ModelError
from varshift.integrations.lightning.exchange import Exchange
from varshift.integrations.lightning.running import beside_training

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

__all__ = ["Finder"]


@dataclass
class Finder:
    """How statistics are found in a training run.

    Attributes:
        forward: how the module takes a batch, as in `recalibrate`.
        max_samples: use so many.
        frozen: paths of norms that training leaves alone, known while it runs.
        alone: whether this rank may not wait for others, as while an exception is handled.
    """

    forward: Forward | None
    max_samples: int
    frozen: tuple[str, ...] = ()
    alone: bool = False

    def validating(self, trainer: Trainer, module: LightningModule, data: Data) -> Exchange | None:
        """Of the module as it is. The wrapper is asked where there is one.

        DistributedDataParallel gives every rank the buffers of rank 0 in each forward, validation
        included. Asked with the wrapper, `recalibrate` says what that would have left.
        """
        wrapped = isinstance(trainer.model, DistributedDataParallel)
        model = trainer.model if wrapped else module
        assert model is not None
        return self._found(trainer, module, model, data)

    def of_weights(
        self, trainer: Trainer, module: LightningModule, data: Data, weights: Mapping[str, Any]
    ) -> Exchange | None:
        """Of the module with a state_dict's tensors in it; its own are not touched."""
        with _standing_in(module, weights):
            return self._found(trainer, module, module, data)

    def _found(
        self, trainer: Trainer, module: LightningModule, model: nn.Module, data: Data
    ) -> Exchange | None:
        """None, and a warning, where these weights or data have no such statistics."""
        try:
            with beside_training(trainer, module):
                found = recalibrate(
                    model,
                    data,
                    forward=self.forward,
                    max_samples=self.max_samples,
                    frozen=[escape(path) for path in self.frozen],
                    sync=False if self.alone else None,
                )
        except (ForwardError, MemoryBoundError):
            raise  # the call is wrong, and would be at every validation
        except (DataError, ModelError) as error:
            # Weights that have become infinite, say. That is no reason to end a training run.
            warnings.warn(
                f"noise-off statistics failed, so training's are used: {error}", stacklevel=2
            )
            return None
        return Exchange.undone(found, module)


@contextmanager
def _standing_in(module: nn.Module, weights: Mapping[str, Any]) -> Iterator[None]:
    """Tensors that are the module's own need no stand-in, so a plain run costs no copy."""
    own = module.state_dict()
    others = {
        name: value
        for name, value in weights.items()
        if isinstance(value, Tensor) and name in own and own[name].data_ptr() != value.data_ptr()
    }
    with Edit(others).standing_in(module):
        yield
