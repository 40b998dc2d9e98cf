# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The optimiser with its parameter groups, and the learning rate as a function of the step."""

import math

import torch
from torch import nn

from paumer_hf.training.recipe import TrainingRecipe


EMBEDDINGS = ("cls_token", "distillation_token", "register_tokens", "position_embeddings", "class_embeddings")


def learning_rate(recipe: TrainingRecipe, step: int) -> float:
    """The learning rate of optimiser step `step`, counted from 0.

    It rises linearly over the warm-up steps and then falls from `learning_rate` to `min_learning_rate`. As a function
    of the step alone it needs no state that a checkpoint would have to keep.
    """
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    progress = (step - recipe.warmup_steps) / (recipe.max_steps - recipe.warmup_steps)
    factors = {
        "poly": (1.0 - progress) ** recipe.poly_power,
        "cosine": 0.5 * (1.0 + math.cos(math.pi * progress)),
        "constant": 1.0,
    }
    return recipe.min_learning_rate + (recipe.learning_rate - recipe.min_learning_rate) * factors[recipe.lr_schedule]


def make_optimizer(model: nn.Module, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    """The optimiser of a recipe; weight decay is for matrices alone, not for biases, norms and embeddings."""
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.ndim > 1 and not name.endswith(EMBEDDINGS)
        (decayed if is_matrix else others).append(parameter)
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if recipe.optimizer == "sgd":
        nesterov = recipe.momentum > 0
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=nesterov)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(recipe.betas[0], recipe.betas[1]))


__all__ = ["learning_rate", "make_optimizer"]
