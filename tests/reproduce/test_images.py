"""Crops and mirrors against a loop over images; what the pixels of a run are."""

from __future__ import annotations

import hashlib

import pytest
import torch

from reproduce.small import PLAIN
from varshift._loading import load_images
from varshift.reproduce.images import crop_and_flip, pixels
from varshift.reproduce.run import Images


def one_by_one(batch, pad, flip, seed):
    """Image for image: put into a field of zeros, cut out, mirrored; the same numbers drawn."""
    count, channels, high, wide = batch.shape
    dice = torch.Generator().manual_seed(seed)
    down, right = torch.randint(2 * pad + 1, (2, count, 1), generator=dice).flatten(1).tolist()
    mirrored = torch.randint(2, (count, 1), generator=dice).flatten().tolist()
    made = []
    for image, y, x, mirror in zip(batch, down, right, mirrored, strict=True):
        field = torch.zeros(channels, high + 2 * pad, wide + 2 * pad, dtype=batch.dtype)
        field[:, pad : pad + high, pad : pad + wide] = image
        cut = field[:, y : y + high, x : x + wide]
        made.append(cut.flip(2) if flip and mirror else cut)
    return torch.stack(made)


@pytest.mark.parametrize("pad", [0, 1, 4])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("size", [(8, 8), (5, 7)])
def test_a_batch_is_its_images_one_by_one(pad, flip, size):
    batch = torch.randn(40, 3, *size, generator=torch.Generator().manual_seed(1)).double()
    made = crop_and_flip(batch, pad=pad, flip=flip, seed=9)
    assert torch.equal(made, one_by_one(batch, pad, flip, seed=9))


def test_every_shift_and_both_mirrors_occur_alike():
    """Of 9·2 outcomes, each about 1,000 times of 18,000: within 5 standard errors."""
    image = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3).expand(18_000, 1, 3, 3)
    made = crop_and_flip(image, pad=1, flip=True, seed=0).flatten(1)
    kinds, counts = made.unique(dim=0, return_counts=True)
    assert len(kinds) == 18
    error = (18_000 * (1 / 18) * (17 / 18)) ** 0.5
    assert float((counts - 1000).abs().max()) < 5 * error


def test_without_padding_and_mirrors_nothing_happens():
    batch = torch.randn(6, 3, 8, 8)
    assert torch.equal(crop_and_flip(batch, pad=0, flip=False, seed=0), batch)


def test_layout_is_channels_last_and_the_shape_stays():
    batch = torch.randn(6, 3, 8, 5)
    made = crop_and_flip(batch, pad=2, flip=True, seed=0)
    assert made.shape == batch.shape
    assert made.is_contiguous(memory_format=torch.channels_last)


def test_the_seed_alone_decides():
    batch = torch.randn(32, 1, 8, 8)
    state = torch.get_rng_state()
    first = crop_and_flip(batch, pad=2, flip=True, seed=5)
    torch.rand(3)
    assert torch.equal(crop_and_flip(batch, pad=2, flip=True, seed=5), first)
    assert not torch.equal(crop_and_flip(batch, pad=2, flip=True, seed=6), first)
    torch.set_rng_state(state)
    crop_and_flip(batch, pad=2, flip=True, seed=5)
    assert torch.equal(torch.get_rng_state(), state)


def test_pixels_are_counted_and_normalised(digits):
    assert (len(digits.train), len(digits.test)) == (128, 64)
    assert (len(digits.train_labels), len(digits.test_labels)) == (128, 64)
    assert (digits.channels, digits.classes) == (1, 10)
    rows = digits.train.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(rows.mean(1), torch.zeros(1).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(rows.std(1), torch.ones(1).double(), rtol=1e-6, atol=0)


def test_test_images_are_normalised_by_the_training_images():
    held, made = load_images("digits"), pixels(Images("digits", 8))
    train, test = held.train.double(), held.test.double()
    torch.testing.assert_close(
        made.test.double(), (test - train.mean()) / train.std(), rtol=1e-5, atol=1e-5
    )
    assert (len(made.train), len(made.test)) == (len(held.train), len(held.test))
    assert made.name == held.name


def test_the_images_that_are_kept_are_the_sets_own_with_their_labels():
    held, made = load_images("digits"), pixels(PLAIN.images)
    scale, middle = held.train.double().std(), held.train.double().mean()
    known = {
        (tuple(image.flatten().mul(16).round().int().tolist()), int(label))
        for image, label in zip(_raw(held.train), held.train_labels, strict=True)
    }
    assert float(scale) > 0
    assert torch.isfinite(middle)
    kept = _as_drawn(made.train, held.train)
    mine = {
        (tuple(image.flatten().mul(16).round().int().tolist()), int(label))
        for image, label in zip(kept, made.train_labels, strict=True)
    }
    assert mine <= known
    assert len(mine) > 120  # 128 images, hardly one twice


def _raw(images):
    return images.double()


def _as_drawn(images, held):
    """The same line that the kept images were sent along, backwards, fitted to the extremes."""
    low, high = images.double().min(), images.double().max()
    return (images.double() - low) / (high - low) * (held.max() - held.min()) + held.min()


def test_a_smaller_side_is_the_average_of_its_pixels():
    held = load_images("digits").train.double()
    small = pixels(Images("digits", 4))
    means = held.reshape(len(held), 1, 4, 2, 4, 2).mean((3, 5))
    expected = (means - means.mean()) / means.std()
    torch.testing.assert_close(small.train.double(), expected, rtol=1e-5, atol=1e-5)
    assert small.name.endswith(", 4 px")


def test_the_hash_is_that_of_the_contents(digits):
    told = hashlib.sha256()
    for part in (digits.train, digits.train_labels, digits.test, digits.test_labels):
        told.update(part.contiguous().numpy().tobytes())
    assert digits.sha256 == told.hexdigest()
    assert pixels(Images("digits", 8, 127, 64)).sha256 != digits.sha256
    assert pixels(Images("digits", 8, 128, 63)).sha256 != digits.sha256
    pixels.cache_clear()
    assert pixels(PLAIN.images).sha256 == digits.sha256


def test_fewer_images_are_the_first_of_more():
    """One fixed order for every count, so that runs of different sizes nest."""
    more, less = pixels(Images("digits", 8, 200)), pixels(Images("digits", 8, 50))
    assert torch.equal(less.train_labels, more.train_labels[:50])
