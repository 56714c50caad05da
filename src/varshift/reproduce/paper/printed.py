"""The tables of arXiv 1801.05134v1 as printed: means of five runs, no deviations given."""

from __future__ import annotations

__all__ = [
    "TABLE_1",
    "TABLE_2",
    "TABLE_3",
    "TABLE_4",
    "TABLE_5",
    "TABLE_6",
    "TABLE_RATES",
    "TRAINING_ACCURACY",
]

Rows = dict[tuple[str, str], tuple[float, ...]]

# Mean cos²θ and mean d·cos²θ over the convolutions of a network trained without dropout.
TABLE_1: Rows = {
    ("C10", "PreResNet"): (0.03546, 2.918),
    ("C10", "ResNeXt"): (0.02244, 14.783),
    ("C10", "WRN"): (0.02292, 52.736),
    ("C10", "DenseNet"): (0.01538, 3.834),
    ("C100", "PreResNet"): (0.03169, 2.599),
    ("C100", "ResNeXt"): (0.02468, 14.728),
    ("C100", "WRN"): (0.02118, 44.313),
    ("C100", "DenseNet"): (0.01390, 3.433),
}

# Millions of parameters; the number of norms is not printed, it follows from the networks.
TABLE_2: Rows = {
    ("C10", "PreResNet"): (1.70, 163),
    ("C10", "ResNeXt"): (34.43, 31),
    ("C10", "WRN"): (36.48, 25),
    ("C10", "DenseNet"): (0.77, 99),
    ("C100", "PreResNet"): (1.77, 163),
    ("C100", "ResNeXt"): (34.52, 31),
    ("C100", "WRN"): (36.54, 25),
    ("C100", "DenseNet"): (0.80, 99),
}

# Test error in percent at drop 0.5: without dropout; (a) as trained, adjusted; (b) likewise.
TABLE_3: Rows = {
    ("C10", "PreResNet"): (5.02, 8.42, 6.42, 5.85, 5.77),
    ("C10", "ResNeXt"): (3.77, 4.43, 3.96, 4.09, 3.93),
    ("C10", "WRN"): (3.97, 4.59, 4.20, 3.81, 3.71),
    ("C10", "DenseNet"): (4.72, 8.70, 6.82, 5.63, 5.29),
    ("C100", "PreResNet"): (23.73, 32.45, 26.57, 25.50, 25.20),
    ("C100", "ResNeXt"): (17.78, 19.04, 18.24, 19.33, 19.09),
    ("C100", "WRN"): (19.17, 21.08, 20.70, 19.48, 19.15),
    ("C100", "DenseNet"): (22.58, 31.45, 26.98, 25.00, 23.92),
}

# The columns of Tables 4 (drop_p) and 6 (β).
TABLE_RATES = (0.0, 0.1, 0.2, 0.3, 0.5)

# Test error in percent with one dropout before the softmax.
TABLE_4: Rows = {
    ("C10", "PreResNet"): (5.02, 4.96, 5.01, 4.94, 5.03),
    ("C10", "ResNeXt"): (3.77, 3.89, 3.69, 3.78, 3.78),
    ("C10", "WRN"): (3.97, 3.90, 4.00, 3.93, 3.84),
    ("C10", "DenseNet"): (4.72, 4.67, 4.73, 4.75, 4.87),
    ("C100", "PreResNet"): (23.73, 23.43, 23.65, 23.45, 23.76),
    ("C100", "ResNeXt"): (17.78, 17.77, 17.99, 17.97, 18.26),
    ("C100", "WRN"): (19.17, 19.17, 19.23, 19.19, 19.25),
    ("C100", "DenseNet"): (22.58, 21.86, 22.41, 22.41, 23.49),
}

# ImageNet, top-1 and top-5 error without, then with drop 0.2 before the classifier.
TABLE_5 = {
    "ResNet-200": (21.70, 5.80, 21.48, 5.55),
    "ResNeXt-101": (20.40, 5.30, 20.17, 5.12),
    "SENet": (18.89, 4.66, 18.68, 4.47),
}

# Test error in percent with Uout placed as (b).
TABLE_6: Rows = {
    ("C10", "PreResNet"): (5.02, 5.02, 4.85, 4.98, 4.97),
    ("C10", "ResNeXt"): (3.77, 3.84, 3.83, 3.75, 3.79),
    ("C10", "WRN"): (3.97, 3.96, 3.80, 3.90, 3.84),
    ("C10", "DenseNet"): (4.72, 4.70, 4.64, 4.68, 4.61),
    ("C100", "PreResNet"): (23.73, 23.73, 23.62, 23.53, 23.77),
    ("C100", "ResNeXt"): (17.78, 17.74, 17.77, 17.83, 17.86),
    ("C100", "WRN"): (19.17, 19.07, 18.98, 18.95, 18.87),
    ("C100", "DenseNet"): (22.58, 22.39, 22.57, 22.35, 22.30),
}

# Figure 5: accuracy in percent on training data with (a) 0.5, noise on and in evaluation mode.
TRAINING_ACCURACY: Rows = {
    ("C10", "PreResNet"): (98.8, 98.5),
    ("C10", "DenseNet"): (99.4, 96.5),
    ("C100", "PreResNet"): (95.3, 82.9),
    ("C100", "DenseNet"): (94.8, 77.0),
}
