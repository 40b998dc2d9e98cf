# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What a training costs, by calculation: operations, memory of a process, and room on the disk."""

import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path

import torch

from paumer_hf import PaumerConfig, PauseConfig
from paumer_hf.evaluation.macs import count_macs
from paumer_hf.model.pause_sampling import PauseSampler
from paumer_hf.training.memory_estimate import count_step_memory
from paumer_hf.training.preparation import pair
from paumer_hf.training.recipe import TrainingRecipe


NUM_DRAWS = 1000
AUTOCAST = {"no": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def draw_pauses(config: PaumerConfig) -> list[PauseConfig]:
    """The first pause configurations that a training draws."""
    sampler = PauseSampler(config)
    return [sampler.draw() for _ in range(NUM_DRAWS)]


def training_macs(recipe: TrainingRecipe, config: PaumerConfig, draws: Sequence[PauseConfig]) -> dict[str, float]:
    """Multiply-accumulates of the dense model on a crop, in the mean over drawn configurations, of a step, of all.

    A backward pass takes twice those of a forward pass; gradient checkpointing repeats the forward pass.

    Returns:
        `dense_crop`, `sampled_crop`, `step` and `training`.
    """
    crop_size = pair(recipe.crop_size)
    sampled = statistics.mean(count_macs(config, crop_size, draw) for draw in draws)
    step = sampled * recipe.batch_size * (4 if recipe.gradient_checkpointing else 3)
    dense = count_macs(config, crop_size)
    return {"dense_crop": dense, "sampled_crop": sampled, "step": step, "training": step * recipe.max_steps}


def training_memory(
    recipe: TrainingRecipe, config: PaumerConfig, num_bytes: int, draws: Sequence[PauseConfig], images_at_once: int
) -> dict[str, int]:
    """Bytes of a process that holds all weights, at the drawn configuration that needs most.

    Args:
        recipe: The recipe.
        config: The architecture.
        num_bytes: Bytes of the weights.
        draws: What `draw_pauses` returned.
        images_at_once: Images of a forward pass.

    Returns:
        `weights`, `gradients`, `optimizer` (its state), `moving_average`, `activations` (what the forward pass leaves
        for the backward pass), `temporary` (what both have beyond that) and the sum, `all`.
    """
    paused = [draw for draw in draws if draw]
    candidates = [max(paused, key=lambda draw: count_macs(config, pair(recipe.crop_size), draw))] if paused else []
    if len(paused) < len(draws):
        candidates.append(PauseConfig())
    counted = [
        count_step_memory(
            config,
            pair(recipe.crop_size),
            images_at_once,
            candidate,
            dtype=AUTOCAST[recipe.mixed_precision],
            gradient_checkpointing=recipe.gradient_checkpointing,
        )
        for candidate in candidates
    ]
    largest = max(counted, key=lambda memory: memory.peak)
    memory = {
        "weights": num_bytes,
        "gradients": num_bytes,
        "optimizer": num_bytes * _optimizer_copies(recipe),
        # The average itself, and the model that is evaluated with it.
        "moving_average": 0 if recipe.ema_decay is None else 2 * num_bytes,
        "activations": largest.saved,
        "temporary": largest.peak - largest.saved,
    }
    return {**memory, "all": sum(memory.values())}


def training_disk(recipe: TrainingRecipe, num_bytes: int, keeps_start: bool) -> dict[str, int]:
    """Bytes that a training leaves in its folder, and the checkpoint that is written before an old one goes.

    Args:
        recipe: The recipe.
        num_bytes: Bytes of the weights.
        keeps_start: Whether the model before the first step is kept, beside the best and the last.

    Returns:
        `checkpoint` (one), `checkpoints` (their number at a time), `models` (their number), `all`, and what is `free`
        there.

    Raises:
        OSError: If less is free than is needed.
    """
    checkpoint = num_bytes * (1 + _optimizer_copies(recipe) + int(recipe.ema_decay is not None))
    num_checkpoints = min(recipe.save_total_limit + 1, -(-recipe.max_steps // recipe.save_steps))
    num_models = 2 + int(keeps_start)
    needed = checkpoint * num_checkpoints + num_bytes * num_models
    folder = Path(recipe.output_dir).resolve()
    free = shutil.disk_usage(next(parent for parent in (folder, *folder.parents) if parent.exists())).free
    if free < needed:
        raise OSError(
            f"`output_dir` {recipe.output_dir} needs {format_bytes(needed)}, but only {format_bytes(free)} are free "
            "there. Make room, name another folder, or lower `save_total_limit`."
        )
    sizes = {"checkpoint": checkpoint, "checkpoints": num_checkpoints, "models": num_models}
    return {**sizes, "all": needed, "free": free}


def format_bytes(number: int) -> str:
    """A number of bytes for people, in powers of 1024."""
    return f"{number / 2**30:.2f} GiB" if number >= 2**30 else f"{number / 2**20:.1f} MiB"


def _optimizer_copies(recipe: TrainingRecipe) -> int:
    """How many tensors of the size of the weights the optimiser keeps."""
    return 2 if recipe.optimizer == "adamw" else int(recipe.momentum > 0)


__all__ = ["draw_pauses", "format_bytes", "training_disk", "training_macs", "training_memory"]
