# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The training loop with accelerate, readable from top to bottom."""

import contextlib
import dataclasses
import functools
import itertools
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object, set_seed
from torch import Tensor

from paumer_hf import PaumerImageProcessor, PauseConfig
from paumer_hf.conversion import ConvertedWeights
from paumer_hf.data import SegmentationDataset, SegmentationSample, SegmentationStream
from paumer_hf.data.transforms import IGNORE_INDEX
from paumer_hf.evaluation.results import environment_conditions
from paumer_hf.evaluation.semantic_evaluation import evaluate_model
from paumer_hf.training.checkpoints import find_checkpoint, replace_folder, save_checkpoint
from paumer_hf.training.loader_speed import measure_loader
from paumer_hf.training.optimization import learning_rate, make_optimizer
from paumer_hf.training.output_folder import check_output_folder, check_steps, lock_output_folder, tell_changes
from paumer_hf.training.preemption import TerminationWatch, TrainingPreempted
from paumer_hf.training.preparation import (
    describe_dataset,
    load_split,
    make_accelerator,
    make_model,
    make_processor,
    make_transform,
    normalisation,
    num_accumulated_batches,
    pair,
    read_eval_pause_configs,
    read_starting_weights,
    with_dataset_revision,
    with_normalisation,
)
from paumer_hf.training.recipe import TrainingRecipe
from paumer_hf.training.samples import TrainingSamples, make_loader
from paumer_hf.training.training_log import TrainingLog
from paumer_hf.training.training_state import TrainingState
from paumer_hf.training.weights import ModelForUse, WeightsAverage


def train(recipe: TrainingRecipe) -> dict[str, Any]:
    """Train a model as a recipe says.

    Writes into `output_dir`: `recipe.yaml` (every field), `log.jsonl` (a line for each logged step and evaluation),
    `checkpoints/step-*` (to go on from), `start` (the model before the first step, if it began with trained weights),
    `best` and `last` (models for `from_pretrained`, with the image processor),
    and `results.json` (the last evaluation).

    Returns:
        The last evaluation: `step`, `seconds`, `evaluation` with a result for each of `eval_pause_configs`, the ids of
        `bad_samples` that were skipped in training, and the `conditions` that it holds under.

    Raises:
        ValueError: If fields of the recipe contradict each other, the model or the data; or a sample cannot be read.
        FileExistsError: If `output_dir` holds a training and `resume` is off.
        FileNotFoundError: If `resume` is on and there is no whole checkpoint.
        OSError: If a checkpoint or a model cannot be saved, or another process trains in `output_dir`.
        FloatingPointError: If the loss is no finite number.
        TrainingPreempted: If SIGTERM ended the training.
    """
    output = Path(recipe.output_dir)
    check_output_folder(recipe, output)
    accelerator = make_accelerator(recipe)
    with lock_output_folder(output, accelerator.is_main_process), TerminationWatch() as termination:
        return _train(recipe, output, accelerator, termination)


