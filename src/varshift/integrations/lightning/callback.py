"""The callback: noise-off statistics while batches are evaluated, and in what is saved."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from varshift._engine import Data, Forward, norm_handles
from varshift.integrations.lightning.base import Callback
from varshift.integrations.lightning.evaluating import Evaluation, Loss, gain_on, log
from varshift.integrations.lightning.exchange import Exchange, Placed
from varshift.integrations.lightning.files import (
    into_checkpoint,
    out_of_checkpoint,
    put_training_back,
)
from varshift.integrations.lightning.finding import Finder
from varshift.integrations.lightning.linting import lint
from varshift.integrations.lightning.refusing import (
    last_before_files,
    refuse_another,
    refuse_settings,
    refuse_trainer,
)
from varshift.integrations.recent import Recent

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

__all__ = ["NoiseOffStatistics"]


class NoiseOffStatistics(Callback):
    """Validate, test and predict with exact noise-off statistics; training keeps its own.

    At the first batch of an evaluation every norm's statistics are found anew, with all noise off,
    from the training batches that the trainer saw last (no loader is iterated for them). They are
    in the module while a batch is evaluated, and out again after it: training has the same bits as
    without the callback. Norms that training keeps in eval mode (frozen) stay as they are.

    It works inside `WeightAveraging` and `EMAWeightAveraging`, in whichever order callbacks are
    listed: at setup it goes behind all others but those that save files.

    Args:
        calibration: batches of training data, or a callable that returns them, instead of the last
            training batches. Needed where nothing was trained, as for `trainer.validate()` in a
            process of its own.
        max_samples: use so many samples, on each rank.
        max_bytes: how much memory the kept batches may hold; the newest is kept in any case.
        forward: `lambda module, batch: …`, how the module takes a training batch. By default it is
            called with the batch's first item, or with a dict's items as keywords.
        save: what checkpoints hold in `state_dict`. "training": what they would hold without the
            callback. "noise_off": statistics to ship, found for the weights in the file (the
            average, where one is saved), and training's own under the key "varshift", from which
            `trainer.fit(ckpt_path=…)` resumes. The module has them too when training ends.
        lint: warn before the first step of what `vs.check` finds, with the rules' codes.
        log: log `varshift/severity_worst` and `varshift/severity_median` over norms (by what
            factor training's variances are off), and `varshift/samples`, at each evaluation.
        gain: `lambda module, batch: loss`; also log the loss of the first batch under both sets of
            statistics, and `varshift/gain`, by how much the second is lower. Two forwards more.

    Raises:
        UsageError: arguments that mean nothing; at setup, a run in which it could not do what it
            says (another such callback in the trainer, no `forward`, files that ask no callback,
            sharded state with "noise_off", a `calibration` whose iteration would end the epoch).

    Example:
        >>> from varshift.integrations.lightning import NoiseOffStatistics
        >>> import lightning
        >>> callback = NoiseOffStatistics(max_samples=1024, save="noise_off")
        >>> trainer = lightning.Trainer(
        ...     callbacks=[callback], accelerator="cpu", logger=False, enable_checkpointing=False
        ... )
    """

    def __init__(
        self,
        *,
        calibration: Data | None = None,
        max_samples: int = 2048,
        max_bytes: int = 2**29,
        forward: Forward | None = None,
        save: Literal["training", "noise_off"] = "training",
        lint: bool = True,
        log: bool = True,
        gain: Loss | None = None,
    ) -> None:
        refuse_settings(save)
        self._calibration, self._save, self._log, self._gain = calibration, save, log, gain
        self._lint, self._to_lint = lint, False
        self._finder = Finder(forward, max_samples)
        self._recent = Recent(max_samples, max_bytes)
        self._evaluation = Evaluation()
        # What the module holds for good: after training, or from a file that holds such statistics.
        self._shipped: Exchange | None = None
        self._norms: list[tuple[str, nn.Module]] | None = None

    # ------------------------------------------------------------------ training

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse what cannot work; go behind the callbacks that put other weights in."""
        refuse_another(NoiseOffStatistics, self, trainer)
        self._finder.alone = False
        self._evaluation = Evaluation()
        refuse_trainer(trainer, pl_module, self._save, self._finder.forward)
        if pl_module.training:
            self._norms = None
            self._look_for_frozen(pl_module)
        if stage == "fit":
            self._to_lint = self._lint
            self._recent.forget()  # of another module, perhaps, or of other data
            last_before_files(self, trainer)
            if self._shipped is not None and self._shipped.is_in(pl_module.state_dict()):
                self._shipped.at(pl_module).put_back()  # a second fit goes on where the first ended
            self._shipped = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Modules may have been changed between epochs."""
        self._norms = None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Lint on the first batch, before anything is trained."""
        if self._to_lint and batch is not None:
            self._to_lint = False
            lint(trainer, pl_module, batch, self._finder.forward)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep a reference to the batch, and see which norms are frozen."""
        if self._calibration is None:
            self._recent.add(batch, trainer.current_epoch)
        self._look_for_frozen(pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What leaves training is what is shipped: an average is in the module by now."""
        if self._save != "noise_off" or (data := self._data(trainer)) is None:
            return
        found = self._finder.validating(trainer, pl_module, data)
        if found is not None:
            found.at(pl_module).put_in()
            self._shipped = found

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Training's statistics come back, before a file is saved of what is left."""
        self._evaluation.leave()
        self._finder.alone = True  # other ranks may be elsewhere, or gone

    # ------------------------------------------------------------------ files

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Give the file's `state_dict` noise-off statistics, of the weights that are in it."""
        if self._save != "noise_off":
            return
        state = checkpoint["state_dict"]
        if self._shipped is not None and self._shipped.is_in(state):
            into_checkpoint(checkpoint, self._shipped, self._shipped.training)
        elif (data := self._data(trainer)) is not None:
            found = self._finder.of_weights(trainer, pl_module, data, state)
            if found is not None:
                into_checkpoint(checkpoint, found, {})
        elif trainer.global_step:
            warnings.warn(f"a file keeps the statistics of training: {_NO_DATA}", stacklevel=2)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Training resumes from its own statistics; all else uses those of the file."""
        saved = out_of_checkpoint(checkpoint)
        if saved is not None and trainer.state.fn == "fit":
            put_training_back(pl_module, saved)
        else:
            self._shipped = saved

    # ------------------------------------------------------------------ evaluation

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Statistics are to be found anew."""
        self._evaluation.begin()

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Noise-off statistics in; nothing while the sanity check runs, before any training."""
        if not trainer.sanity_checking:
            self._evaluation.enter(lambda: self._found(trainer, pl_module, batch))

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Training's statistics back."""
        self._evaluation.leave()

    on_test_start = on_predict_start = on_validation_start
    on_test_batch_start = on_predict_batch_start = on_validation_batch_start
    on_test_batch_end = on_predict_batch_end = on_validation_batch_end

    # ------------------------------------------------------------------ how

    def _found(self, trainer: Trainer, module: LightningModule, batch: Any) -> Placed | None:
        """The statistics for this evaluation; None where the module's own are to be used."""
        if self._shipped is not None and self._shipped.is_in(module.state_dict()):
            return None
        if (data := self._data(trainer)) is None:
            warnings.warn(f"the module's own statistics are used: {_NO_DATA}", stacklevel=2)
            return None
        found = self._finder.validating(trainer, module, data)
        if found is None:
            return None
        placed, metrics = found.at(module), found.metrics()
        if self._log and metrics and not trainer.predicting:  # where nothing can be logged
            if self._gain is not None:
                metrics |= gain_on(trainer, module, batch, placed, self._gain)
            log(trainer, module, metrics)
        return placed

    def _data(self, trainer: Trainer) -> Data | None:
        if self._calibration is not None:
            return self._calibration
        return self._recent.batches(last_epoch_alone=trainer.is_last_batch) or None

    def _look_for_frozen(self, module: LightningModule) -> None:
        """Only while the module trains do flags say so; in evaluation all are in eval mode."""
        if self._norms is None:
            self._norms = [(path, each.module) for path, each in norm_handles(module).items()]
        self._finder.frozen = tuple(path for path, norm in self._norms if not norm.training)


_NO_DATA = (
    "this callback has seen no training batch; pass NoiseOffStatistics(calibration=batches of "
    "training data)"
)
