"""Table 5, ImageNet: a recipe to follow, for nobody runs it by accident."""

from __future__ import annotations

from varshift._draw.document import Table
from varshift.reproduce.tables import number, table

__all__ = ["imagenet_recipe", "imagenet_table"]

# Top-1 and top-5 error in percent without, then with drop 0.2 before the classifier.
PRINTED = {
    "ResNet-200": (21.70, 5.80, 21.48, 5.55),
    "ResNeXt-101": (20.40, 5.30, 20.17, 5.12),
    "SENet": (18.89, 4.66, 18.68, 4.47),
}


def imagenet_recipe() -> str:
    """What to do, step by step; every step is a command or a line of code."""
    return """\
Table 5 fine-tunes published ImageNet networks with dropout 0.2 before their classifier, after
every norm. It needs the ImageNet folder, a GPU, and some days.

1. A network with its published weights, and one dropout more:

       model = torchvision.models.resnext101_32x8d(weights="IMAGENET1K_V1")
       model.fc = torch.nn.Sequential(torch.nn.Dropout(0.2), model.fc)

2. Make sure the dropout stands after every norm; this must print no route:

       print(vs.inspect(model, torch.randn(2, 3, 224, 224)).routes)

3. Train as the network was trained, from its published weights, at the last learning rate of its
   schedule: SGD, momentum 0.9, weight decay 1e-4, random resized crops of 224 and flips, 10 epochs
   at rate 1e-3 with batches of 256. Train the twin without the dropout for as long: without it a
   gain cannot be told from ten epochs more.

4. Evaluate on the 50,000 validation images: shorter side 256, central crop of 224, top-1 and
   top-5. At 22 % error one run has a standard error of 0.19 points from the images alone, which is
   the size of the paper's gains; repeat with other seeds, and compare image by image.
"""


def imagenet_table() -> Table:
    """The paper's figures."""
    rows = [(net, *map(number, values)) for net, values in PRINTED.items()]
    heads = ("", "top-1, drop 0", "top-5, drop 0", "top-1, drop 0.2", "top-5, drop 0.2")
    return table("Table 5, as printed: ImageNet error in %", heads, rows)