def _train(
    recipe: TrainingRecipe, output: Path, accelerator: Accelerator, termination: TerminationWatch
) -> dict[str, Any]:
    set_seed(recipe.seed)
    checkpoint, remembered = find_checkpoint(accelerator, output / "checkpoints") if recipe.resume else (None, {})
    is_evaluation_due = remembered.get("evaluation_due", False)
    if not is_evaluation_due or (output / "results.json").exists():
        check_steps(recipe, remembered.get("step", 0))
    source, weights = find_start(recipe, output / "start")
    normalised = with_normalisation(source, weights)
    recipe = dataclasses.replace(recipe, image_mean=normalised.image_mean, image_std=normalised.image_std)
    recipe = with_dataset_revision(recipe, remembered.get("recipe"))
    accelerator.print(*tell_changes(recipe, remembered.get("recipe")), sep="\n", end="")
    description = describe_dataset(recipe)
    train_data, validation_data = (load_split(recipe, description, split) for split in ("train", "validation"))
    model = make_model(source, description, weights)
    processor = make_processor(recipe, model.config.patch_size)
    keep_start(accelerator, recipe, weights, model, processor)
    # Every process drops other units, and rank 0 the same ones as in a training on one process.
    set_seed(recipe.seed, device_specific=True)
    evaluate = make_evaluation(
        recipe, accelerator, read_eval_pause_configs(recipe, model), EndedByTermination(validation_data, termination)
    )

    usable = ModelForUse(model, recipe.ema_decay is not None or accelerator.distributed_type == "FSDP")
    prepared, optimizer = accelerator.prepare(model, make_optimizer(model, recipe))
    state = TrainingState(accelerator, prepared, optimizer, model.pause_sampler)
    if recipe.ema_decay is not None:
        state.average = WeightsAverage(state.trained, recipe.ema_decay)
    if checkpoint is not None:
        state.read(checkpoint, remembered, recipe.seed)
    samples = TrainingSamples(train_data, make_transform(recipe), recipe.seed, recipe.on_bad_sample)
    accumulation = num_accumulated_batches(recipe.batch_size, accelerator.num_processes, recipe.per_device_batch_size)
    load_from = functools.partial(
        make_loader,
        samples,
        last_step=recipe.max_steps,
        batch_size=recipe.batch_size,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        accumulation=accumulation,
        num_workers=recipe.num_workers,
        pin_memory=accelerator.device.type == "cuda",
    )

    log = TrainingLog(recipe, accelerator, state.step, is_evaluation_due)
    if is_evaluation_due:
        results = evaluate_state(state, log, usable, evaluate, processor)
    if state.step < recipe.max_steps:
        with log.stopped_clock():
            log.add_loader_speed(state.step, measure_loader(functools.partial(load_from, state.step)))
    batches = iter(load_from(state.step))
    requests = torch.zeros(())
    state.model.train()
    while state.step < recipe.max_steps:
        with log.timing_loader():
            parts = list(itertools.islice(batches, accumulation))
        # What the processes told each other in the last step is read now, so that this step need not be waited for.
        stops = requests.item() > 0
        loss, requests = train_step(state, recipe, parts, termination.requested)
        log.add_loss(loss)
        note_skipped(state, log, parts)
        stops = stops or (accelerator.num_processes == 1 and termination.requested)
        is_evaluated = state.step == recipe.max_steps or state.step % recipe.eval_steps == 0
        is_saved = is_evaluated or stops or state.step % recipe.save_steps == 0
        log.finish_step(state.step, is_saved)
        with log.stopped_clock():
            if is_saved:  # before an evaluation, which can take longer than a machine that is taken away leaves
                save_training(state, recipe, output / "checkpoints", is_evaluated)
            if stops:
                log.close()
                raise TrainingPreempted(state.step)
            if is_evaluated:
                results = evaluate_state(state, log, usable, evaluate, processor)

    log.close()
    return results


class EndedByTermination:
    """Samples of an evaluation, which ends where SIGTERM is noted; it is done again when the training goes on."""

    def __init__(self, dataset: SegmentationDataset | SegmentationStream, termination: TerminationWatch) -> None:
        self._dataset, self._termination = dataset, termination
        self.description = dataset.description

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> SegmentationSample:
        if self._termination.requested:
            raise TrainingPreempted
        return self._dataset[index]


def evaluate_state(
    state: TrainingState, log: TrainingLog, usable: ModelForUse, evaluate: Callable, processor: PaumerImageProcessor
) -> dict[str, Any]:
    """Evaluate, and save the model where it is the best or the last."""
    model = usable.refresh(state.trained, state.average)
    results = summarise(state, log, evaluate(model))
    if state.best_step == state.step:
        save_model(state.accelerator, model, processor, log.output / "best")
    if state.step == log.recipe.max_steps:
        save_model(state.accelerator, model, processor, log.output / "last")
        log.write_results(results)
    return results


def summarise(state: TrainingState, log: TrainingLog, evaluation: list[dict[str, Any]]) -> dict[str, Any]:
    """Log an evaluation, remember whether it is the best, and return it with what it holds under."""
    log.add_evaluation(state.step, evaluation)
    if evaluation[0]["mean_iou"] > state.best:
        state.best, state.best_step = evaluation[0]["mean_iou"], state.step
    return {
        "step": state.step,
        "seconds": log.seconds(),
        "evaluation": evaluation,
        "bad_samples": all_skipped(state),
        "conditions": {
            **environment_conditions(state.accelerator.device),
            "mixed_precision": state.accelerator.mixed_precision,
            "num_processes": state.accelerator.num_processes,
        },
    }


def train_step(
    state: TrainingState, recipe: TrainingRecipe, parts: list[dict[str, Any]], stops: bool = False
) -> tuple[Tensor, Tensor]:
    """One step of the optimiser on the batches that this process has of it.

    The loss is the mean over the labelled pixels of the whole batch, as if one process had computed it at once,
    however many pixels each part has.

    Args:
        state: The state of the training, which the step changes.
        recipe: Its recipe.
        parts: The batches.
        stops: What this process has to tell the others.

    Returns:
        This process's part of the loss, where the parts of all processes add up to it; and the number of processes
        for which `stops` is true.
    """
    accelerator, device = state.accelerator, state.accelerator.device
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(recipe, state.step)
    pause_config = state.sampler.draw()
    numbers = torch.stack([(part["labels"] != IGNORE_INDEX).sum() for part in parts])
    told = torch.stack([numbers.sum(), torch.tensor(int(stops))]).to(device, non_blocking=True)
    total, requests = accelerator.reduce(told, "sum").unbind()
    shares = numbers.to(device, non_blocking=True) / total.clamp(min=1)
    step_loss = torch.zeros((), device=device)
    for place, (part, share) in enumerate(zip(parts, shares, strict=True)):
        is_last = place == len(parts) - 1
        with contextlib.nullcontext() if is_last else accelerator.no_sync(state.model):
            inputs = {name: part[name].to(device, non_blocking=True) for name in ("pixel_values", "labels")}
            loss = state.model(**inputs, pause_config=pause_config).loss * share
            # Distributed training takes the mean of the gradients of the processes; what is wanted is their sum.
            accelerator.backward(loss * accelerator.num_processes)
        step_loss += loss.detach()
    accelerator.clip_grad_norm_(state.model.parameters(), recipe.max_grad_norm or math.inf)
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.step += 1
    if state.average is not None:
        state.average.update(state.trained, state.step)
    return step_loss, requests


