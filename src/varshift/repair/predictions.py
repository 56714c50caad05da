"""What a model predicts, whatever it returns, and how far that is from a label or a reference.

A prediction is one tensor with samples first. Scores of classes (dimension 1) become log
probabilities, one score per sample the two classes of a yes or no; numbers stay numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from varshift.errors import DataError, ModelError, UsageError

__all__ = ["Kind", "Loss", "Losses", "Output", "Reader", "labels_of"]

Kind = Literal["logits", "probabilities", "values"]
Loss = Callable[[Any, Any], Tensor]
Output = Callable[[Any], Tensor]

_SCORES = ("logits", "out", "output", "scores", "prediction", "predictions")
_LABELS = ("labels", "label", "targets", "target", "y")


@dataclass(frozen=True, eq=False)
class Losses:
    """Loss of every sample (N,) float64, and whether it was right (N,), where that can be said."""

    loss: Tensor
    right: Tensor | None = None


@dataclass(frozen=True)
class Reader:
    """How the model's output is read: as logits, probabilities or values; and with which loss.

    `of(first output, its labels)` finds out what was not said.
    """

    kind: Kind
    output: Output | None = None
    loss: Loss | None = None

    @classmethod
    def of(
        cls,
        out: Any,
        labels: Tensor | None,
        *,
        kind: Kind | None = None,
        output: Output | None = None,
        loss: Loss | None = None,
    ) -> Reader:
        """Settle the kind of prediction from a first output."""
        if kind is not None and kind not in get_args(Kind):
            raise UsageError(f"kind is {kind!r}; pass one of {', '.join(get_args(Kind))}")
        found = prediction_of(out, output)
        return cls(kind or _kind_of(found, labels), output, loss)

    def read(self, out: Any) -> Tensor:
        """The prediction: log probabilities (N, C, …), or values."""
        found = prediction_of(out, self.output)
        if self.kind == "values":
            return found
        if self.kind == "probabilities":
            return _two_classes(found, found.clamp(0, 1)).clamp(min=1e-12).log()
        if found.ndim == 1 or found.shape[1] == 1:
            flat = found.reshape(len(found), -1)[:, 0]
            return functional.log_softmax(torch.stack([torch.zeros_like(flat), flat], 1), 1)
        return functional.log_softmax(found.float(), 1)

    def average(self, predictions: list[Tensor]) -> Tensor:
        """The mean prediction: of probabilities, not of their logarithms."""
        if self.kind == "values":
            return torch.stack(predictions).mean(0)
        return torch.stack(predictions).logsumexp(0) - torch.tensor(len(predictions)).log()

    def divergence(self, prediction: Tensor, reference: Tensor) -> Tensor:
        """Per sample: KL(reference ‖ prediction), or the squared difference of values. (N,)"""
        if self.kind == "values":
            return _per_sample((prediction - reference).square())
        return _per_sample((reference.exp() * (reference - prediction)).sum(1))

    def against_labels(self, out: Any, batch: Any, labels: Tensor | None) -> Losses:
        """Loss of every sample: cross entropy, squared error, or the `loss` that was given."""
        if self.loss is not None:
            return Losses(_own_loss(self.loss(out, batch)))
        return self.scored(self.read(out), labels)

    def scored(self, prediction: Tensor, labels: Tensor | None) -> Losses:
        """Loss of every prediction against its label."""
        assert labels is not None
        if self.kind == "values":
            return Losses(_squared(prediction, labels).double())
        return _cross_entropy(prediction, labels)


def labels_of(value: Any) -> Tensor | None:
    """The labels of a batch: the second item of a tuple, or a dict's "labels", "target", "y" …"""
    if isinstance(value, Mapping):
        found = next((value[name] for name in _LABELS if name in value), None)
    elif isinstance(value, (tuple, list)) and len(value) > 1:
        found = value[1]
    else:
        found = getattr(value, "y", None)
    return found if isinstance(found, Tensor) and found.ndim > 0 else None


def prediction_of(out: Any, output: Output | None) -> Tensor:
    """The one tensor that is the prediction."""
    found = _tensor_in(out) if output is None else output(out)
    if not isinstance(found, Tensor) or not found.is_floating_point() or found.ndim == 0:
        raise ModelError(
            f"no prediction found in what the model returned (a {type(out).__name__}); pass "
            "output=lambda out: … to say where the tensor of predictions is"
        )
    return found


def _tensor_in(out: Any) -> Any:
    if isinstance(out, Mapping):
        for name in _SCORES:
            if name in out:
                return out[name]
        return next((v for v in out.values() if isinstance(v, Tensor) and v.ndim > 0), None)
    if isinstance(out, (tuple, list)):
        return _tensor_in(out[0]) if out else None
    return out if isinstance(out, Tensor) else getattr(out, "logits", None)


def _kind_of(found: Tensor, labels: Tensor | None) -> Kind:
    wide = found.ndim > 1 and found.shape[1] > 1
    if labels is not None and not labels.is_floating_point():
        within = bool(((found >= 0) & (found <= 1)).all())  # a sigmoid's: one chance per sample
        chances = _sums_to_one(found) if wide else within
        return "probabilities" if chances else "logits"
    if labels is not None or not wide:
        return "values"
    return "probabilities" if _sums_to_one(found) else "logits"


def _sums_to_one(found: Tensor) -> bool:
    sums = found.float().sum(1)
    return bool((found >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3)


def _two_classes(found: Tensor, chance: Tensor) -> Tensor:
    if found.ndim > 1 and found.shape[1] > 1:
        return chance
    flat = chance.reshape(len(found), -1)[:, 0]
    return torch.stack([1 - flat, flat], 1)


def _own_loss(loss: Any) -> Tensor:
    if not isinstance(loss, Tensor) or loss.ndim != 1:
        shape = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise UsageError(
            f"loss= gave {shape}; it must give one loss per sample, shape (N,), as with "
            'reduction="none"'
        )
    return loss.detach().double()


def _squared(prediction: Tensor, labels: Tensor) -> Tensor:
    if prediction.numel() != labels.numel():
        raise DataError(
            f"labels of shape {tuple(labels.shape)} do not fit predictions of shape "
            f"{tuple(prediction.shape)}; pass loss=lambda out, batch: … (one loss per sample)"
        )
    return _per_sample((prediction - labels.reshape(prediction.shape)).square())


def _per_sample(values: Tensor) -> Tensor:
    """The mean over all but the samples: (N,)"""
    return values.flatten(1).mean(1) if values.ndim > 1 else values


def _cross_entropy(prediction: Tensor, labels: Tensor) -> Losses:
    labels = labels.long()
    if labels.ndim == prediction.ndim and labels.shape[1:2] == (1,):
        labels = labels[:, 0]
    fits = labels.shape == (len(prediction), *prediction.shape[2:])
    classes = prediction.shape[1]
    told = labels[labels != -100] if fits else labels
    if not fits or (len(told) and not 0 <= int(told.min()) <= int(told.max()) < classes):
        raise DataError(
            f"labels of shape {tuple(labels.shape)} from {int(labels.min())} to "
            f"{int(labels.max())} do not fit {classes} classes and predictions of shape "
            f"{tuple(prediction.shape)}; pass loss=lambda out, batch: … (one loss per sample)"
        )
    loss = functional.nll_loss(prediction, labels, reduction="none").double()
    right = (prediction.argmax(1) == labels).double()
    if loss.ndim == 1:
        return Losses(loss, right)
    told_ = (labels != -100).double().flatten(1)
    count = told_.sum(1).clamp(min=1)
    return Losses(loss.flatten(1).sum(1) / count, (right.flatten(1) * told_).sum(1) / count)
