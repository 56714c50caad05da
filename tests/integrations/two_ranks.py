"""What `torchrun --nproc-per-node 2` runs: a Trainer on two gloo ranks, with and without.

    torchrun --nproc-per-node 2 tests/integrations/two_ranks.py FOLDER

Writes into FOLDER what each rank has come to: `plain-0.pt`, `corrected-1.pt` and so on.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from integrations.hugging_face import Samples, arguments, bits, evaluated, network, transformers
from varshift.integrations.transformers import NoiseOffStatistics


class Corrected(NoiseOffStatistics, transformers.Trainer):
    pass


class Watching:
    """The statistics inside the evaluation loop."""

    def __init__(self):
        self.trainer, self.seen = None, []

    def __call__(self, prediction):
        self.seen.append(bits(self.trainer.model))
        return {}


def work(folder, kind, **own):
    watching = Watching()
    trainer = kind(
        model=network(),
        args=arguments(
            folder,
            eval_on_start=True,
            eval_strategy="steps",
            eval_steps=4,
            save_strategy="steps",
            save_steps=4,
            per_device_train_batch_size=30,
            ddp_backend="gloo",
        ),
        train_dataset=Samples(480),
        eval_dataset=Samples(200, seed=1),
        compute_metrics=watching,
        **own,
    )
    watching.trainer = trainer
    trainer.train()
    assert type(trainer.model_wrapped).__name__ == "DistributedDataParallel"
    batches = list(trainer._noise_off.recent.batches()) if kind is Corrected else []
    return {
        "bits": bits(trainer.model),
        "losses": evaluated(trainer),
        "seen": watching.seen,
        "batches": batches,
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    target, rank = Path(sys.argv[1]), os.environ["RANK"]
    torch.save(work(target / "plain", transformers.Trainer), target / f"plain-{rank}.pt")
    corrected = work(target / "corrected", Corrected, save="noise_off")
    torch.save(corrected, target / f"corrected-{rank}.pt")
    torch.distributed.destroy_process_group()
