"""The Trainer whose evaluations see noise-off statistics: as a class, and for an instance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

from torch import nn
from transformers import Trainer

from varshift._engine import Data, Forward
from varshift._repair.averaging import test_statistics
from varshift.errors import UsageError
from varshift.integrations.silent import silent
from varshift.integrations.transformers.calibrating import Calibrating
from varshift.integrations.transformers.stored import StoredStatistics, buffers_of

__all__ = ["NoiseOffStatistics", "attach"]

Save = Literal["training", "noise_off"]

_Bases: Any = object  # a Trainer comes after it


class NoiseOffStatistics(_Bases):  # type: ignore[misc]
    """Stands before a Trainer among the bases: what it evaluates has noise-off statistics.

        class MyTrainer(NoiseOffStatistics, Trainer): ...

    The statistics are those of the last training batches, which are kept as they pass (the loader
    is never iterated a second time), found with the trainer's own `compute_loss`. Norms that were
    in eval mode while the model was trained stay as they are. After each evaluation the statistics
    of training are back, bit for bit, also when it raises.

    Args:
        *args: the trainer's own.
        calibration: batches of training data, as the trainer's own loader gives them, in place of
            the last ones; or a callable that returns them. Never the loader that is iterated.
        max_samples: how many samples of them, on each rank.
        forward: `lambda model, batch: …`, where `compute_loss` is not how the model is to be run.
        save: which statistics saved models and checkpoints hold. With "noise_off" those of training
            lie beside them and are back when training resumes from a checkpoint.
        **kwargs: the trainer's own.

    Raises:
        UsageError: an unknown `save`, `max_samples` below 2, or a class that has the bases in the
            other order.
        ModelError, DataError: from an evaluation, as in `varshift.recalibrate`.

    Example:
        >>> from transformers import Trainer
        >>> class MyTrainer(NoiseOffStatistics, Trainer): ...
        >>> [base.__name__ for base in MyTrainer.__mro__[1:3]]
        ['NoiseOffStatistics', 'Trainer']
    """

    def __init__(
        self,
        *args: Any,
        calibration: Data | None = None,
        max_samples: int = 2000,
        forward: Forward | None = None,
        save: Save = "training",
        **kwargs: Any,
    ) -> None:
        self._noise_off = Calibrating(calibration, max_samples, forward)
        self._saves_noise_off = _is_noise_off(save)
        super().__init__(*args, **kwargs)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        order = cls.__mro__
        if Trainer in order and order.index(Trainer) < order.index(NoiseOffStatistics):
            raise UsageError(
                f"{cls.__name__}({', '.join(base.__name__ for base in cls.__bases__)}): put "
                "NoiseOffStatistics first, or the Trainer's own methods hide those it brings"
            )

    # What has become of training -------------------------------------------------------------

    def training_step(self, model: nn.Module, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The trainer's own; the batch is kept, and which norms are frozen."""
        self._noise_off.begin_training(self.model)
        self._noise_off.keep(inputs)
        loss = super().training_step(model, inputs, *args, **kwargs)
        self._noise_off.remember_frozen(self.model)
        return loss

    # Evaluation ------------------------------------------------------------------------------

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """The trainer's own, with noise-off statistics for as long as it runs."""
        with self._noise_off_statistics():
            return super().evaluation_loop(*args, **kwargs)

    @contextmanager
    def _noise_off_statistics(self) -> Iterator[None]:
        calibrating = self._noise_off
        data = None if calibrating.in_the_model(self.model) else calibrating.data(self)
        if data is None:
            yield
            return
        calibrating.use_evaluated_weights(self)
        noise_off = test_statistics(
            self.model,
            data,
            forward=calibrating.forward_of(self),
            max_samples=calibrating.recent.max_samples,
            frozen=calibrating.frozen_in(self.model),
        )
        with ExitStack() as stack:
            with silent([self], ["log"]):  # a loss of calibration is none of training
                stack.enter_context(noise_off)
            yield

    # Files -----------------------------------------------------------------------------------

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The trainer's own; with `save="noise_off"` every rank has to call it."""
        if not self._saves_noise_off:
            super().save_model(output_dir, _internal_call)
            return
        training = buffers_of(self.model)
        with self._noise_off_statistics():
            stored = self._noise_off.loaded or StoredStatistics.between(
                training, buffers_of(self.model)
            )
            # First: a run that is killed between the two would resume with noise-off statistics.
            if stored.training and self.args.should_save:
                stored.write(output_dir or self.args.output_dir)
            super().save_model(output_dir, _internal_call)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """The trainer's own; training goes on with the statistics it had."""
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self._noise_off.take_in(resume_from_checkpoint, self.model)
        self._noise_off.begin_training(self.model)

    def _load_best_model(self) -> None:
        """The trainer's own. What the file holds is evaluated, and saved, as it stands there."""
        super()._load_best_model()
        self._noise_off.take_in(self.state.best_model_checkpoint, self.model)


def attach(
    trainer: Trainer,
    *,
    calibration: Data | None = None,
    max_samples: int = 2000,
    forward: Forward | None = None,
    save: Save = "training",
) -> Trainer:
    """`NoiseOffStatistics` for a trainer that is already there.

    Args:
        trainer: a Trainer of transformers, of any subclass. It is changed, and given back.
        calibration: as in `NoiseOffStatistics`, and so are all others.
        max_samples: how many samples of the last training batches, on each rank.
        forward: `lambda model, batch: …`, where `compute_loss` is not how the model is to be run.
        save: which statistics saved models and checkpoints hold, "training" or "noise_off".

    Returns:
        The trainer itself.

    Raises:
        UsageError: no Trainer, one that has them already, or an argument that is wrong.

    Example:
        >>> import varshift.integrations.transformers as vt
        >>> vt.attach("trainer")
        Traceback (most recent call last):
        varshift.errors.UsageError: attach takes a Trainer of transformers and was given a str
    """
    if not isinstance(trainer, Trainer):
        raise UsageError(
            f"attach takes a Trainer of transformers and was given a {type(trainer).__name__}"
        )
    own = type(trainer)
    if issubclass(own, NoiseOffStatistics):
        raise UsageError(f"this {own.__name__} has noise-off statistics already: attach it once")
    calibrating, saves = Calibrating(calibration, max_samples, forward), _is_noise_off(save)
    trainer.__class__ = type(own.__name__, (NoiseOffStatistics, own), {"__doc__": own.__doc__})
    trainer._noise_off, trainer._saves_noise_off = calibrating, saves
    return trainer


def _is_noise_off(save: str) -> bool:
    if save not in ("training", "noise_off"):
        raise UsageError(f"save is {save!r}; it is 'training' or 'noise_off'")
    return save == "noise_off"
