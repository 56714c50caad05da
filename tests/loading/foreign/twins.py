"""In torch, the networks whose files other frameworks wrote (make_files.py)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class ToChannelsLast(nn.Module):
    """As the framework that wrote the file holds its maps when it flattens them."""

    def forward(self, x):
        return x.movedim(1, -1)


def maps(last=False):
    """`last`: flatten as Keras does, and not as torch does."""
    return nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.ReLU(),
        nn.BatchNorm2d(3, eps=1e-3),
        nn.Conv2d(3, 3, 2, groups=3, bias=False),
        nn.Conv2d(3, 4, 1),
        nn.BatchNorm2d(4, eps=1e-3),
        nn.Conv2d(4, 8, 2, groups=4, bias=False),
        nn.ConvTranspose2d(8, 5, 2, stride=2),
        nn.BatchNorm2d(5, eps=1e-4, momentum=0.1),
        ToChannelsLast() if last else nn.Identity(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(5 * 4 * 2, 6),
        nn.BatchNorm1d(6, eps=1e-3),
        nn.Linear(6, 2),
    )


class Steps(nn.Module):
    def __init__(self, last=False):
        super().__init__()
        self.last = last
        self.first = nn.Conv1d(3, 4, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm1d(4, eps=1e-3)
        self.inside = nn.Sequential(
            nn.Conv1d(4, 4, 3, padding=1), nn.BatchNorm1d(4, eps=1e-3, momentum=0.01)
        )
        self.up = nn.ConvTranspose1d(4, 2, 2, stride=2)
        self.norm = nn.BatchNorm1d(32, eps=1e-3)
        self.head = nn.Linear(32, 2)

    def forward(self, x):
        x = self.first_norm(self.first(x))
        x = self.up(x + self.inside(F.relu(x)))
        x = x.movedim(1, -1) if self.last else x
        return self.head(self.norm(x.flatten(1)))


class TensorFlow1(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1, eps=1e-3)
        self.conv1, self.norm1 = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, eps=1e-3)
        self.conv2, self.norm2 = nn.Conv2d(4, 4, (3, 2)), nn.BatchNorm2d(4, eps=1e-3)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.norm1(F.relu(self.conv1(self.norm(x))))
        x = self.norm2(F.relu(self.conv2(x)))
        return self.head(x.mean((2, 3)))


@torch.no_grad()
def given(model, x):
    """What the model gives for a batch of another framework, channels last."""
    return model.eval()(torch.from_numpy(x).movedim(-1, 1)).numpy()
