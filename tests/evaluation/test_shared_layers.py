# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of running one image under many pause configurations."""

import pytest
import torch

from paumer_hf import PauseConfig
from paumer_hf.evaluation.multi_scale import EvaluationSettings, ImagePasses, ModelInput
from paumer_hf.evaluation.shared_layers import shared_logits


CONFIGS = [
    PauseConfig(),
    PauseConfig({1: 0.4}),
    PauseConfig({3: 0.4}),
    PauseConfig({1: 0.4, 3: 0.4}),
    PauseConfig({1: 0.4, 2: 0.3, 3: 0.4}),
    PauseConfig({1: 0.4, 2: 0.3}),
    PauseConfig({2: 0.001}),  # too few patches for one to pause
    PauseConfig({1: 0.4}, criterion="random", seed=0),
    PauseConfig({1: 0.4, 3: 0.5}, criterion="random", seed=0),
    PauseConfig({1: 0.4, 3: 0.5}, criterion="random", seed=1),
    PauseConfig({1: 0.4}),  # once more
]


@pytest.fixture
def inputs():
    settings = EvaluationSettings(window_size=(24, 32), stride=(16, 32), window_batch_size=2, flip=True)
    return ImagePasses([torch.randn(1, 3, 40, 48)], settings, (40, 48)).inputs


@torch.no_grad()
def test_logits_are_those_of_separate_calls_to_the_bit(make_model, make_tiny_config, encoder_fields, inputs):
    model = make_model(make_tiny_config(**encoder_fields))
    assert len(inputs) == 4
    shared = dict(shared_logits(model, inputs, CONFIGS))
    assert sorted(shared) == list(range(len(CONFIGS)))
    for number, pause_config in enumerate(CONFIGS):
        for logits, model_input in zip(shared[number], inputs, strict=True):
            expected = model(model_input.pixel_values, pause_config=model_input.seeded(pause_config)).logits
            assert logits.equal(expected)
    different = {tuple(logits[0].flatten().tolist()) for logits in shared.values()}
    assert len(different) == len(CONFIGS) - 2, "the configurations must differ for this to mean much"


@torch.no_grad()
def test_a_layer_runs_once_for_all_that_are_alike_up_to_it(tiny_model):
    calls = []
    for number, layer in enumerate(tiny_model.paumer.encoder.layers, start=1):
        layer.register_forward_hook(lambda *_, number=number: calls.append(number))
    list(shared_logits(tiny_model, [ModelInput(torch.randn(1, 3, 40, 48), ())], CONFIGS))

    def history(pause_config, layer):
        """What has paused before a layer, and how."""
        paused = tuple((place, ratio) for place, ratio in pause_config.pause_ratios.items() if place < layer)
        return (paused, pause_config.criterion, pause_config.seed) if paused else ()

    for layer in range(1, 5):
        assert calls.count(layer) == len({history(pause_config, layer) for pause_config in CONFIGS})


@torch.no_grad()
def test_each_input_gets_random_seeds_of_its_own(tiny_model):
    pixel_values = torch.randn(1, 3, 40, 48)
    inputs = [ModelInput(pixel_values, (place,)) for place in (0, 1)]
    ((_, logits),) = shared_logits(tiny_model, inputs, [PauseConfig({1: 0.5}, criterion="random", seed=3)])
    assert not logits[0].equal(logits[1])


def test_a_configuration_that_does_not_fit_is_refused(tiny_model):
    with pytest.raises(ValueError, match="layer 4"):
        list(shared_logits(tiny_model, [ModelInput(torch.randn(1, 3, 40, 48), ())], [PauseConfig({4: 0.5})]))
