"""What there is to run, by the name of its module."""

from __future__ import annotations

__all__ = ["COMMANDS", "SECTIONS", "STUDIES"]

# In the order of the page.
SECTIONS = (
    *("recalibration", "ratios", "inspection", "imports", "kernels", "noise_layers"),
    *("stress", "causes", "blaming"),
)

# What each shows, and the page in docs where its figures stand.
STUDIES = {
    "monitoring": ("what a monitor costs a training run", "monitor.md"),
    "coverage": ("how often standard errors of `measure` hold the truth", "measure.md"),
    "predicting": ("`predict` against `measure`", "results/prediction.md"),
    "without_data": ("bands of predictions without data", "results/without_data.md"),
    "reach": ("how many norms are predicted without data", "predict.md"),
    "footprints": ("noise read back from 264 small networks", "results/footprints.md"),
    "shipped": ("noise read back from public networks", "results/shipped-networks.md"),
    "repairs": ("what every repair gains", "results/repair.md"),
    "finetuning": ("an epoch more after `relocate`", "before-training.md"),
    "training_speed": ("images a second of `varshift reproduce`", "results/training_speed.md"),
}

COMMANDS = ("page", "guard", "accelerator")
