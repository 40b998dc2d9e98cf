# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Stochastic depth of an encoder, measured: how often each layer drops its branches, and what it scales them by."""

import math

import pytest
import torch

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PauseConfig


NUM_LAYERS, NUM_IMAGES, RATE = 12, 4000, 0.1


@pytest.fixture
def branches():
    """For each layer, what entered and what left the drop path of its attention and then of its MLP, in one pass."""
    config = PaumerConfig(
        hidden_size=8,
        num_hidden_layers=NUM_LAYERS,
        num_attention_heads=2,
        patch_size=8,
        image_size=8,
        drop_path_rate=RATE,
        decoder_num_hidden_layers=1,
        num_labels=2,
    )
    model = PaumerForSemanticSegmentation(config).train()
    passed = [[] for _ in range(NUM_LAYERS)]
    for layer, found in zip(model.paumer.encoder.layers, passed, strict=True):
        layer.drop_path.register_forward_hook(lambda _, inputs, output, found=found: found.append((*inputs, output)))
    with torch.no_grad():
        model(torch.randn(NUM_IMAGES, 3, 8, 8), pause_config=PauseConfig())
    return passed


def probability(layer: int) -> float:
    """Of dropping a branch: on the straight line from nothing in the first layer to the rate in the last."""
    return RATE * (layer - 1) / (NUM_LAYERS - 1)


def kept_images(branch: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    """Which images kept the branch, after a check that each kept or dropped it as a whole."""
    assert branch.abs().amax(dim=(1, 2)).min() > 0
    kept = output.abs().amax(dim=(1, 2)) > 0
    assert output[~kept].eq(0).all()
    return kept


def test_each_layer_drops_as_often_as_its_depth_says(branches):
    for layer, passed in enumerate(branches, start=1):
        assert len(passed) == 2
        dropped = sum(int((~kept_images(*branch)).sum()) for branch in passed)
        draws = 2 * NUM_IMAGES
        expected = draws * probability(layer)
        # Five standard deviations of a binomial; the first layer has none.
        assert abs(dropped - expected) <= 5 * math.sqrt(expected * (1 - probability(layer))), layer


def test_what_is_kept_is_scaled_so_that_the_mean_stays(branches):
    for layer, passed in enumerate(branches, start=1):
        for branch, output in passed:
            kept = kept_images(branch, output)
            torch.testing.assert_close(output[kept], branch[kept] / (1 - probability(layer)))


def test_the_two_branches_of_a_layer_and_different_layers_drop_by_chance_of_their_own(branches):
    drops = torch.stack([~kept_images(*branch) for passed in branches[-3:] for branch in passed]).double()
    correlation = torch.corrcoef(drops)[~torch.eye(len(drops), dtype=torch.bool)]
    assert correlation.abs().max() < 5 / math.sqrt(NUM_IMAGES)
