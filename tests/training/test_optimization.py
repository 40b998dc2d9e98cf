# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The learning rate against its formulas, and the parameter groups."""

import math

import pytest
import torch

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation
from paumer_hf.training.optimization import learning_rate, make_optimizer
from paumer_hf.training.recipe import TrainingRecipe


def recipe(**values) -> TrainingRecipe:
    return TrainingRecipe(**{"max_steps": 100, "learning_rate": 0.1, **values})


def test_warm_up_is_linear_and_reaches_the_full_rate():
    rates = [learning_rate(recipe(warmup_steps=10), step) for step in range(10)]
    assert rates == pytest.approx([0.01 * (step + 1) for step in range(10)])


def test_poly_is_the_formula_of_segmenter():
    warm = recipe(min_learning_rate=1e-5, poly_power=0.9)
    for step in (0, 1, 50, 99):
        assert learning_rate(warm, step) == pytest.approx((0.1 - 1e-5) * (1 - step / 100) ** 0.9 + 1e-5)


def test_cosine_ends_at_the_minimum_and_constant_stays():
    cosine = recipe(lr_schedule="cosine", min_learning_rate=0.02)
    assert learning_rate(cosine, 50) == pytest.approx(0.06)
    assert learning_rate(cosine, 100) == pytest.approx(0.02)
    assert learning_rate(cosine, 25) == pytest.approx(0.02 + 0.08 * (1 + math.cos(math.pi / 4)) / 2)
    assert {learning_rate(recipe(lr_schedule="constant"), step) for step in range(100)} == {0.1}


def test_every_parameter_is_in_one_group_and_only_matrices_decay():
    config = PaumerConfig(image_size=16, hidden_size=16, num_hidden_layers=2, num_attention_heads=2)
    model = PaumerForSemanticSegmentation(config)
    optimizer = make_optimizer(model, recipe(weight_decay=0.05))
    names = {parameter: name for name, parameter in model.named_parameters()}
    decayed, others = ([names[parameter] for parameter in group["params"]] for group in optimizer.param_groups)
    assert sorted(decayed + others) == sorted(names.values())
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.05, 0.0]
    assert all(name.endswith("weight") and "norm" not in name for name in decayed)
    assert {"paumer.embeddings.cls_token", "decoder.class_embeddings", "paumer.layernorm.weight"} <= set(others)


def test_sgd_has_nesterov_momentum():
    model = torch.nn.Linear(2, 2)
    group = make_optimizer(model, recipe(optimizer="sgd", momentum=0.9)).param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.9, True)
