"""A small network as the Trainer takes it, its data, and a trainer that keeps quiet."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from problems.libraries import library

transformers = library("transformers")
library("accelerate")


class Net(nn.Module):
    """Dropout straight before the norm, (a), three times; the loss comes with the labels."""

    def __init__(self, p=0.5, width=16):
        super().__init__()
        layers = []
        for n in (8, width, width):
            layers += [nn.Linear(n, width), nn.ReLU(), nn.Dropout(p), nn.BatchNorm1d(width)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 2)

    def forward(self, x, labels=None):
        logits = self.head(self.body(x))
        loss = None if labels is None else F.cross_entropy(logits, labels)
        return {"logits": logits} if loss is None else {"loss": loss, "logits": logits}


class Samples(Dataset):
    """Two classes that a product and a sum tell apart; sample by sample, in float64."""

    def __init__(self, size, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.randn(size, 8, generator=generator, dtype=torch.float64)
        self.y = (self.x[:, 0] * self.x[:, 1] + self.x[:, 2] > 0).long()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, at):
        return {"x": self.x[at], "labels": self.y[at]}

    def batches(self, size=50):
        pairs = zip(self.x.split(size), self.y.split(size), strict=True)
        return [{"x": x, "labels": y} for x, y in pairs]


def network(seed=0, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Net(**options).double()


class Pretrained(transformers.PreTrainedModel):
    """The same network as the library has its models, read by `from_pretrained`."""

    config_class = transformers.PretrainedConfig

    def __init__(self, config):
        super().__init__(config)
        self.net = network()
        self.post_init()

    def _init_weights(self, module):
        pass

    def forward(self, x, labels=None):
        return self.net(x, labels)


def arguments(folder, **options):
    """Nothing is reported, nothing drawn, and nothing saved unless a test asks for it."""
    chosen = {
        "output_dir": str(folder),
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "error",
        "logging_strategy": "no",
        "save_strategy": "no",
        "per_device_train_batch_size": 50,
        "per_device_eval_batch_size": 100,
        "learning_rate": 0.01,
        "num_train_epochs": 1,
        "dataloader_pin_memory": False,
    }
    return transformers.TrainingArguments(**(chosen | options))


def evaluated(trainer, key="eval_loss"):
    """The figure's history, as the trainer logged it."""
    return [entry[key] for entry in trainer.state.log_history if key in entry]


def bits(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)
