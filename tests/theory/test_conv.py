from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from oracles import masks, wrong
from oracles.data import assert_close, normal, population
from varshift import theory
from varshift.errors import UsageError

SHARINGS = ["element", "channel", "sample"]
CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}

# shape of one sample, shape of the weight, geometry
CASES = [
    ((2, 5), (3, 2, 3), {"padding": 1}),
    ((2, 5), (3, 2, 2), {"stride": 2, "padding": 1}),
    ((2, 5), (2, 2, 2), {"dilation": 3}),
    ((2, 5), (3, 2, 3), {"padding": "same"}),
    ((4, 3), (4, 2, 2), {"groups": 2, "padding": 1}),
    ((3, 3), (6, 1, 2), {"groups": 3}),
    ((2, 2, 3), (3, 2, 3, 3), {"padding": 1}),
    ((2, 2, 3), (3, 2, 2, 2), {"padding": (1, 0), "stride": (1, 2)}),
    ((4, 1, 3), (2, 2, 1, 2), {"groups": 2, "dilation": (1, 2), "padding": (0, 1)}),
    ((1, 2, 2, 3), (2, 1, 2, 2, 2), {"padding": (1, 0, 1)}),
]
TRANSPOSE_CASES = [
    ((2, 4), (2, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((4, 3), (4, 1, 2), {"groups": 2, "dilation": 2}),
    ((2, 2, 2), (2, 3, 3, 2), {"stride": (2, 1), "padding": (1, 0)}),
    ((1, 2, 2, 2), (1, 2, 2, 2, 2), {"stride": 2}),
]


def law_and_masks(function, energy, case, sharing, outcomes, tau):
    sample, kernel, geometry = case
    x, weight = normal(2, *sample, seed=1), normal(*kernel, seed=2, mean=0.3)
    out = kernel[1] * geometry.get("groups", 1) if energy is TRANSPOSED else kernel[0]
    bias = normal(out, seed=3)

    def layer(batch):
        return function[len(sample) - 1](batch, weight, bias, **geometry)

    _, test_var = population(layer(x))
    _, var = masks.noisy_moments(layer, x, outcomes, sharing)
    return theory.train_var_after(test_var, energy(x, weight, sharing, **geometry), tau), var


TRANSPOSED = theory.conv_transpose_noise_energy


@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolution_matches_every_mask(case, sharing):
    law, truth = law_and_masks(
        CONV, theory.conv_noise_energy, case, sharing, masks.dropout(0.3), theory.tau_of(0.3)
    )
    assert_close(law, truth, rtol=1e-11)


@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("case", TRANSPOSE_CASES, ids=str)
def test_transposed_convolution_matches_every_mask(case, sharing):
    law, truth = law_and_masks(
        TRANSPOSE, TRANSPOSED, case, sharing, masks.dropout(0.3), theory.tau_of(0.3)
    )
    assert_close(law, truth, rtol=1e-11)


def test_uout_at_equal_tau():
    case = ((2, 3), (3, 2, 2), {"padding": 1})
    law, truth = law_and_masks(
        CONV, theory.conv_noise_energy, case, "element", masks.uout(0.9), theory.tau_of_beta(0.9)
    )
    assert_close(law, truth, rtol=1e-11)


@pytest.mark.parametrize("rule", [wrong.conv_energy_unpadded, wrong.conv_energy_everywhere])
def test_wrong_energies_fail_the_masks(rule):
    x, weight = normal(2, 1, 3, 4, seed=1), normal(2, 1, 3, 3, seed=2)

    def layer(batch):
        return F.conv2d(batch, weight, padding=1)

    _, test_var = population(layer(x))
    _, var = masks.noisy_moments(layer, x, masks.dropout(0.5), "element")
    with pytest.raises(AssertionError):
        assert_close(test_var + rule(x, weight), var, rtol=1e-3)


@pytest.mark.parametrize("asked", SHARINGS)
@pytest.mark.parametrize("true", SHARINGS)
def test_only_the_true_sharing_fits(asked, true):
    x, weight = normal(2, 2, 4, seed=4), normal(3, 2, 2, seed=5)

    def layer(batch):
        return F.conv1d(batch, weight, padding=1)

    _, test_var = population(layer(x))
    _, var = masks.noisy_moments(layer, x, masks.dropout(0.5), true)
    law = test_var + theory.conv_noise_energy(x, weight, asked, padding=1)
    if asked == true:
        assert_close(law, var, rtol=1e-11)
    else:
        with pytest.raises(AssertionError):
            assert_close(law, var, rtol=1e-3)


def test_second_moments_suffice_for_element_sharing():
    x, weight = normal(5, 4, 6, 6, seed=6), normal(6, 2, 3, 3, seed=7)
    geometry = {"stride": 2, "padding": 1, "groups": 2}
    from_data = theory.conv_noise_energy(x, weight, **geometry)
    second = x.square().mean(0)
    assert_close(theory.conv_noise_energy_from_second(second, weight, **geometry), from_data)


def test_large_batches_are_read_in_parts():
    x, weight = normal(70, 2, 5, seed=16), normal(3, 2, 3, seed=17)
    whole = F.conv1d(x, weight).square().mean((0, 2))
    assert_close(theory.conv_noise_energy(x, weight, "sample"), whole)
    parts = [F.conv1d(x[:, j : j + 1], weight[:, j : j + 1]) for j in range(2)]
    by_channel = sum(part.square().mean((0, 2)) for part in parts)
    assert_close(theory.conv_noise_energy(x, weight, "channel"), by_channel)


def test_a_one_by_one_convolution_is_a_linear_layer():
    x, weight = normal(3, 4, 5, seed=8), normal(2, 4, seed=9)
    for sharing in SHARINGS:
        conv = theory.conv_noise_energy(x, weight[:, :, None], sharing)
        assert_close(conv, theory.linear_noise_energy(x.movedim(1, -1), weight, sharing))


@pytest.mark.parametrize("sharing", SHARINGS)
def test_circular_padding_by_hand_is_exact(sharing):
    x, weight = normal(2, 2, 4, seed=10), normal(3, 2, 3, seed=11)

    def layer(batch):
        return F.conv1d(F.pad(batch, (1, 1), mode="circular"), weight)

    _, test_var = population(layer(x))
    _, var = masks.noisy_moments(layer, x, masks.dropout(0.3), sharing)
    padded = F.pad(x, (1, 1), mode="circular")
    energy = theory.conv_noise_energy(padded, weight, sharing)
    assert_close(theory.train_var_after(test_var, energy, theory.tau_of(0.3)), var, rtol=1e-11)


@pytest.mark.parametrize(
    ("sharing", "exact"), [("element", False), ("channel", True), ("sample", True)]
)
def test_reflected_borders_share_a_factor_with_their_pixel(sharing, exact):
    x, weight = normal(2, 2, 4, seed=12), normal(3, 2, 3, seed=13)

    def layer(batch):
        return F.conv1d(F.pad(batch, (1, 1), mode="reflect"), weight)

    _, test_var = population(layer(x))
    _, var = masks.noisy_moments(layer, x, masks.dropout(0.3), sharing)
    padded = F.pad(x, (1, 1), mode="reflect")
    energy = theory.conv_noise_energy(padded, weight, sharing)
    law = theory.train_var_after(test_var, energy, theory.tau_of(0.3))
    if exact:
        assert_close(law, var, rtol=1e-11)
    else:
        with pytest.raises(AssertionError):
            assert_close(law, var, rtol=1e-3)


def test_a_batch_stores_less_where_neighbours_share_their_noise():
    # The caveat of docs/theory.md: within-batch variance misses what a whole sample has in common.
    x, weight = normal(2, 2, 4, seed=14), normal(1, 2, 2, seed=15)

    def layer(batch):
        return F.conv1d(batch.flatten(0, -3), weight).reshape(*batch.shape[:-2], 1, 3)

    stored = masks.expected_batch_variance(layer, x, masks.dropout(0.5), "sample")
    rows = layer(x).movedim(1, 0).flatten(1)
    population_law = rows.var(1, correction=1) + theory.conv_noise_energy(x, weight, "sample")
    # M/(M − 1)·(τN − τ/N_samples² Σ (mean over positions)²) in place of τN.
    batch_mean_var = layer(x).mean(2).square().sum(0) / len(x) ** 2
    count = rows.shape[1]
    energy = theory.conv_noise_energy(x, weight, "sample")
    exact = rows.var(1, correction=1) + count / (count - 1) * (energy - batch_mean_var)
    assert_close(stored, exact, rtol=1e-11)
    assert (stored < 0.97 * population_law).all()


def test_errors_say_what_and_what_to_do():
    x, weight = torch.ones(2, 3, 4, 4), torch.ones(5, 3, 2, 2)
    with pytest.raises(UsageError, match=r"x has 3 channels but weight .* groups=3 takes 9"):
        theory.conv_noise_energy(x, weight, groups=3)
    with pytest.raises(UsageError, match=r"pass a batch \(N, C, \*spatial\)"):
        theory.conv_noise_energy(x[0], weight)
    with pytest.raises(UsageError, match=r"pass a batch \(N, C, \*spatial\)"):
        theory.conv_noise_energy(torch.ones(2, 3), torch.ones(5, 3))
    with pytest.raises(UsageError, match="no values"):
        theory.conv_noise_energy(x[:0], weight)
    with pytest.raises(UsageError, match="sharing is 'pixel'"):
        theory.conv_noise_energy(x, weight, "pixel")
    with pytest.raises(UsageError, match="second has 48 negative"):
        theory.conv_noise_energy_from_second(-x[0], weight)
    with pytest.raises(UsageError, match="x has 3 channels"):
        theory.conv_transpose_noise_energy(x, torch.ones(4, 5, 2, 2))
