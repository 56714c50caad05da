"""Training's own statistics beside a model file that holds noise-off ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from varshift._engine import Edit, same_bits, unwrapped, write
from varshift._files import replacing

__all__ = ["FILE_NAME", "StoredStatistics", "buffers_of"]

FILE_NAME = "training_statistics.safetensors"
_TRAINING, _NOISE_OFF = "training/", "noise_off/"


@dataclass(frozen=True, eq=False)
class StoredStatistics:
    """What the statistics of a model are in training, by the names of its buffers, and noise-off.

    The noise-off ones say which model file the others belong to: a folder may have been written
    again since, by a trainer that knows nothing of this one.
    """

    training: Mapping[str, Tensor]
    noise_off: Mapping[str, Tensor]

    @classmethod
    def between(cls, training: Mapping[str, Tensor], noise_off: Mapping[str, Tensor]) -> Self:
        """Those that differ."""
        names = [name for name in training if not same_bits(training[name], noise_off[name])]
        return cls({n: training[n] for n in names}, {n: noise_off[n] for n in names})

    @classmethod
    def read(cls, folder: str | Path) -> Self | None:
        """Those of a folder; None where it has none."""
        path = Path(folder) / FILE_NAME
        if not path.is_file():
            return None
        with safe_open(path, framework="pt") as file:
            held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return cls(_under(_TRAINING, held), _under(_NOISE_OFF, held))

    def write(self, folder: str | Path) -> None:
        """Lay them into a folder, which is made if need be."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        held = {_TRAINING + name: value for name, value in self.training.items()}
        held |= {_NOISE_OFF + name: value for name, value in self.noise_off.items()}
        # Buffers may share storage, which the format refuses; and a scalar has no shape to lose.
        copies = {name: value.cpu().clone().contiguous() for name, value in held.items()}
        with replacing(Path(folder) / FILE_NAME) as fresh:
            try:
                save_file(copies, fresh, metadata={"format": "pt"})
            except SafetensorError as error:
                raise OSError(str(error)) from error

    def noise_off_in(self, model: nn.Module) -> bool:
        """Whether it is these noise-off statistics that the model holds, bit for bit."""
        held = dict(unwrapped(model).named_buffers())
        return all(
            name in held and same_bits(held[name].cpu(), value)
            for name, value in self.noise_off.items()
        )

    def back_to_training(self, model: nn.Module) -> None:
        """Give the model the statistics of training, in place."""
        write(Edit(self.training), unwrapped(model))


def buffers_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of every buffer of a model, on the CPU."""
    with torch.no_grad():
        return {name: buffer.cpu().clone() for name, buffer in unwrapped(model).named_buffers()}


def _under(prefix: str, held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value for name, value in held.items() if name.startswith(prefix)
    }
