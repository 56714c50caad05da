"""Numbers only: noise, shift, angle, activation quadrature, streaming moments. No nn.Module.

Placement (a), noise straight into a norm: `dropout_ratio` and its kin. Placement (b), weights
between: a noise energy (`linear_noise_energy`, `conv_noise_energy`, `conv_transpose_noise_energy`)
and `train_var_after`; the paper's special case is `width_ratio`. A law takes tensors with one entry
per channel and works in their dtype; what averages over data or integrates does so in float64. NaN
means "not measured" and passes through; other impossible numbers raise UsageError.
`docs/theory.md` derives every formula.
"""

from __future__ import annotations

from varshift.theory.alpha import (
    ALPHA_PRIME,
    alpha_affine,
    alpha_mean,
    alpha_ratio,
    alpha_scale,
    alpha_train_var,
    alpha_train_var_after,
    invert_alpha_stored,
)
from varshift.theory.angle import (
    angle_pdf,
    cos2,
    cos2_cdf,
    cos2_pdf,
    cos2_quantile,
    d_cos2,
    d_cos2_mean,
    d_cos2_var,
    null_band,
    null_band_of_mean,
)
from varshift.theory.conv import (
    conv_noise_energy,
    conv_noise_energy_from_second,
    conv_transpose_noise_energy,
)
from varshift.theory.energy import max_drop_p_after, max_tau_after, ratio_after, train_var_after
from varshift.theory.linear import linear_noise_energy, linear_noise_energy_from_second
from varshift.theory.moments import Moments, merge_all
from varshift.theory.noise import (
    Noise,
    Sharing,
    beta_of,
    drop_p_of,
    dropout,
    gaussian,
    keep_p_of,
    sigma_of,
    tau_of,
    tau_of_beta,
    tau_of_keep_p,
    tau_of_sigma,
    uout,
)
from varshift.theory.paired import Paired, paired, student_quantile, student_tail
from varshift.theory.quadrature import KINKS, gaussian_covariance, gaussian_moments
from varshift.theory.rrelu import (
    HalfMoments,
    rrelu_mean,
    rrelu_ratio,
    rrelu_slope_var,
    rrelu_test_var,
    rrelu_train_var,
)
from varshift.theory.shift import (
    dropout_ratio,
    dropout_ratio_paper,
    invert_stored,
    max_drop_p,
    max_tau,
    severity,
    train_var,
    uout_ratio,
)
from varshift.theory.width import (
    d_cos2_of_width,
    max_drop_p_for_width,
    max_tau_for_width,
    min_width,
    width_ratio,
    width_ratio_of,
)

__all__ = [
    "ALPHA_PRIME",
    "KINKS",
    "HalfMoments",
    "Moments",
    "Noise",
    "Paired",
    "Sharing",
    "alpha_affine",
    "alpha_mean",
    "alpha_ratio",
    "alpha_scale",
    "alpha_train_var",
    "alpha_train_var_after",
    "angle_pdf",
    "beta_of",
    "conv_noise_energy",
    "conv_noise_energy_from_second",
    "conv_transpose_noise_energy",
    "cos2",
    "cos2_cdf",
    "cos2_pdf",
    "cos2_quantile",
    "d_cos2",
    "d_cos2_mean",
    "d_cos2_of_width",
    "d_cos2_var",
    "drop_p_of",
    "dropout",
    "dropout_ratio",
    "dropout_ratio_paper",
    "gaussian",
    "gaussian_covariance",
    "gaussian_moments",
    "invert_alpha_stored",
    "invert_stored",
    "keep_p_of",
    "linear_noise_energy",
    "linear_noise_energy_from_second",
    "max_drop_p",
    "max_drop_p_after",
    "max_drop_p_for_width",
    "max_tau",
    "max_tau_after",
    "max_tau_for_width",
    "merge_all",
    "min_width",
    "null_band",
    "null_band_of_mean",
    "paired",
    "ratio_after",
    "rrelu_mean",
    "rrelu_ratio",
    "rrelu_slope_var",
    "rrelu_test_var",
    "rrelu_train_var",
    "severity",
    "sigma_of",
    "student_quantile",
    "student_tail",
    "tau_of",
    "tau_of_beta",
    "tau_of_keep_p",
    "tau_of_sigma",
    "train_var",
    "train_var_after",
    "uout",
    "uout_ratio",
    "width_ratio",
    "width_ratio_of",
]
