# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the configurations that a search chooses among, and of their order."""

import itertools

import numpy as np
import pytest

from paumer_hf import PauseConfig
from paumer_hf.search.candidates import CandidateGrid, PauseOrder


def test_all_configurations_up_to_a_depth_are_listed_once():
    grid = CandidateGrid([5, 3, 7, 3], [0.4, 0.2], max_pause_layers=2, num_layers=12)
    found = grid.list_all()
    expected = set()
    for ratios in itertools.product([0, 0.2, 0.4], repeat=3):
        config = PauseConfig(dict(zip((3, 5, 7), ratios, strict=True)))
        if len(config.pause_ratios) <= 2:
            expected.add(config)
    assert set(found) == expected
    assert len(found) == len(expected) == 1 + 3 * 2 + 3 * 4
    assert found[0] == PauseConfig()
    assert [len(config.pause_ratios) for config in found] == sorted(len(config.pause_ratios) for config in found)


def test_a_depth_beyond_the_layers_lists_all_of_them():
    assert len(CandidateGrid([3], [0.2], max_pause_layers=5, num_layers=12).list_all()) == 2


def test_random_pausing_has_the_seed_and_entropy_has_none():
    random = CandidateGrid([2], [0.5], 1, 4, criterion="random", seed=7)
    assert random.list_all()[1] == PauseConfig({2: 0.5}, criterion="random", seed=7)
    assert random.list_extensions(PauseConfig()) == random.list_all()[1:]
    assert CandidateGrid([2], [0.5], 1, 4, seed=7).list_all()[1] == PauseConfig({2: 0.5})


def test_extensions_pause_after_one_layer_more_on_either_side():
    grid = CandidateGrid([3, 5, 7], [0.2, 0.4], max_pause_layers=2, num_layers=12)
    expected = [PauseConfig({5: 0.4, layer: ratio}) for layer in (3, 7) for ratio in (0.2, 0.4)]
    assert grid.list_extensions(PauseConfig({5: 0.4})) == expected
    assert grid.list_extensions(PauseConfig({5: 0.4, 7: 0.2})) == []
    assert set(grid.list_extensions(PauseConfig())) <= set(grid.list_all())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layers": []}, r"at least one layer and one ratio to choose among, got layers=\[\]"),
        ({"ratios": []}, r"at least one layer and one ratio.*ratios=\[\]"),
        ({"layers": [3, 12]}, "names layer 12, but the model has 12 layers"),
        ({"layers": [0]}, "names layer 0, but layers count from 1"),
        ({"ratios": [0.0, 0.2]}, r"ratios must lie in \(0, 1\), got 0.0"),
        ({"ratios": [0.2, 1.0]}, r"ratios must lie in \(0, 1\), got 1.0"),
        ({"ratios": [float("nan")]}, r"ratios must lie in \(0, 1\), got nan"),
        ({"max_pause_layers": 0}, "max_pause_layers must be at least 1, got 0"),
        ({"criterion": "loss"}, "criterion"),
        ({"criterion": "random", "seed": -1}, "seed"),
    ],
)
def test_what_cannot_be_searched_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        CandidateGrid(**{"layers": [3], "ratios": [0.5], "max_pause_layers": 1, "num_layers": 12, **fields})


def test_gentler_processes_as_many_patches_in_every_layer():
    configs = CandidateGrid([1, 2, 3], [0.3, 0.6], 3, 4).list_all()
    order = PauseOrder(configs, num_layers=4)
    shares = np.array(
        [np.cumprod([1 - config.pause_ratios.get(layer, 0) for layer in (1, 2, 3)]) for config in configs]
    )
    for place, share in enumerate(shares):
        expected = (share[None] >= shares - 1e-3).all(1)
        np.testing.assert_array_equal(order.is_gentler(place), expected)
    assert order.is_gentler(0).all(), "the dense model is the gentlest"
    places = {config: place for place, config in enumerate(configs)}
    later, earlier = places[PauseConfig({2: 0.3})], places[PauseConfig({1: 0.3})]
    assert order.is_gentler(later)[earlier]
    assert not order.is_gentler(earlier)[later]
