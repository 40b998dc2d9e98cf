# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import copy
import json
import random
from collections import Counter

import pytest
import torch

from paumer_hf import PaumerConfig, PauseConfig
from paumer_hf.model.pause_sampling import PauseSampler


NUM_DRAWS = 3000


def draw(number=NUM_DRAWS, **fields):
    sampler = PauseSampler(PaumerConfig(**fields))
    return [sampler.draw() for _ in range(number)]


def test_default_is_the_paper():
    """One layer, uniform in 3 to 9, and a ratio uniform in 0.2 to 0.8."""
    configs = draw()
    assert all(len(config.pause_ratios) == 1 for config in configs)
    assert {config.criterion for config in configs} == {"entropy"}
    assert {config.seed for config in configs} == {None}
    layers = Counter(layer for config in configs for layer in config.pause_ratios)
    assert sorted(layers) == [3, 4, 5, 6, 7, 8, 9]
    statistic = sum((count - NUM_DRAWS / 7) ** 2 / (NUM_DRAWS / 7) for count in layers.values())
    assert statistic < 25, "chi-square with 6 degrees of freedom"
    ratios = [ratio for config in configs for ratio in config.pause_ratios.values()]
    assert 0.2 <= min(ratios) < 0.21
    assert 0.79 < max(ratios) <= 0.8
    tenths = Counter(int((ratio - 0.2) / 0.06) for ratio in ratios)
    assert sum((tenths[bin] - NUM_DRAWS / 10) ** 2 / (NUM_DRAWS / 10) for bin in range(10)) < 35


def test_layer_and_ratio_are_independent():
    configs = draw()
    for wanted in (3, 9):
        ratios = [ratio for config in configs for layer, ratio in config.pause_ratios.items() if layer == wanted]
        assert abs(sum(ratios) / len(ratios) - 0.5) < 0.05


def test_numbers_of_layers_are_equally_likely():
    configs = draw(train_num_pause_layers=[1, 2, 3])
    counts = Counter(len(config.pause_ratios) for config in configs)
    assert sorted(counts) == [1, 2, 3]
    assert all(abs(count - NUM_DRAWS / 3) < 130 for count in counts.values())
    layers = Counter(layer for config in configs for layer in config.pause_ratios)
    assert sorted(layers) == [3, 4, 5, 6, 7, 8, 9]
    assert all(abs(count - 2 * NUM_DRAWS / 7) < 150 for count in layers.values())


def test_repeated_numbers_get_a_larger_share():
    counts = Counter(len(config.pause_ratios) for config in draw(train_num_pause_layers=[0, 2, 2, 2]))
    assert sorted(counts) == [0, 2]
    assert abs(counts[0] - NUM_DRAWS / 4) < 120


def test_zero_layers_is_dense_training():
    assert set(draw(50, train_num_pause_layers=[0])) == {PauseConfig()}


def test_other_ranges_and_criterion():
    fields = {"train_pause_layers": [1, 11], "train_pause_ratios": (0.5, 0.5), "train_pause_criterion": "random"}
    expected = {PauseConfig({layer: 0.5}, criterion="random") for layer in (1, 11)}
    assert set(draw(100, **fields)) == expected


def test_one_layer_encoders_do_not_pause():
    assert set(draw(20, num_hidden_layers=1)) == {PauseConfig()}


def test_every_draw_fits_the_model():
    for num_layers in (2, 3, 4, 5, 12, 24):
        for config in draw(50, num_hidden_layers=num_layers):
            config.validate(num_layers)
            assert config


def test_draws_depend_on_seed_and_number_alone():
    config = PaumerConfig(train_num_pause_layers=[1, 2, 3])
    first, second = PauseSampler(config), PauseSampler(copy.deepcopy(config))
    for _ in range(100):
        drawn = first.draw()
        random.random(), torch.rand(1)
        random.seed(0), torch.manual_seed(0)
        assert second.draw() == drawn
    state = random.getstate()
    first.draw()
    assert random.getstate() == state
    assert draw(20) != draw(20, train_pause_seed=1)
    assert len(set(draw(100))) == 100


def test_state_goes_on_where_it_was():
    config = PaumerConfig()
    sampler = PauseSampler(config)
    for _ in range(17):
        sampler.draw()
    state = json.loads(json.dumps(sampler.state_dict()))
    expected = [sampler.draw() for _ in range(20)]
    resumed = PauseSampler(config)
    resumed.load_state_dict(state)
    assert resumed.num_drawn == 17
    assert resumed.state_dict() == state
    assert [resumed.draw() for _ in range(20)] == expected
    resumed.load_state_dict({"num_drawn": torch.tensor(17)})
    assert resumed.draw() == expected[0]


@pytest.mark.parametrize("number", [0, 1, 5])
def test_counts_its_draws(number):
    sampler = PauseSampler(PaumerConfig())
    for _ in range(number):
        sampler.draw()
    assert sampler.num_drawn == number


def test_changes_of_the_configuration_take_effect():
    config = PaumerConfig()
    sampler = PauseSampler(config)
    sampler.draw()
    config.train_pause_layers = [2]
    assert list(sampler.draw().pause_ratios) == [2]
