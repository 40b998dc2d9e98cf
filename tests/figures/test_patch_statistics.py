# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from paumer_hf.figures.patch_predictions import NO_LABEL, LayerPredictions
from paumer_hf.figures.patch_statistics import (
    check_patch_results,
    never_correct,
    spread_indices,
    summarise_patches,
)


def make_predictions(shape, num_layers=3, num_labels=4, seed=0):
    generator = np.random.default_rng(seed)
    entropies = generator.uniform(0, math.log(num_labels), (num_layers, *shape)).astype(np.float32)
    labels = generator.integers(0, num_labels, (num_layers, *shape))
    references = generator.integers(0, num_labels, shape)
    references[0, :2] = NO_LABEL
    return LayerPredictions(entropies, labels), references


def test_summary_equals_a_loop_over_patches():
    images = [make_predictions((4, 5), seed=1), make_predictions((3, 6), seed=2)]
    results = summarise_patches(*zip(*images, strict=True), num_labels=4)
    assert [result["layer"] for result in results] == [1, 2, 3]
    first_correct = np.zeros(4)
    for layer in range(3):
        right, wrong = [], []
        for predictions, references in images:
            for place in np.ndindex(references.shape):
                if references[place] == NO_LABEL:
                    continue
                is_right = predictions.labels[layer][place] == references[place]
                (right if is_right else wrong).append(predictions.entropy[layer][place])
                if is_right and not (predictions.labels[:layer, *place] == references[place]).any():
                    first_correct[layer] += 1
        result = results[layer]
        assert (result["correct"]["count"], result["wrong"]["count"]) == (len(right), len(wrong))
        assert result["accuracy"] == pytest.approx(len(right) / (len(right) + len(wrong)))
        for group, values in (("correct", right), ("wrong", wrong)):
            assert sum(result[group]["histogram"]) == len(values)
            assert result[group]["quantiles"]["0.5"] == pytest.approx(np.median(values), abs=1e-6)
            assert result[group]["quantiles"]["0.05"] <= result[group]["quantiles"]["0.95"]
    total = 4 * 5 + 3 * 6 - 4
    assert [result["first_correct"] for result in results] == pytest.approx(list(first_correct[:3] / total))
    assert never_correct(results) == pytest.approx(1 - first_correct.sum() / total)


def test_a_group_may_be_empty():
    predictions = LayerPredictions(np.full((1, 2, 2), 0.5, np.float32), np.zeros((1, 2, 2), np.int64))
    (result,) = summarise_patches([predictions], [np.zeros((2, 2), np.int64)], 3)
    assert result["accuracy"] == 1
    assert result["wrong"]["count"] == 0
    assert set(result["wrong"]["quantiles"].values()) == {None}


def test_no_label_at_all_is_refused():
    predictions, references = make_predictions((2, 3))
    with pytest.raises(ValueError, match="No patch has a label"):
        summarise_patches([predictions], [np.full_like(references, NO_LABEL)], 4)


@pytest.mark.parametrize(
    ("number", "share", "count"), [(101, 0.1, 11), (10, 0.1, 1), (10, 0.3, 3), (3, 0.01, 1), (7, 1, 7)]
)
def test_spread_indices(number, share, count):
    indices = spread_indices(number, share)
    assert len(indices) == len(set(indices)) == count
    gaps = np.diff([*indices, number + indices[0]])
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("share", [0, -0.1, 1.01, math.nan])
def test_shares_outside_their_range_are_refused(share):
    with pytest.raises(ValueError, match=r"`share` must lie in \(0, 1\]"):
        spread_indices(5, share)


def test_files_of_something_else_are_refused():
    with pytest.raises(ValueError, match=r"evaluation\.json has no accuracy, correct, count, first_correct"):
        check_patch_results({"results": [{"layer": 1}], "conditions": {}}, "evaluation.json")
