# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""An evaluation as ADE20K's: 150 classes, images of all sizes, counted by a plain loop over pixels."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.data import SegmentationSample
from paumer_hf.evaluation.multi_scale import ImagePasses
from paumer_hf.evaluation.semantic_evaluation import evaluate_model


NUM_LABELS = 150
SIZES = [(40, 60), (64, 48), (31, 90), (25, 25), (52, 37), (30, 150)]
SETTINGS = {"resize_short_side": 32, "resize_long_side": 128, "window_size": (32, 32), "stride": (32, 32)}


@pytest.fixture
def model():
    config = PaumerConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        decoder_num_hidden_layers=1,
        decoder_type="linear",
        image_size=32,
        patch_size=8,
        num_labels=NUM_LABELS,
        initializer_range=0.5,
    )
    return PaumerForSemanticSegmentation(config)


@pytest.fixture
def predictions(monkeypatch):
    """The label maps that are compared with the references, in the order of the images."""
    recorded = []

    def record(passes, *arguments):
        labels = label_maps(passes, *arguments)
        recorded.append(labels[0].tolist())
        return labels

    label_maps = ImagePasses.label_maps
    monkeypatch.setattr(ImagePasses, "label_maps", record)
    return recorded


def data_set(references):
    class Samples(list):
        description = SimpleNamespace(name="ade20k", num_labels=NUM_LABELS)

    rng = np.random.default_rng(1)
    images = [Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in SIZES]
    pairs = zip(images, references, strict=True)
    return Samples(SegmentationSample(str(number), *pair) for number, pair in enumerate(pairs))


def loop_over_pixels(predictions, references):
    """Intersection over union of each class, None for those that do not occur: summed over images, then divided."""
    intersection, union = [0] * NUM_LABELS, [0] * NUM_LABELS
    for prediction, reference in zip(predictions, references, strict=True):
        for row, reference_row in zip(prediction, reference.tolist(), strict=True):
            for predicted, label in zip(row, reference_row, strict=True):
                if label == 255:
                    continue
                union[label] += 1
                if predicted == label:
                    intersection[label] += 1
                else:
                    union[predicted] += 1
    return [part / whole if whole else None for part, whole in zip(intersection, union, strict=True)]


@pytest.mark.parametrize("fields", [{}, {"scales": (0.5, 1.25), "flip": True}], ids=["one scale", "several scales"])
def test_results_equal_a_loop_over_pixels(model, predictions, fields):
    nothing = [np.full(size, 255, np.uint8) for size in SIZES]
    evaluate_model(model, data_set(nothing), [PauseConfig({1: 0.4})], **SETTINGS, **fields)
    assert [np.shape(prediction) for prediction in predictions] == SIZES
    rng = np.random.default_rng(2)
    # The model knows nothing: references of which a good part is what it predicts give numbers that mean something.
    references = [
        np.where(rng.random(size) < 0.6, prediction, rng.integers(0, 120, size)).astype(np.uint8)
        for size, prediction in zip(SIZES, predictions, strict=True)
    ]
    for reference in references:
        reference[rng.random(reference.shape) < 0.2] = 255

    result = evaluate_model(model, data_set(references), [PauseConfig({1: 0.4})], **SETTINGS, **fields)[0]
    expected = loop_over_pixels(predictions[len(SIZES) :], references)
    assert [None if iou != iou else iou for iou in result["per_category_iou"]] == expected
    present = [iou for iou in expected if iou is not None]
    assert 120 <= len(present) < NUM_LABELS, "some classes must be absent"
    assert sum(iou > 0.2 for iou in present) > 5, "some classes must be found"
    assert result["mean_iou"] == pytest.approx(sum(present) / len(present), rel=0, abs=1e-12)
    assert torch.tensor(predictions[0]).unique().numel() > 5
