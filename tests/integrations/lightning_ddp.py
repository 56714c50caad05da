"""Run as a script: five fits on two gloo ranks; what each rank ends with is saved in a folder.

Lightning starts the second process by running this file again.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import torch  # noqa: E402
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint  # noqa: E402
from lightning.pytorch.strategies import DDPStrategy  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from integrations.lightning_runs import fitted, score  # noqa: E402
from varshift.integrations.lightning import NoiseOffStatistics  # noqa: E402


class Buffers(Callback):
    """The statistics right after each validation, before training's next forward."""

    def __init__(self):
        self.seen = []

    def on_validation_end(self, trainer, module):
        self.seen.append([value.clone() for value in module.buffers()])


def main(folder: Path) -> None:
    files = ModelCheckpoint(folder, filename="file", save_last=False)
    runs = {
        "without": [],
        "with": [NoiseOffStatistics(lint=False, gain=lambda m, b: F.cross_entropy(m(b[0]), b[1]))],
        "without, own buffers": [],
        "with, own buffers": [NoiseOffStatistics(lint=False)],
        "averaged": [NoiseOffStatistics(save="noise_off"), EMAWeightAveraging(decay=0.8), files],
    }
    found = {}
    for name, callbacks in runs.items():
        look = Buffers()
        module, trainer = fitted(
            *callbacks,
            look,
            strategy=DDPStrategy(broadcast_buffers="own buffers" not in name),
            devices=2,
            enable_checkpointing=files in callbacks,
        )
        found[name] = {
            "losses": module.losses,
            "state": module.state_dict(),
            "buffers": look.seen,
            "score": score(module),
            "val_loss": float(trainer.callback_metrics["val_loss"]),
        }
    torch.save(found, folder / f"rank{os.environ.get('LOCAL_RANK', 0)}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
