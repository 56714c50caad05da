"""Bases that are tensors: every operation is simply run on them too."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from varshift._engine import Operation, tensors_in
from varshift._predict.parts import VIEWS
from varshift.results.structure import Sharing
from varshift.theory.conv import conv_noise_energy, conv_transpose_noise_energy
from varshift.theory.linear import linear_noise_energy
from varshift.theory.noise import Sharing as TheorySharing

__all__ = ["Tensors"]


class Tensors:
    """The algebra of a pass over data: clean twins are tensors, and energies are exact."""

    drawn = True

    def clean(self, operation: Operation, entry: Callable[[Tensor], Any]) -> list[Any] | None:
        """The operation's results from the clean twins of its inputs."""
        if operation.draws():
            return None
        written = {id(tensor) for tensor in operation.written()}
        args = _twin(operation.args, entry, written)
        kwargs = {key: _twin(value, entry, written) for key, value in operation.kwargs.items()}
        return tensors_in(operation.func(*args, **kwargs))

    def enters(self, operation: Operation, silent: Tensor) -> Tensor:
        """The clean value where a noise meets data: what it is without that noise."""
        return silent

    def through(self, operation: Operation, at: int, base: Tensor) -> Tensor | None:
        """The base put through the operation in place of its input; its kin stay as they are."""
        args = tuple(base if index == at else value for index, value in enumerate(operation.args))
        run = operation.func
        if operation.written():
            run = getattr(torch.ops.aten, operation.name)
        result = tensors_in(run(*args, **operation.kwargs))
        if not result:
            return None
        return result[0].clone() if operation.name in VIEWS and operation.written() else result[0]

    def energy(self, operation: Operation, base: Tensor, sharing: Sharing) -> Tensor | None:
        """N by the closed form, for the noise of this batch's own input."""
        if sharing == "block" or sharing == "other":
            return None
        if operation.name == "convolution":
            return _conv_energy(operation, base, sharing)
        weight = operation.args[2 if operation.name == "addmm" else 1].t()
        if sharing == "channel":
            sharing = "element"  # (N, C): a channel is one value
        return linear_noise_energy(base, weight, sharing)

    def pooled(self, operation: Operation, base: Tensor, share: float) -> Tensor | None:
        """N = Σ b²/k² over each window of k values."""
        squares = self.through(operation, 0, base.double().square())
        if squares is None:
            return None
        return squares.transpose(0, 1).flatten(1).mean(1).mul(share)

    def total(self, operation: Operation, bases: Sequence[Tensor | None]) -> Tensor | None:
        """Concatenated, zeros where there is no noise."""
        pieces = operation.args[0]
        filled = [
            torch.zeros_like(piece) if base is None else base
            for piece, base in zip(pieces, bases, strict=True)
        ]
        dim = operation.args[1] if len(operation.args) > 1 else 0
        return torch.cat(filled, dim)

    def floor(self, base: Tensor) -> Tensor:
        """From the channels' own moments and the variance of their sum."""
        rows = base.double().transpose(0, 1).flatten(1)
        size, values = rows.shape
        if size < 2 or values < 2:
            return rows.new_tensor(math.nan)
        var = rows.var(1).mean()
        rho = (rows.sum(0).var() / (size * var) - 1) / (size - 1)
        share = (1 - rho) * var / (rows.mean(1).square().mean() + var)
        return share.where(var > 0, math.nan)

    def second(self, base: Tensor) -> Tensor:
        """E[b²] per channel: N where no layer with weights lies between, (C,) float64."""
        return base.double().square().transpose(0, 1).flatten(1).mean(1)


def _twin(value: Any, entry: Callable[[Tensor], Any], written: set[int]) -> Any:
    """An argument with the clean twins of its tensors; those that are written to are copies."""
    if isinstance(value, Tensor):
        held = entry(value)
        calm = value if held is None or held.clean is None else held.clean
        return calm.clone() if id(value) in written else calm
    if isinstance(value, (tuple, list)):
        return type(value)(_twin(item, entry, written) for item in value)
    return value


def _conv_energy(operation: Operation, base: Tensor, sharing: TheorySharing) -> Tensor | None:
    _, weight, _, stride, padding, dilation, transposed, output_padding, groups = operation.args[:9]
    geometry: dict[str, Any] = {
        "stride": tuple(stride),
        "padding": tuple(padding),
        "dilation": tuple(dilation),
        "groups": groups,
    }
    if not transposed:
        return conv_noise_energy(base, weight, sharing, **geometry)
    geometry["output_padding"] = tuple(output_padding)
    return conv_transpose_noise_energy(base, weight, sharing, **geometry)
