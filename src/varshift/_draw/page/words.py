"""The field's words, a line each, for a reader who knows PyTorch and not us."""

from __future__ import annotations

from varshift._draw.documents.parts import LEVELS

__all__ = ["WORDS"]

WORDS = {
    "norm": "a layer with running statistics, such as BatchNorm: in training it divides by its "
    "batch's deviation, at test by the square root of running_var",
    "stored": "the norm's running_mean and running_var, what it will use at test",
    "training, test": "the norm's input with noise on, as in training, and with noise off, as in "
    "eval()",
    "shift Δ": "variance at test ÷ variance in training, per channel; a norm's figure is the "
    "median over its live channels; 1 is no shift",
    "severity": "Δ or 1/Δ, whichever is larger; 1 is no shift",
    "grade": f"how bad a severity is, less two standard errors: {LEVELS}; none is all below",
    "τ": "relative variance of the noise's multiplier: drop_p/(1 − drop_p) for dropout, β²/3 for "
    "Uout, σ² for Gaussian noise; equal τ shifts equally",
    "drop_p": "torch's p, the chance that a value is zeroed; the paper's p is 1 − drop_p",
    "placement (a), (b)": "(a): the noise reaches the norm through no layer with weights; (b): it "
    "reaches the norm through a linear or convolution layer",
    "d·cos²θ": "(Σw)²/Σw² of a filter with d weights: how far it adds its inputs up; 1 on average "
    "for random filters",
    "ρ": "correlation between two inputs of a filter",
    "dead channel": "one whose input does not vary beyond rounding; it is named and left out",
    "±": "one standard error, unless said otherwise",
}
