"""A small module with dropout straight before its norms, its data, and trainers kept quiet."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Sampler, TensorDataset

from problems.libraries import library
from problems.steady import steady

L = library("lightning")

__all__ = [
    "Net",
    "Seeded",
    "epoch",
    "fitted",
    "held_out",
    "large",
    "net_of",
    "score",
    "states_equal",
    "trainer",
]


def net_of(base):
    """The module, as a LightningModule of either package."""

    class Net(base):
        """Two blocks of Linear → ReLU → Dropout → BatchNorm; `losses` are those of training."""

        def __init__(self, drop_p=0.5, features=8, width=16, depth=2):
            super().__init__()
            widths = [features, *[width] * depth]
            layers = [
                layer
                for wide, wider in pairwise(widths)
                for layer in (
                    nn.Linear(wide, wider),
                    nn.ReLU(),
                    nn.Dropout(drop_p),
                    nn.BatchNorm1d(wider),
                )
            ]
            self.net = nn.Sequential(*layers, nn.Linear(width, 2))
            self.losses = []

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, batch_idx):
            loss = F.cross_entropy(self(batch[0]), batch[1])
            self.losses.append(float(loss.detach()))
            return loss

        def validation_step(self, batch, batch_idx, dataloader_idx=0):
            self.log("val_loss", F.cross_entropy(self(batch[0]), batch[1]))

        def test_step(self, batch, batch_idx):
            self.log("test_loss", F.cross_entropy(self(batch[0]), batch[1]))

        def predict_step(self, batch, batch_idx):
            return self(batch[0])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

    return Net


Net = net_of(L.LightningModule)


class Seeded(Net):
    """A step's noise hangs on its number alone, so that a resumed run can equal another.

    Lightning's files hold no generator's state.
    """

    def on_train_batch_start(self, batch, batch_idx):
        torch.manual_seed(self.global_step)


def large(samples, features=16):
    """Samples and their labels, which no linear function of them tells."""
    drawn = torch.Generator().manual_seed(1)
    x = torch.randn(samples, features, generator=drawn, dtype=torch.float64)
    return x, (x[:, 0] * x[:, 1] + x[:, 2] > 0).long()


class _Shuffled(Sampler):
    """Another order each epoch, which hangs on its number alone; trainers call `set_epoch`."""

    def __init__(self, samples):
        self._samples, self._drawn = samples, torch.Generator()

    def __len__(self):
        return self._samples

    def __iter__(self):
        return iter(torch.randperm(self._samples, generator=self._drawn).tolist())

    def set_epoch(self, epoch):
        self._drawn.manual_seed(epoch)


def epoch(**kwargs):
    """The loader of 240 training samples, shuffled, in batches of 24."""
    x, y = large(360, 8)
    return DataLoader(
        TensorDataset(x[:240], y[:240]), batch_size=24, sampler=_Shuffled(240), **kwargs
    )


def held_out():
    """The loader of 120 other samples, in batches of 40."""
    x, y = large(360, 8)
    return DataLoader(TensorDataset(x[240:], y[240:]), batch_size=40)


def trainer(*callbacks, max_epochs=2, kind=L.Trainer, **kwargs):
    """One that says nothing and saves nothing, unless told to."""
    quiet = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return kind(max_epochs=max_epochs, callbacks=list(callbacks), **(quiet | kwargs))


def fitted(*callbacks, seed=0, kind=Net, ckpt_path=None, loader=None, **kwargs):
    """A module and the trainer that has fitted it, in float64 on one thread."""
    with steady(seed):
        module, run = kind(), trainer(*callbacks, **kwargs)
        run.fit(module, loader or epoch(), held_out(), ckpt_path=ckpt_path)
    return module, run


def score(module):
    """The mean loss over the held-out samples, all batches having the same size, in eval mode."""
    with torch.no_grad():
        training = module.training
        losses = [F.cross_entropy(module.eval()(x), y) for x, y in held_out()]
        module.train(training)
    return float(torch.stack(losses).mean())


def states_equal(one, other):
    """Whether two state_dicts hold the same bits."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
