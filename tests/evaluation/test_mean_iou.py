# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of mean IoU from a confusion matrix."""

import math

import numpy as np
import pytest
import torch

from paumer_hf.evaluation.mean_iou import ConfusionMatrix, class_counts, compute_mean_iou, mean_iou_of_counts


def random_maps(seed, num_labels, size=(7, 9), absent=()):
    rng = np.random.default_rng(seed)
    present = [label for label in range(num_labels) if label not in absent]
    references = rng.choice([*present, 255], size=size)
    return rng.choice(present, size=size), references


def loop_mean_iou(pairs, num_labels):
    """Count pixel by pixel, class by class, without a confusion matrix."""
    iou, accuracy, hits, pixels = [], [], 0, 0
    for label in range(num_labels):
        both = either = reference_pixels = 0
        for predictions, references in pairs:
            for predicted, reference in zip(predictions.ravel(), references.ravel(), strict=True):
                if reference == 255:
                    continue
                both += predicted == label and reference == label
                either += predicted == label or reference == label
                reference_pixels += reference == label
        iou.append(both / either if either else math.nan)
        accuracy.append(both / reference_pixels if reference_pixels else math.nan)
        hits, pixels = hits + both, pixels + reference_pixels
    return {
        "mean_iou": np.nanmean(iou),
        "mean_accuracy": np.nanmean(accuracy),
        "overall_accuracy": hits / pixels,
        "per_category_iou": iou,
        "per_category_accuracy": accuracy,
    }


@pytest.mark.parametrize("absent", [(), (2,)])
def test_results_equal_a_count_per_pixel(absent):
    pairs = [random_maps(seed, 5, size=(7, 4 + seed), absent=absent) for seed in range(3)]
    confusion = ConfusionMatrix(5)
    for predictions, references in pairs:
        confusion.update(predictions, references)
    results, expected = compute_mean_iou(confusion.matrix), loop_mean_iou(pairs, 5)
    assert list(results) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(results[name], value, rtol=1e-12, equal_nan=True, err_msg=name)


def test_class_that_is_only_predicted_counts_as_zero_iou_and_has_no_accuracy():
    confusion = ConfusionMatrix(3)
    confusion.update([0, 1], [0, 0])
    results = compute_mean_iou(confusion.matrix)
    assert results["per_category_iou"][:2] == [0.5, 0.0]
    assert math.isnan(results["per_category_iou"][2])
    assert math.isnan(results["per_category_accuracy"][1])
    assert results["mean_iou"] == 0.25
    assert results["mean_accuracy"] == 0.5


def test_rows_are_references():
    confusion = ConfusionMatrix(3)
    confusion.update(torch.tensor([[1, 1]]), torch.tensor([[2, 255]]))
    assert confusion.matrix.tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert confusion.matrix.dtype == torch.int64


def test_batches_and_summed_matrices_equal_one_update():
    predictions, references = random_maps(0, 4, size=(6, 5, 5))
    whole, parts = ConfusionMatrix(4), [ConfusionMatrix(4), ConfusionMatrix(4)]
    whole.update(predictions, references)
    for number in range(6):
        parts[number % 2].update(predictions[number], references[number])
    assert torch.equal(whole.matrix, parts[0].matrix + parts[1].matrix)
    assert whole.matrix.sum() == (references != 255).sum()


def test_counts_repeat_pairs():
    repeated, counted = ConfusionMatrix(3), ConfusionMatrix(3)
    repeated.update([0, 0, 2, 1], [1, 1, 2, 255])
    counted.update([0, 2, 1], [1, 2, 255], counts=[2, 1, 9])
    assert torch.equal(repeated.matrix, counted.matrix)


def test_uint8_maps_do_not_overflow():
    confusion = ConfusionMatrix(150)
    confusion.update(np.full((2, 2), 149, np.uint8), np.full((2, 2), 148, np.uint8))
    assert confusion.matrix[148, 149] == 4


@pytest.mark.parametrize(("predictions", "references", "name"), [([3], [0], "predictions"), ([0], [7], "references")])
def test_values_outside_the_classes_are_refused(predictions, references, name):
    with pytest.raises(ValueError, match=rf"{name} must lie in 0 \.\. 2"):
        ConfusionMatrix(3).update(predictions, references)


def test_negative_prediction_is_refused():
    with pytest.raises(ValueError, match="got -1"):
        ConfusionMatrix(3).update([-1], [0])


def test_any_prediction_is_taken_where_the_reference_is_ignored():
    confusion = ConfusionMatrix(3, ignore_index=-100)
    confusion.update([255, 1], [-100, 1])
    assert confusion.matrix.sum() == 1


def test_logits_and_unequal_sizes_are_refused():
    with pytest.raises(ValueError, match="argmax"):
        ConfusionMatrix(3).update(torch.zeros(2, 2), torch.zeros(2, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="same size"):
        ConfusionMatrix(3).update([0, 1], [0])


def test_the_mean_iou_of_counts_is_that_of_the_matrix():
    generator = torch.Generator().manual_seed(0)
    matrices = [torch.randint(0, 50, (5, 5), generator=generator) for _ in range(4)]
    matrices[1][2], matrices[1][:, 2] = 0, 0  # a class that does not occur is no class with an IoU of 0
    counts = np.stack([class_counts(matrix).numpy() for matrix in matrices])
    expected = [compute_mean_iou(matrix)["mean_iou"] for matrix in matrices]
    np.testing.assert_allclose(mean_iou_of_counts(counts), expected, rtol=1e-12)
    whole = compute_mean_iou(torch.stack(matrices).sum(0))["mean_iou"]
    np.testing.assert_allclose(mean_iou_of_counts(counts.sum(0)), whole, rtol=1e-12)


def test_without_any_pixel_there_is_no_mean_iou():
    assert np.isnan(mean_iou_of_counts(np.zeros((3, 4))))
