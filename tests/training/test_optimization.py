# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The learning rate against its formulas, the parameter groups, and the steps of the optimisers in plain NumPy."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation
from paumer_hf.training.optimization import learning_rate, make_optimizer
from paumer_hf.training.recipe import TrainingRecipe, read_recipe


RECIPES = Path(__file__).parents[2] / "scripts" / "recipes"


def recipe(**values) -> TrainingRecipe:
    return TrainingRecipe(**{"max_steps": 100, "learning_rate": 0.1, **values})


def test_warm_up_is_linear_and_reaches_the_full_rate():
    rates = [learning_rate(recipe(warmup_steps=10), step) for step in range(10)]
    assert rates == pytest.approx([0.01 * (step + 1) for step in range(10)])


def test_poly_is_the_formula_of_segmenter():
    warm = recipe(min_learning_rate=1e-5, poly_power=0.9)
    for step in (0, 1, 50, 99):
        assert learning_rate(warm, step) == pytest.approx((0.1 - 1e-5) * (1 - step / 100) ** 0.9 + 1e-5)


# Highest learning rate and number of steps of Segmenter's two trainings and of the paper's two.
SCHEDULES = {
    "ade20k/vit_tiny_segmenter": (1e-3, 64 * 2527),
    "ade20k/vit_tiny_paumer": (1e-3, 160000),
    "ade20k/vit_large_random": (1e-3, 160000),
    "cityscapes/vit_tiny_segmenter": (1e-2, 216 * 372),
    "cityscapes/vit_tiny_paumer": (1e-2, 80000),
    "cityscapes/vit_large_random": (1e-2, 80000),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_shipped_schedules_are_those_of_segmenter(name):
    """Segmenter's scheduler: the first step has the full rate, the last one is a step above the lowest."""
    highest, num_steps = SCHEDULES[name]
    lowest, power = 1e-5, 0.9
    shipped = read_recipe(["--config", str(RECIPES / f"{name}.yaml")])
    for step in (0, 1, 371, 2527, num_steps // 2, num_steps - 2, num_steps - 1):
        expected = (highest - lowest) * (1 - step / num_steps) ** power + lowest
        assert learning_rate(shipped, step) == pytest.approx(expected, rel=1e-12), step
    assert learning_rate(shipped, 0) == highest
    assert lowest < learning_rate(shipped, num_steps - 1) < 1.1 * lowest + highest / 10000
    rates = [learning_rate(shipped, step) for step in range(0, num_steps, 1000)]
    assert rates == sorted(rates, reverse=True)


def test_poly_without_a_minimum_is_that_of_torch():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    scheduler = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=30, power=0.9)
    for step in range(30):
        expected = scheduler.get_last_lr()[0]
        assert learning_rate(recipe(max_steps=30, poly_power=0.9), step) == pytest.approx(expected, abs=1e-12)
        optimizer.step()
        scheduler.step()


def test_cosine_ends_at_the_minimum_and_constant_stays():
    cosine = recipe(lr_schedule="cosine", min_learning_rate=0.02)
    assert learning_rate(cosine, 50) == pytest.approx(0.06)
    assert learning_rate(cosine, 100) == pytest.approx(0.02)
    assert learning_rate(cosine, 25) == pytest.approx(0.02 + 0.08 * (1 + math.cos(math.pi / 4)) / 2)
    assert {learning_rate(recipe(lr_schedule="constant"), step) for step in range(100)} == {0.1}


def test_every_parameter_is_in_one_group_and_only_matrices_decay(make_tiny_config, encoder_fields):
    """Of whatever kind the encoder is, the weights of linear maps and convolutions decay, and nothing else does."""
    model = PaumerForSemanticSegmentation(make_tiny_config(**encoder_fields))
    optimizer = make_optimizer(model, recipe(weight_decay=0.05))
    names = {parameter: name for name, parameter in model.named_parameters()}
    decayed, others = ([names[parameter] for parameter in group["params"]] for group in optimizer.param_groups)
    assert sorted(decayed + others) == sorted(names.values())
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.05, 0.0]
    maps = (torch.nn.Linear, torch.nn.Conv2d)
    assert set(decayed) == {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, maps)}
    tokens = {"paumer.embeddings.cls_token", "decoder.class_embeddings", "paumer.layernorm.weight"}
    assert tokens <= set(others)


def test_position_embeddings_do_not_decay():
    config = PaumerConfig(image_size=16, hidden_size=16, num_hidden_layers=2, num_attention_heads=2)
    model = PaumerForSemanticSegmentation(config)
    decayed, others = make_optimizer(model, recipe(weight_decay=0.05)).param_groups
    positions = model.paumer.embeddings.position_embeddings
    assert any(parameter is positions for parameter in others["params"])
    assert not any(parameter is positions for parameter in decayed["params"])


def take_steps(values: TrainingRecipe, num_steps: int):
    """Steps with random gradients as the loop takes them; returns weight and bias before and after, and gradients."""
    torch.set_default_dtype(torch.float64)
    try:
        layer = torch.nn.Linear(3, 2)
    finally:
        torch.set_default_dtype(torch.float32)
    before = [parameter.detach().numpy().copy() for parameter in (layer.weight, layer.bias)]
    optimizer = make_optimizer(layer, values)
    generator = np.random.default_rng(0)
    gradients = [[generator.normal(size=start.shape) for start in before] for _ in range(num_steps)]
    for step, of_step in enumerate(gradients):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(values, step)
        for parameter, gradient in zip((layer.weight, layer.bias), of_step, strict=True):
            parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
    return before, [parameter.detach().numpy() for parameter in (layer.weight, layer.bias)], gradients


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("momentum", [0.9, 0.5, 0.0])
def test_sgd_has_nesterov_momentum(momentum, weight_decay):
    num_steps = 8
    fields = {"max_steps": num_steps, "poly_power": 0.9, "momentum": momentum, "weight_decay": weight_decay}
    before, after, gradients = take_steps(recipe(optimizer="sgd", **fields), num_steps)
    for place, (weights, result) in enumerate(zip(before, after, strict=True)):
        decay = weight_decay if weights.ndim == 2 else 0.0
        velocity = np.zeros_like(weights)
        for step in range(num_steps):
            rate = 0.1 * (1 - step / num_steps) ** 0.9
            gradient = gradients[step][place] + decay * weights
            velocity = momentum * velocity + gradient
            # Nesterov looks ahead by the velocity that the next step would have.
            weights = weights - rate * (gradient + momentum * velocity)
        np.testing.assert_allclose(result, weights, rtol=1e-10)


def test_adamw_decays_beside_the_gradient():
    num_steps, rate, first, second, weight_decay = 6, 0.1, 0.8, 0.95, 0.2
    fields = {"lr_schedule": "constant", "betas": [first, second], "weight_decay": weight_decay}
    before, after, gradients = take_steps(recipe(optimizer="adamw", **fields), num_steps)
    for place, (weights, result) in enumerate(zip(before, after, strict=True)):
        decay = weight_decay if weights.ndim == 2 else 0.0
        mean, square = np.zeros_like(weights), np.zeros_like(weights)
        for step in range(1, num_steps + 1):
            gradient = gradients[step - 1][place]
            mean = first * mean + (1 - first) * gradient
            square = second * square + (1 - second) * gradient**2
            scaled = (mean / (1 - first**step)) / (np.sqrt(square / (1 - second**step)) + 1e-8)
            weights = weights * (1 - rate * decay) - rate * scaled
        np.testing.assert_allclose(result, weights, rtol=1e-10)
