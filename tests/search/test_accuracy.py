# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the accuracy of many configurations: the numbers of an evaluation, and that nothing is counted twice."""

import numpy as np
import pytest

from paumer_hf import PauseConfig
from paumer_hf.evaluation.multi_scale import EvaluationSettings
from paumer_hf.evaluation.semantic_evaluation import evaluate_model
from paumer_hf.search.accuracy import AccuracyTable
from paumer_hf.search.store import SearchStore


DENSE, PAUSED, MORE = PauseConfig(), PauseConfig({1: 0.5}), PauseConfig({1: 0.5, 3: 0.5})
RANDOM = PauseConfig({2: 0.5}, criterion="random", seed=3)
CONFIGS = [DENSE, PAUSED, MORE, RANDOM]
SETTINGS = {"window_size": (12, 12), "stride": (8, 8)}


@pytest.fixture
def store(tmp_path):
    with SearchStore(tmp_path / "search.sqlite", {}) as store:
        yield store


@pytest.fixture
def make_table(search_model, store):
    def make(dataset, **fields):
        settings = EvaluationSettings(**SETTINGS)
        return AccuracyTable(search_model, dataset, settings, store, progress=False, **fields)

    return make


@pytest.fixture
def counted(store, monkeypatch):
    """The (configuration, image) pairs that were counted."""
    pairs, add_counts = [], store.add_counts

    def spy(image, pause_configs, counts):
        pairs.extend((config, image) for config in pause_configs)
        add_counts(image, pause_configs, counts)

    monkeypatch.setattr(store, "add_counts", spy)
    return pairs


@pytest.mark.parametrize("num_resamples", [0, 50])
def test_rows_are_those_of_an_evaluation_to_the_digit(search_model, make_table, make_samples, num_resamples):
    table = make_table(make_samples())
    table.evaluate(CONFIGS[:1])
    table.evaluate(CONFIGS[1:])
    rows = table.rows(CONFIGS, num_resamples)
    evaluated = evaluate_model(search_model, make_samples(), CONFIGS, num_resamples=num_resamples, **SETTINGS)
    for row, expected in zip(rows, evaluated, strict=True):
        assert {name: row[name] for name in expected} == expected
        assert row.keys() - expected.keys() <= {"mean_iou_difference"}
    for row, config in zip(rows, CONFIGS, strict=True):
        assert table.mean_iou(config) == pytest.approx(row["mean_iou"], abs=1e-15)
        assert row.get("mean_iou_difference", 0.0) == row["mean_iou"] - rows[0]["mean_iou"]
    assert len({row["mean_iou"] for row in rows}) == len(CONFIGS), "the configurations must differ to mean much"


def test_only_what_is_missing_is_counted(make_table, make_samples, counted):
    table = make_table(make_samples(), max_samples=3)
    table.evaluate([DENSE, PAUSED])
    table.evaluate([PAUSED, MORE, DENSE])
    table.evaluate([])
    assert sorted(counted, key=str) == sorted([(c, i) for c in (DENSE, PAUSED, MORE) for i in range(3)], key=str)
    assert make_table(make_samples(), max_samples=3).rows([DENSE], 0)[0]["num_images"] == 3


def test_what_interrupted_passes_have_left_out_is_counted(make_table, make_samples, counted):
    class Ends(type(make_samples())):
        left = 3

        def __getitem__(self, index):
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            return super().__getitem__(index)

    with pytest.raises(KeyboardInterrupt):
        make_table(Ends()).evaluate([DENSE, PAUSED])
    assert len(counted) == 6
    table = make_table(make_samples())
    table.evaluate([DENSE, PAUSED, MORE])
    assert len(counted) == len(set(counted)) == 12
    whole = make_table(make_samples()).rows([DENSE, PAUSED, MORE], 0)
    assert table.rows([DENSE, PAUSED, MORE], 0) == whole


def test_a_store_of_other_images_is_refused(make_table, make_samples):
    make_table(make_samples()).evaluate([DENSE])
    make_table(make_samples(), max_samples=2)
    with pytest.raises(
        ValueError, match=r"search\.sqlite holds measurements of another data set.*Name another output"
    ):
        make_table(make_samples(seed=1))


def test_no_images_and_no_labels_are_refused(make_table, make_samples):
    with pytest.raises(ValueError, match="There is nothing to evaluate: the data set has 4 images, max_samples=0"):
        make_table(make_samples(), max_samples=0)
    dataset = make_samples()
    empty = np.full((12, 16), 255, np.uint8)
    dataset.samples = [dataset.samples[0]._replace(annotation=empty)]
    table = make_table(dataset)
    table.evaluate([DENSE])
    with pytest.raises(ValueError, match="None of the 1 images has a labelled pixel"):
        table.mean_iou(DENSE)
