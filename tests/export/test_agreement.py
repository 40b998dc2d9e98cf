# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import copy
import math
from types import SimpleNamespace

import pytest
import torch

from paumer_hf import PauseConfig
from paumer_hf.export.agreement import Agreement


SIZE = (16, 24)
PATCHES = (2, 3)


@pytest.fixture
def exported(processor):
    """What `Agreement` asks of a file: the outputs are given to it."""
    pause_config = PauseConfig({1: 0.4, 3: 0.5})
    processor.size, processor.do_pad = {"height": SIZE[0], "width": SIZE[1]}, False
    return SimpleNamespace(pause_config=pause_config, processor=processor, image_size=SIZE, patch_size=8)


@pytest.fixture
def exact_model(model):
    """The model in float64."""
    return copy.deepcopy(model).double()


@pytest.fixture
def pixel_values():
    return torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def logits(model, exported, pixel_values):
    with torch.inference_mode():
        return model(pixel_values, pause_config=exported.pause_config).logits


def reference_labels(logits):
    """The label map of logits (1, classes, 2, 3), pixel by pixel, from the definition of bilinear interpolation."""
    labels = torch.zeros(SIZE, dtype=torch.long)
    for row in range(SIZE[0]):
        for column in range(SIZE[1]):
            y = min(max((row + 0.5) / 8 - 0.5, 0.0), PATCHES[0] - 1.0)
            x = min(max((column + 0.5) / 8 - 0.5, 0.0), PATCHES[1] - 1.0)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, PATCHES[0] - 1), min(left + 1, PATCHES[1] - 1)
            scores = logits[0].double()
            upper = scores[:, top, left] * (1 - x + left) + scores[:, top, right] * (x - left)
            lower = scores[:, bottom, left] * (1 - x + left) + scores[:, bottom, right] * (x - left)
            labels[row, column] = (upper * (1 - y + top) + lower * (y - top)).argmax()
    return labels


def test_the_same_agrees(model, exact_model, exported, pixel_values, logits):
    agreement = Agreement(model, exact_model, exported)
    agreement.add(pixel_values, logits, logits.clone())
    summary = agreement.summary()
    assert summary["largest_logit_difference"] == 0
    assert (summary["num_different_patches"], summary["num_different_labels"]) == (0, 0)
    assert summary["equal_label_share"] == 1
    assert summary["largest_difference_from_float64"] == summary["largest_pytorch_difference_from_float64"]
    assert 0 < summary["largest_difference_from_float64"] < 1e-4


def test_counts_what_differs(model, exact_model, exported, pixel_values, logits):
    """Another class in one patch, counted pixel by pixel over two images, of which the second agrees."""
    found = logits.clone()
    found[0, :, 1, 2] = found[0, :, 1, 2].roll(1)
    different = int((reference_labels(logits) != reference_labels(found)).sum())
    assert 0 < different < 16 * 24
    agreement = Agreement(model, exact_model, exported)
    agreement.add(pixel_values, logits, found)
    agreement.add(pixel_values, logits, logits)
    summary = agreement.summary()
    assert summary["largest_logit_difference"] == float((logits - found).abs().max())
    assert summary["num_different_patches"] == 1
    assert summary["num_different_labels"] == summary["num_label_differences_beyond_ties"] == different
    assert summary["equal_label_share"] == 1 - different / (2 * 16 * 24)
    assert summary["num_labels_other_than_float64"] == different
    assert summary["num_pytorch_labels_other_than_float64"] == 0
    assert summary["largest_difference_from_float64"] > 100 * summary["largest_pytorch_difference_from_float64"]


def test_float64_is_the_judge(model, exact_model, exported, pixel_values, logits):
    """Where the file computes what float64 does and PyTorch something else, PyTorch is the one that is off."""
    with torch.inference_mode():
        exact = exact_model(pixel_values.double(), pause_config=exported.pause_config).logits
    off = logits.clone()
    off[0, :, 0, 0] = off[0, :, 0, 0].roll(1)
    agreement = Agreement(model, exact_model, exported)
    agreement.add(pixel_values, off, exact.float())
    summary = agreement.summary()
    assert summary["num_labels_other_than_float64"] == 0
    assert summary["num_pytorch_labels_other_than_float64"] == summary["num_different_labels"] > 0
    assert summary["largest_difference_from_float64"] < 1e-6
    assert summary["largest_pytorch_difference_from_float64"] > 1e-3
    assert next(model.parameters()).dtype == torch.float32


def test_what_is_no_number_is_not_lost(model, exact_model, exported, pixel_values, logits):
    agreement = Agreement(model, exact_model, exported)
    agreement.add(pixel_values, logits, torch.full_like(logits, math.nan))
    agreement.add(pixel_values, logits, logits)
    assert math.isnan(agreement.summary()["largest_logit_difference"])


def test_needs_an_image(model, exact_model, exported):
    with pytest.raises(ValueError, match="no image was added"):
        Agreement(model, exact_model, exported).summary()
