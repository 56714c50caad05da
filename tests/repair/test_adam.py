"""Adam over one cycle, against torch's own."""

from __future__ import annotations

import pytest
import torch

from varshift._repair.adam import Adam, one_cycle


@pytest.mark.parametrize("steps", [20, 200])
def test_the_same_steps_as_torch(steps):
    torch.manual_seed(0)
    start = torch.randn(5, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    mine = [number.clone() for number in start]
    theirs = [number.clone().requires_grad_() for number in start]
    optimiser = torch.optim.Adam(theirs, 0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.05, total_steps=steps)
    own = Adam(mine)
    for step in range(steps):
        gradients = [torch.randn_like(number) for number in start]
        if step % 3 == 0:
            gradients[1] = None  # an output that does not depend on it
        for number, gradient in zip(theirs, gradients, strict=True):
            number.grad = gradient
        optimiser.step()
        schedule.step()
        own.step(gradients, *one_cycle(step, steps, 0.05))
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other.detach(), rtol=1e-12, atol=1e-12)
