"""The laws against the enumeration of all masks: four inputs have sixteen, each with its chance."""

from itertools import product

import torch

from varshift.theory import linear_noise_energy, tau_of, train_var, train_var_after

DROP_P = 0.3
x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.5
weight = torch.randn(3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def over_all_masks(function, masks):
    """Mean and variance of `function` over the samples and every mask, weighted by its chance."""
    first = second = 0
    for mask in masks:
        dropped = sum(1 - bit for bit in mask)
        chance = DROP_P**dropped * (1 - DROP_P) ** (len(mask) - dropped)
        y = function(x * torch.tensor(mask, dtype=torch.float64) / (1 - DROP_P))
        first, second = first + chance * y.mean(0), second + chance * y.square().mean(0)
    return first, second - first**2


masks = list(product((0, 1), repeat=4))
mean, var = x.mean(0), x.var(0, correction=0)

# Placement (a): nothing between the noise and the norm.
enumerated_mean, enumerated = over_all_masks(lambda noisy: noisy, masks)
law = train_var(mean, var, tau_of(DROP_P))
torch.testing.assert_close(enumerated_mean, mean, rtol=1e-12, atol=1e-12)
torch.testing.assert_close(law, enumerated, rtol=1e-12, atol=0)

# Placement (b): weights between, no assumption on correlations.
clean = (x @ weight.T).var(0, correction=0)
_, enumerated_after = over_all_masks(lambda noisy: noisy @ weight.T, masks)
law_after = train_var_after(clean, linear_noise_energy(x, weight), tau_of(DROP_P))
torch.testing.assert_close(law_after, enumerated_after, rtol=1e-12, atol=0)

# A wrong rule fails: without the mean, as if c were 0.
assert not torch.allclose(var * (1 + tau_of(DROP_P)), enumerated, rtol=0.01)
print(f"(a) {law.tolist()}\n(b) {law_after.tolist()}")
