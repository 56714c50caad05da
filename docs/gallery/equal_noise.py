"""Uout against dropout: at equal τ the shift is the same, so "variance-stable" means less noise."""

import torch

from varshift.nn import GaussianDropout, Uout
from varshift.theory import beta_of, drop_p_of, dropout_ratio, sigma_of, tau_of_beta, uout_ratio

TAU = tau_of_beta(0.9)  # 0.27: as much as dropout of 0.21
layers = {
    "dropout": torch.nn.Dropout(drop_p_of(TAU)),
    "gaussian": GaussianDropout(sigma_of(TAU)),
    "uout": Uout(beta_of(TAU)),
}

# By the law, one number for all three.
mean, var = torch.tensor([0.5], dtype=torch.float64), torch.ones(1, dtype=torch.float64)
law = dropout_ratio(mean, var, TAU).item()
assert abs(uout_ratio(mean, var, 0.9).item() - law) < 1e-15

# By drawing: x ~ N(0.5, 1), a million values, fixed seed; five standard errors are 1.2 %.
torch.manual_seed(0)
x = torch.randn(1_000_000, dtype=torch.float64) + 0.5
for name, layer in layers.items():
    drawn = (x.var() / layer(x).var()).item()
    print(f"{name:8} Δ drawn {drawn:.4f}, law {law:.4f}")
    assert abs(drawn / law - 1) < 0.012, name

# The paper's β = 0.1 beside its dropout of 0.1: thirty times less noise, hence the smaller shift.
assert drop_p_of(tau_of_beta(0.1)) < 0.1 / 30
assert abs(uout_ratio(0 * mean, var, 0.1).item() - 300 / 301) < 1e-15
assert abs(uout_ratio(0 * mean, var, 0.01).item() - 30000 / 30001) < 1e-15  # the note's slip
