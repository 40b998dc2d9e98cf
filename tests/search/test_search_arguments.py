# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the command line of a search."""

import pytest

from paumer_hf import PaumerConfig
from paumer_hf.search.search_arguments import SearchArguments
from paumer_hf.search.wishes import Wish


def make(**fields):
    return SearchArguments(model="model", **fields)


@pytest.mark.parametrize(
    ("num_layers", "expected"), [(12, range(3, 10)), (24, range(6, 19)), (4, [1, 2, 3]), (2, [1])]
)
def test_layers_are_those_of_the_paper_unless_they_are_named(make_tiny_config, num_layers, expected):
    config = make_tiny_config(num_hidden_layers=num_layers)
    assert make().grid(config).layers == tuple(expected)
    assert make(layers=[1]).grid(config).layers == (1,)


def test_flags_reach_the_grid_and_the_wish(make_tiny_config):
    arguments = make(ratios=[0.5], max_pause_layers=3, criterion="random", seed=4, max_drop=0.7)
    grid = arguments.grid(make_tiny_config())
    assert (grid.ratios, grid.max_pause_layers, grid.num_layers) == ((0.5,), 3, 4)
    assert (grid.criterion, grid.seed) == ("random", 4)
    assert arguments.wish() == Wish(max_drop=0.7)
    assert make(target_speedup=1.5).wish() == Wish(min_speedup=1.5)
    assert make(target_throughput=30.0).wish() == Wish(min_throughput=30.0)
    for fine in (arguments, make(), make(max_gain=float("inf")), make(max_drop=1.0, save_as="mine")):
        fine.check()


@pytest.mark.parametrize(
    ("image_size", "of_model", "expected"),
    [(None, 224, (224, 224)), (None, (40, 48), (40, 48)), ([64], 224, (64, 64)), ([64, 80], 224, (64, 80))],
)
def test_image_sizes(image_size, of_model, expected):
    config = PaumerConfig.from_size("tiny", num_labels=3, image_size=of_model)
    settings = make(image_size=image_size, threads=2, batch_size=3).speed_settings(config)
    assert tuple(settings.image_size) == expected
    assert (settings.num_threads, settings.batch_size, settings.source) == (2, 3, "measured")


def test_image_sizes_of_three_numbers_are_refused(make_tiny_config):
    with pytest.raises(ValueError, match="image_size must be a height and a width"):
        make(image_size=[3, 64, 64]).speed_settings(make_tiny_config())


def test_drops_are_of_the_presets_in_their_order():
    assert make().drops() == {"accurate": 0.2, "balanced": 0.7, "fast": 2.0, "fastest": 5.0}
    assert make(preset_drops=[0, 1, 2, 3]).drops()["fastest"] == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"target_speedup": 1.5, "max_drop": 1.0}, "one wish, got --target_speedup and --max_drop"),
        ({"target_speedup": -1.0}, "positive number, got -1.0"),
        ({"target_throughput": 9.0, "speed": "macs"}, "--target_throughput needs measured images/s"),
        ({"save_as": "mine"}, "--save_as names the preset of a choice"),
        ({"save_as": "mine", "max_drop": 1.0, "write_presets": False}, "--save_as names the preset of a choice"),
        ({"save_as": "dense", "max_drop": 1.0}, "--save_as must be a name other than '', 'dense'"),
        ({"max_gain": -1.0}, "--max_gain must be at least 0, got -1.0"),
        ({"max_gain": float("nan")}, "--max_gain must be at least 0, got nan"),
        ({"points_per_doubling": -1.0}, "--points_per_doubling must be at least 0"),
        ({"num_resamples": -1}, "--num_resamples must be at least 0"),
        ({"preset_drops": [1.0]}, "--preset_drops must be 4 numbers"),
        ({"preset_drops": [1.0, 2.0, -3.0, 4.0]}, "--preset_drops must be 4 numbers"),
    ],
)
def test_what_contradicts_itself_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        make(**fields).check()
