# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a training goes: the loader, forward and backward, and the rest of a step."""

import dataclasses
import functools
import itertools
import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from tqdm import tqdm

from paumer_hf.training.loader_speed import measure_loader
from paumer_hf.training.loop import train_step
from paumer_hf.training.optimization import make_optimizer
from paumer_hf.training.preparation import (
    describe_dataset,
    load_split,
    make_accelerator,
    make_model,
    make_transform,
    read_starting_weights,
    with_normalisation,
)
from paumer_hf.training.recipe import TrainingRecipe
from paumer_hf.training.samples import TrainingSamples, make_loader
from paumer_hf.training.training_state import TrainingState


def profile_training(
    recipe: TrainingRecipe,
    *,
    num_steps: int = 10,
    num_warmup_steps: int = 2,
    worker_counts: Sequence[int] = (0, 1, 2),
    loader_seconds: float = 10.0,
) -> dict[str, Any]:
    """Measure the loader of a recipe alone, and the parts of its steps, in one process.

    Forward and backward alone are timed on the batch of each step, right after the step and with its pauses, so that
    both meet the same state of the machine.

    Args:
        recipe: The recipe; nothing is written into its `output_dir`.
        num_steps: Steps that are measured.
        num_warmup_steps: Steps before them.
        worker_counts: Numbers of loader processes to measure the loader alone with.
        loader_seconds: How long to measure each.

    Returns:
        `loader`: for each number of processes the results of `measure_loader` with `num_workers`; `step`: medians of
        `seconds`, `loading_seconds` and `forward_backward_seconds`, `images_per_second`, and `other_share`, the share
        of a step's time that is neither forward nor backward.
    """
    accelerator = make_accelerator(recipe)
    set_seed(recipe.seed)
    weights = read_starting_weights(recipe)
    recipe = with_normalisation(recipe, weights)
    description = describe_dataset(recipe)
    model = make_model(recipe, description, weights)
    samples = TrainingSamples(load_split(recipe, description, "train"), make_transform(recipe), recipe.seed)
    load_with = functools.partial(make_loader, samples, 0, recipe.max_steps, recipe.batch_size)
    loader = []
    for count in worker_counts:
        speed = measure_loader(functools.partial(load_with, num_workers=count), loader_seconds)
        loader.append({"num_workers": count, **speed})

    sampler = model.pause_sampler
    prepared, optimizer = accelerator.prepare(model, make_optimizer(model, recipe))
    state = TrainingState(accelerator, prepared, optimizer, sampler)
    batches = iter(load_with(num_workers=recipe.num_workers, pin_memory=accelerator.device.type == "cuda"))
    state.model.train()
    measured = []
    for step in tqdm(range(num_warmup_steps + num_steps), desc="Measuring steps", unit="step", disable=None):
        times = _time_step(state, recipe, batches)
        if step >= num_warmup_steps:
            measured.append(times)
    del batches
    return {"loader": loader, "step": _summarise(measured, recipe.batch_size)}


def _time_step(state: TrainingState, recipe: TrainingRecipe, batches: Any) -> dict[str, float]:
    accelerator = state.accelerator
    start = _now(accelerator)
    parts = list(itertools.islice(batches, 1))
    loaded = _now(accelerator)
    number = state.sampler.num_drawn
    train_step(state, recipe, parts)
    end = _now(accelerator)

    state.sampler.load_state_dict({"num_drawn": number})
    pause_config = state.sampler.draw()
    inputs = {name: parts[0][name].to(accelerator.device) for name in ("pixel_values", "labels")}
    begin = _now(accelerator)
    accelerator.backward(state.model(**inputs, pause_config=pause_config).loss)
    alone = _now(accelerator) - begin
    state.optimizer.zero_grad()
    return {"seconds": end - start, "loading_seconds": loaded - start, "forward_backward_seconds": alone}


def _now(accelerator: Accelerator) -> float:
    if accelerator.device.type == "cuda":
        torch.cuda.synchronize(accelerator.device)
    return time.perf_counter()


def _summarise(measured: Sequence[dict[str, float]], batch_size: int) -> dict[str, Any]:
    summary = {name: statistics.median(times[name] for times in measured) for name in measured[0]}
    shares = [1 - times["forward_backward_seconds"] / times["seconds"] for times in measured]
    return {
        **summary,
        "images_per_second": batch_size / summary["seconds"],
        "other_share": statistics.median(shares),
        "num_steps": len(measured),
    }


def recipe_conditions(recipe: TrainingRecipe) -> dict[str, Any]:
    """The fields of a recipe that differ from the defaults, but for the folders of the machine."""
    default = dataclasses.asdict(TrainingRecipe())
    given = dataclasses.asdict(recipe).items()
    return {name: value for name, value in given if value != default[name] and name not in ("output_dir", "dry_run")}


__all__ = ["profile_training", "recipe_conditions"]
