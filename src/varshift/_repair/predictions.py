"""What a model predicts, whatever it returns, and how far that is from a label or a reference.

A prediction is one tensor with samples first. Scores of classes (dimension 1) become log
probabilities, one score per sample (or per pixel) the two classes of a yes or no; numbers stay
numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from varshift._engine import Batch
from varshift._repair.kinds import guess, refuse_kind
from varshift._repair.losses import Losses, cross_entropy, own_loss, per_sample, squared_error
from varshift.errors import DataError, ModelError
from varshift.judging import Kind, Loss, Output

__all__ = ["Reader", "prediction_of"]

_SCORES = ("logits", "out", "output", "scores", "prediction", "predictions")


@dataclass(frozen=True)
class Reader:
    """How the model's output is read: as logits, probabilities or values; and with which loss.

    `of(first output, all labels)` finds out what was not said; `guessed` is what it took for
    granted, in a sentence.
    """

    kind: Kind
    output: Output | None = None
    loss: Loss | None = None
    guessed: str | None = field(default=None, compare=False)

    @classmethod
    def of(
        cls,
        out: Any,
        labels: Sequence[Tensor] = (),
        *,
        kind: Kind | None = None,
        output: Output | None = None,
        loss: Loss | None = None,
    ) -> Reader:
        """Settle the kind of prediction from a first output."""
        found = prediction_of(out, output)
        if kind is not None:
            refuse_kind(kind, found)
            return cls(kind, output, loss)
        try:
            kind, note = guess(found, labels)
        except DataError:
            if loss is None:
                raise
            kind, note = "values", None  # the loss tells how to judge; the average is of scores
        return cls(kind, output, loss, note if loss is None else None)

    def read(self, out: Any) -> Tensor:
        """The prediction: log probabilities (N, C, …), or values; in float32 at least."""
        found = prediction_of(out, self.output)
        found = found if found.element_size() >= 4 else found.float()
        if self.kind == "values":
            return found
        one = found.ndim == 1 or found.shape[1] == 1
        if found.ndim == 1:
            found = found[:, None]
        if self.kind == "probabilities":
            # Here too: the first output may have been between 0 and 1 by chance.
            refuse_kind(self.kind, found)
            chances = found.clamp(0, 1)
            both = torch.cat([1 - chances, chances], 1) if one else chances
            return both.clamp(min=1e-12).log()
        both = torch.cat([torch.zeros_like(found), found], 1) if one else found
        return functional.log_softmax(both, 1)

    def average(self, predictions: list[Tensor]) -> Tensor:
        """The mean prediction: of probabilities, not of their logarithms."""
        if self.kind == "values":
            return torch.stack(predictions).mean(0)
        return (
            torch.stack(predictions).logsumexp(0)
            - torch.tensor(len(predictions), device="cpu").log()
        )

    def divergence(self, prediction: Tensor, reference: Tensor) -> Tensor:
        """Per sample: KL(reference ‖ prediction), or the squared difference of values. (N,)"""
        if self.kind == "values":
            return per_sample((prediction - reference).square())
        terms = reference.exp() * (reference - prediction)
        # A class that is masked, log probability −∞, adds 0 · log 0 = 0.
        return per_sample(torch.where(reference == -torch.inf, 0.0, terms).sum(1))

    def against_labels(self, out: Any, batch: Batch, labels: Tensor | None) -> Losses:
        """Loss of every sample: cross entropy, squared error, or the `loss` that was given."""
        if self.loss is None:
            return self.scored(self.read(out), labels)
        lengths = {batch.samples, len(prediction_of(out, self.output))}
        return Losses(own_loss(self.loss(out, batch.value), lengths))

    def scored(self, prediction: Tensor, labels: Tensor | None) -> Losses:
        """Loss of every prediction against its label."""
        assert labels is not None
        score = squared_error if self.kind == "values" else cross_entropy
        return score(prediction, labels)


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
