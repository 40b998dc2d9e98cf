# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Training with accelerate: the recipe, the order of the samples, the optimiser, checkpoints and the loop."""

from paumer_hf.training.loop import train
from paumer_hf.training.preemption import PREEMPTED_EXIT_CODE, TrainingPreempted
from paumer_hf.training.recipe import TrainingRecipe, read_recipe


__all__ = ["PREEMPTED_EXIT_CODE", "TrainingPreempted", "TrainingRecipe", "read_recipe", "train"]
