# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Whole weights and their moving average."""

import torch
from torch import nn

from paumer_hf.training.weights import ModelForUse, WeightsAverage, load_whole_weights, whole_weights


def make_network():
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))


def fill(network, value):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)


def test_whole_weights_go_from_one_model_to_another():
    first, second = make_network(), make_network()
    load_whole_weights(second, whole_weights(first))
    assert all(value.equal(first.state_dict()[name]) for name, value in second.state_dict().items())


def test_the_average_is_the_weighted_sum_of_all_weights():
    """An independent statement: after n steps, weight k counts (1 - d_k) d_(k+1) ... d_n, the start d_1 ... d_n."""
    network = make_network()
    fill(network, 0.0)
    average = WeightsAverage(network, 0.9)
    values = [1.0, -2.0, 5.0, 0.5] + [3.0] * 100
    for step, value in enumerate(values, start=1):
        fill(network, value)
        average.update(network, step)
    decays = [min(0.9, (1 + step) / (10 + step)) for step in range(1, len(values) + 1)]
    expected = 0.0
    for value, decay in zip(values, decays, strict=True):
        expected = decay * expected + (1 - decay) * value
    assert decays[0] < 0.2
    assert decays[-1] == 0.9
    for tensor in average.whole_weights().values():
        torch.testing.assert_close(tensor, torch.full_like(tensor, expected))


def test_an_average_goes_on_from_a_file():
    network = make_network()
    first, second = WeightsAverage(network, 0.5), WeightsAverage(make_network(), 0.5)
    second.load(first.whole_weights())
    for average in (first, second):
        average.update(network, 100)
    assert all(value.equal(second.weights[name]) for name, value in first.weights.items())


def test_the_model_for_use_is_the_trained_one_unless_it_has_to_be_another():
    network = make_network()
    assert ModelForUse(network, needs_copy=False).refresh(network, None) is network
    average = WeightsAverage(network, 0.9)
    for tensor in average.weights.values():
        tensor.fill_(7.0)
    used = ModelForUse(network, needs_copy=True).refresh(network, average)
    assert used is not network
    assert all((parameter == 7.0).all() for parameter in used.parameters())
    assert not any((parameter == 7.0).all() for parameter in network.parameters())
