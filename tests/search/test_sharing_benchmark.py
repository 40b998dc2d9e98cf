# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of what is measured of the cost of a frontier."""

import pytest

from paumer_hf import PauseConfig
from paumer_hf.evaluation.multi_scale import EvaluationSettings
from paumer_hf.evaluation.semantic_evaluation import evaluate_model
from paumer_hf.search.sharing_benchmark import compare_with_separate_evaluations, measure_frontier_costs


CONFIGS = [PauseConfig(), PauseConfig({1: 0.5}), PauseConfig({1: 0.5, 2: 0.5})]


def test_evaluations_together_and_separate_give_the_same(search_model, make_samples):
    dataset = make_samples()
    costs = compare_with_separate_evaluations(search_model, dataset, CONFIGS, progress=False, max_samples=3)
    assert costs["results"] == evaluate_model(search_model, make_samples(), CONFIGS, max_samples=3)
    assert costs["largest_difference"] == 0.0
    assert costs["num_configurations"] == 3
    assert costs["share"] == costs["seconds_together"] / costs["seconds_separate"]
    # One image to warm up, then all: together once, and separately once for each.
    assert len(dataset.decoded) == 1 + 3 + 3 * 3


def test_nothing_to_compare_is_refused(search_model, make_samples):
    with pytest.raises(ValueError, match="pause_configs is empty"):
        compare_with_separate_evaluations(search_model, make_samples(), [])


def test_a_frontier_is_measured_in_three_ways(search_model, make_samples, make_arguments, search, tmp_path):
    arguments = make_arguments(layers=[1, 3], max_gain=0.0, speed="measured")
    costs = measure_frontier_costs(search_model, make_samples(), EvaluationSettings(), arguments, progress=False)
    assert costs["num_configurations"] == 1 + 2 * 2 + 4
    assert costs["num_evaluated"] <= costs["num_configurations"]
    assert costs["share_search"] == costs["seconds_search"] / costs["seconds_separate"]
    assert costs["frontier_of_all"] == search(layers=[1, 3])["frontier"]
    assert costs["frontier"] == search(layers=[1, 3], max_gain=0.0, output=str(tmp_path / "bounded"))["frontier"]
    assert "results" not in costs