def note_skipped(state: TrainingState, log: TrainingLog, parts: list[dict[str, Any]]) -> None:
    """Remember and say which samples could not be read, each once."""
    met = dict.fromkeys(name for part in parts for name in part["skipped"])
    new = [name for name in met if name not in state.skipped]
    state.skipped += new
    log.add_skipped(new, len(state.skipped))


def all_skipped(state: TrainingState) -> list[str]:
    """The ids of the samples that any process has skipped, sorted."""
    return sorted(set(gather_object(state.skipped)))


def save_training(state: TrainingState, recipe: TrainingRecipe, folder: Path, evaluation_due: bool) -> None:
    """Save a checkpoint with the recipe and the versions that it was written with."""
    more = {
        "skipped": all_skipped(state),
        "evaluation_due": evaluation_due,
        "recipe": dataclasses.asdict(recipe),
        "conditions": environment_conditions(state.accelerator.device),
    }
    save_checkpoint(
        state.accelerator,
        folder,
        state.step,
        lambda path: {**state.write(path), **more},
        limit=recipe.save_total_limit,
        best_step=state.best_step,
    )


def find_start(recipe: TrainingRecipe, start: Path) -> tuple[TrainingRecipe, ConvertedWeights | None]:
    """What the model is made by: the recipe, and the weights of another origin that it names, if it does.

    A training that goes on reads neither these nor a PAUMER checkpoint again, for they may be gone or changed: it kept
    a model in `start`.
    """
    if recipe.resume and start.is_dir():
        return dataclasses.replace(recipe, init_from=str(start), init_revision=None), None
    return recipe, read_starting_weights(recipe)


def keep_start(
    accelerator: Accelerator,
    recipe: TrainingRecipe,
    weights: ConvertedWeights | None,
    model: torch.nn.Module,
    processor: PaumerImageProcessor,
) -> None:
    """Keep the model that a training starts from, and say what had to be assumed about weights of another origin."""
    start = Path(recipe.output_dir) / "start"
    if recipe.resume:  # it was kept before the first checkpoint
        return
    if recipe.init_from is None:
        shutil.rmtree(start, ignore_errors=True)  # of a training that ended before its first checkpoint
        return
    if weights is not None:
        new = "the auxiliary head is new" if weights.has_decoder else "the decoder and the auxiliary head are new"
        accelerator.print(f"Starting from {recipe.init_from} ({weights.origin}); {new}.", *weights.notes, sep="\n")
    save_model(accelerator, model, processor, start)


def make_evaluation(
    recipe: TrainingRecipe,
    accelerator: Accelerator,
    pause_configs: list[PauseConfig],
    dataset: Any,
) -> Callable[[torch.nn.Module], list[dict[str, Any]]]:
    """The evaluation of a recipe, from a model to a result for each of its pause configurations."""
    if len(dataset) == 0:
        raise ValueError("The validation split has no samples. Name a split with samples by `validation_split`.")
    mean, std = normalisation(recipe)
    return functools.partial(
        evaluate_model,
        dataset=dataset,
        pause_configs=pause_configs,
        max_samples=recipe.eval_max_samples,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        reduce=functools.partial(accelerator.reduce, reduction="sum"),
        progress=accelerator.is_main_process,
        on_bad_sample=recipe.on_bad_sample,
        image_mean=mean,
        image_std=std,
        dtype={"bf16": torch.bfloat16, "fp16": torch.float16}.get(recipe.mixed_precision),
        window_size=pair(recipe.eval_window_size),
        stride=pair(recipe.eval_stride),
        resize_short_side=recipe.eval_resize_short_side,
        resize_long_side=recipe.eval_resize_long_side,
    )


def save_model(accelerator: Accelerator, model: Any, processor: PaumerImageProcessor, path: Path) -> None:
    """Save a model and its processor as `from_pretrained` reads them."""
    if accelerator.is_main_process:

        def write(folder: Path) -> None:
            model.save_pretrained(folder)
            processor.save_pretrained(folder)

        replace_folder(path, write)
    accelerator.wait_for_everyone()


__all__ = ["train"]
