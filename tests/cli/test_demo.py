from __future__ import annotations

import json

import pytest
import torch
from rich.console import Console

from varshift._cli.demo import Settings, run_demo
from varshift._cli.demo.story import as_dict, story


@pytest.fixture(scope="module")
def outcome():
    return run_demo(Settings(epochs=1, width=8, blocks=1))


def drawn(demo):
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(story(demo))
        return console.export_text()


def test_the_twins_differ_in_noise_alone(outcome):
    noisy, clean = outcome.noisy.measurement, outcome.clean.measurement
    assert list(noisy.sites) == list(clean.sites)
    assert len({route.norm for route in noisy.structure.direct()}) == 3
    assert clean.structure.routes == ()
    assert all(route.placement == "a" for route in noisy.structure.direct())


def test_the_hit_norms_shift_and_the_twins_do_not(outcome):
    hit = {route.norm for route in outcome.noisy.measurement.structure.direct()}
    for path in hit:
        site = outcome.noisy.measurement[path]
        assert site.shift + 5 * site.shift_se < 0.6  # keep_p = 0.3 and c²/v > 0 put it below 0.3


def test_the_story_fits_and_says_what_the_numbers_say(outcome):
    text = drawn(outcome)
    assert max(map(len, text.splitlines())) <= 80
    assert "blocks.0.drop" in text
    change, error, _, _ = outcome.noisy.after.change(outcome.noisy.before)
    said = " ".join(text.split())
    assert ("no more than chance" in said) == (abs(change) <= 2 * error)


def test_held_out_images_are_held_out(outcome):
    assert outcome.trained_on + outcome.tested_on == 1797
    assert outcome.noisy.recalibration.samples == outcome.trained_on


def test_the_same_seed_tells_the_same_story(outcome):
    again = run_demo(Settings(epochs=1, width=8, blocks=1))
    assert torch.equal(again.noisy.before.losses, outcome.noisy.before.losses)
    json.dumps(as_dict(outcome), allow_nan=False)
