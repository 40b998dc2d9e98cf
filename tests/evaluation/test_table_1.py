# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the paper's configurations and of choosing configurations by name."""

import pytest

from paumer_hf import PauseConfig
from paumer_hf.evaluation.table_1 import TABLE_1, read_pause_config, select_pause_configs, table_1_configs


def test_thirteen_configurations_in_the_order_of_the_paper():
    assert len(TABLE_1) == 13
    assert [len(pause_config.pause_ratios) for pause_config in TABLE_1.values()] == [1] * 7 + [2] * 3 + [3] * 3
    assert list(TABLE_1)[3:7] == ["5:0.2", "5:0.4", "5:0.6", "5:0.8"]
    assert list(TABLE_1)[-1] == "3:0.4,5:0.4,7:0.4"
    for name, pause_config in TABLE_1.items():
        assert PauseConfig.from_text(name) == pause_config


@pytest.mark.parametrize(("num_layers", "number"), [(12, 13), (8, 13), (7, 10), (5, 3), (3, 0)])
def test_shallow_networks_leave_out_what_they_do_not_have(num_layers, number):
    configs = table_1_configs(num_layers)
    assert len(configs) == number
    for pause_config in configs:
        pause_config.validate(num_layers)


def test_criterion_and_seed_are_taken_over():
    configs = table_1_configs(12, criterion="random", seed=4)
    assert {(pause_config.criterion, pause_config.seed) for pause_config in configs} == {("random", 4)}


def test_names_select_configurations_once_each():
    presets = {"fast": PauseConfig({3: 0.6}), "chance": PauseConfig({2: 0.5}, criterion="random", seed=1)}
    selected = select_pause_configs(["dense", "fast", "3:0.6", "chance", "4:0.5"], 6, presets, ["entropy", "random"])
    assert selected == [
        PauseConfig(),
        PauseConfig({3: 0.6}),
        PauseConfig({2: 0.5}, criterion="random", seed=1),
        PauseConfig({4: 0.5}),
        PauseConfig({3: 0.6}, criterion="random"),
        PauseConfig({4: 0.5}, criterion="random"),
    ]
    assert select_pause_configs(["table_1"], 12) == list(TABLE_1.values())


def test_a_word_means_one_configuration():
    presets = {"fast": PauseConfig({3: 0.6}), "chance": PauseConfig({2: 0.5}, criterion="random", seed=1)}
    for name, expected in (
        ("dense", PauseConfig()),
        ("fast", presets["fast"]),
        ("chance", presets["chance"]),
        ("1:0.5", PauseConfig({1: 0.5}, criterion="random", seed=4)),
    ):
        assert read_pause_config(name, 6, presets, criterion="random", seed=4) == expected
    assert read_pause_config("1:0.5", 6, seed=4) == PauseConfig({1: 0.5}), "nothing but random pausing has a seed"
    with pytest.raises(ValueError, match=r"'table_1'\. Name one of dense, chance, fast, or layers with ratios"):
        read_pause_config("table_1", 6, presets)


@pytest.mark.parametrize(
    ("name", "message"),
    [("quick", "Unknown pause configuration 'quick'.*fast"), ("3:half", "3:half"), ("8:0.4", "layer 8")],
)
def test_what_cannot_be_selected_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        select_pause_configs([name], 6, {"fast": PauseConfig({3: 0.6})})
