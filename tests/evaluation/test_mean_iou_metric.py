# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the `mean_iou` metric for `evaluate`."""

import numpy as np
import pytest

from paumer_hf.evaluation.mean_iou import ConfusionMatrix, compute_mean_iou
from paumer_hf.evaluation.mean_iou_metric import MeanIoU


# The example in the documentation of the Hub's metric, with its results.
PREDICTIONS = [
    np.array([[1, 2], [3, 4], [5, 255]]),
    np.array([[2, 7], [9, 2], [3, 6]]),
    np.array([[2, 2, 3], [8, 2, 4], [3, 255, 2]]),
]
REFERENCES = [
    np.array([[0, 3], [5, 4], [6, 255]]),
    np.array([[1, 7], [9, 2], [3, 6]]),
    np.array([[1, 2, 2], [8, 2, 1], [3, 255, 1]]),
]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("evaluate.config.HF_METRICS_CACHE", str(tmp_path))


@pytest.fixture
def metric(tmp_path):
    return MeanIoU(cache_dir=str(tmp_path))


def test_documented_example_of_the_hub(metric):
    results = metric.compute(
        predictions=PREDICTIONS, references=REFERENCES, num_labels=10, ignore_index=255, reduce_labels=False
    )
    assert results["mean_iou"] == pytest.approx(0.47750000000000004, abs=1e-15)
    assert results["mean_accuracy"] == pytest.approx(0.5916666666666666, abs=1e-15)
    assert results["overall_accuracy"] == pytest.approx(0.5263157894736842, abs=1e-15)
    np.testing.assert_allclose(results["per_category_iou"], [0, 0, 0.375, 0.4, 0.5, 0, 0.5, 1, 1, 1])
    np.testing.assert_allclose(results["per_category_accuracy"], [0, 0, 0.75, 2 / 3, 1, 0, 0.5, 1, 1, 1])


def test_adding_step_by_step_equals_one_call_and_compute_starts_afresh(metric):
    metric.add(prediction=PREDICTIONS[0], reference=REFERENCES[0])
    metric.add_batch(predictions=PREDICTIONS[1:], references=REFERENCES[1:])
    streamed = metric.compute(num_labels=10, ignore_index=255)
    whole = metric.compute(predictions=PREDICTIONS, references=REFERENCES, num_labels=10, ignore_index=255)
    np.testing.assert_equal(streamed, whole)
    with pytest.raises(ValueError, match="Nothing to compute"):
        metric.compute(num_labels=10, ignore_index=255)


def test_reduce_labels_lowers_references_and_ignores_zero(metric):
    predictions, references = np.array([[0, 1, 1, 0]]), np.array([[1, 2, 0, 255]])
    results = metric.compute(
        predictions=[predictions], references=[references], num_labels=3, ignore_index=255, reduce_labels=True
    )
    assert results["overall_accuracy"] == 1.0
    np.testing.assert_equal(results["per_category_iou"], [1, 1, np.nan])


def test_label_map_means_the_values_before_the_mapping(metric):
    predictions, references = np.array([[1, 0, 2]]), np.array([[0, 1, 2]])
    results = metric.compute(
        predictions=[predictions], references=[references], num_labels=3, ignore_index=255, label_map={0: 1, 1: 0}
    )
    assert results["mean_iou"] == 1.0


def test_nan_to_num_replaces_absent_classes(metric):
    results = metric.compute(
        predictions=[np.array([[0]])], references=[np.array([[0]])], num_labels=2, ignore_index=255, nan_to_num=7
    )
    np.testing.assert_equal(results["per_category_iou"], [1, 7])
    assert results["mean_iou"] == 1.0


def test_negative_ignore_index_and_random_maps_equal_the_confusion_matrix(metric):
    rng = np.random.default_rng(0)
    predictions = [rng.integers(0, 6, (5, 8)) for _ in range(3)]
    references = [rng.choice([-100, 0, 1, 2, 3, 4, 5], (5, 8)) for _ in range(3)]
    confusion = ConfusionMatrix(6, ignore_index=-100)
    for predicted, reference in zip(predictions, references, strict=True):
        confusion.update(predicted, reference)
    results = metric.compute(predictions=predictions, references=references, num_labels=6, ignore_index=-100)
    np.testing.assert_equal(
        {name: np.asarray(value) for name, value in results.items()},
        {name: np.asarray(value) for name, value in compute_mean_iou(confusion.matrix).items()},
    )


def test_wrong_inputs_are_refused(metric):
    with pytest.raises(ValueError, match="equally many"):
        metric.add_batch(predictions=PREDICTIONS, references=REFERENCES[:1])
    with pytest.raises(ValueError, match="does not fit"):
        metric.add(prediction=[[0, 1]], reference=[[0]])
    with pytest.raises(ValueError, match="Unknown inputs"):
        metric.add(prediction=[[0]], reference=[[0]], masks=[[0]])
    with pytest.raises(ValueError, match="predictions must lie in"):
        metric.compute(predictions=PREDICTIONS, references=REFERENCES, num_labels=3, ignore_index=255)
