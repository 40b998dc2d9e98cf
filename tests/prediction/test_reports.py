# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import json
import statistics

import numpy as np
import pytest

from paumer_hf import PauseConfig
from paumer_hf.prediction.reports import PredictionTotals, prediction_conditions, result_row
from paumer_hf.prediction.timed_prediction import MEASURED, TimedPrediction
from paumer_hf.visualization import FigureRow


NAMES = ["road", "tree", "sky"]


def prediction(label_map, pause_map, seconds, pause_config=None, name=""):
    pause_config = PauseConfig({1: 0.5}) if pause_config is None else pause_config
    row = FigureRow(pause_config, np.array(label_map), np.array(pause_map), np.zeros((1, 1)), "entropy", name)
    return TimedPrediction(row, seconds)


def test_numbers_of_several_images_are_summed():
    totals = PredictionTotals(NAMES)
    totals.add(prediction([[0, 0, 2], [2, 2, 2]], [[0, 1], [1, 3]], [0.5, 0.1]))
    totals.add(prediction([[0, 2]], [[0, 1]], [0.2]))
    numbers = totals.to_dict()
    assert numbers["classes"] == [
        {"label": 0, "name": "road", "pixels": 3, "share": 3 / 8},
        {"label": 2, "name": "sky", "pixels": 5, "share": 5 / 8},
    ]
    assert numbers["active_share"] == 2 / 6
    assert numbers["paused_share"] == {"1": 3 / 6, "3": 1 / 6}
    assert numbers["images_per_second"] == totals.images_per_second == 5.0
    assert (numbers["seconds_median"], numbers["num_timed_calls"]) == (0.2, 3)
    lower, _, upper = statistics.quantiles([0.5, 0.1, 0.2], n=4, method="inclusive")
    assert numbers["seconds_interquartile_range"] == pytest.approx(upper - lower)


@pytest.mark.parametrize(
    ("pause_config", "name", "expected"),
    [
        (PauseConfig({1: 0.5}), "fast", ("fast", "1:0.5", "entropy", None)),
        (PauseConfig({1: 0.5}, "random", 3), "", ("1:0.5", "1:0.5", "random", 3)),
        (PauseConfig(), "", ("dense", "", "entropy", None)),
    ],
)
def test_a_row_names_its_configuration_and_its_files(pause_config, name, expected):
    totals = PredictionTotals(NAMES)
    made = prediction([[0]], [[0]], [0.1], pause_config, name)
    totals.add(made)
    row = result_row(made, totals, {"label_map": "labels.png"})
    assert tuple(row[key] for key in ("name", "pause_config", "criterion", "seed")) == expected
    assert row["label_map"] == "labels.png"
    assert row["images_per_second"] == 10
    json.dumps(row)


def test_conditions_say_what_was_timed_on_what(tiny_model):
    conditions = prediction_conditions(tiny_model, "some/model")
    assert conditions["measured"] == MEASURED
    assert {"device", "num_threads", "torch", "environment"} <= conditions.keys()
    expected = {"model": "some/model", "dtype": "float32", "batch_size": 1, "num_labels": 3, "attention": "sdpa"}
    assert conditions | expected == conditions
    json.dumps(conditions)
