# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The training loop with accelerate, readable from top to bottom."""

import dataclasses
import functools
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate import Accelerator
from accelerate.utils import set_seed
from tqdm import tqdm

from paumer_hf import PaumerImageProcessor
from paumer_hf.conversion import ConvertedWeights
from paumer_hf.data import SegmentationDataset
from paumer_hf.evaluation.results import environment_conditions, write_results, write_text
from paumer_hf.evaluation.semantic_evaluation import evaluate_model
from paumer_hf.training.checkpoints import list_checkpoints, load_checkpoint, replace_folder, save_checkpoint
from paumer_hf.training.optimization import learning_rate, make_optimizer
from paumer_hf.training.preparation import (
    describe_dataset,
    load_split,
    make_model,
    make_processor,
    make_transform,
    normalisation,
    pair,
    read_pause_config,
    read_starting_weights,
    with_normalisation,
)
from paumer_hf.training.recipe import TrainingRecipe
from paumer_hf.training.samples import TrainingSamples, make_loader


def train(recipe: TrainingRecipe) -> dict[str, Any]:
    """Train a model as a recipe says.

    Writes into `output_dir`: `recipe.yaml` (every field), `log.jsonl` (a line for each logged step and evaluation),
    `checkpoints/step-*` (to go on from), `start` (the model before the first step, if it began with weights of another
    origin), `best` and `last` (models for `from_pretrained`, with the image processor),
    and `results.json` (the last evaluation).

    Returns:
        The last evaluation: `step`, `seconds`, `evaluation` with a result for each of `eval_pause_configs`, and the
        `conditions` that it holds under.

    Raises:
        ValueError: If fields of the recipe contradict each other, the model or the data.
        FileExistsError: If `output_dir` holds a training and `resume` is off.
        FileNotFoundError: If `resume` is on and there is no checkpoint.
        FloatingPointError: If the loss is no finite number.
    """
    output = Path(recipe.output_dir)
    check_output_folder(recipe, output)
    accelerator = Accelerator(
        gradient_accumulation_steps=recipe.gradient_accumulation_steps,
        mixed_precision=recipe.mixed_precision,
        log_with=recipe.report_to,
        project_dir=recipe.output_dir,
    )
    set_seed(recipe.seed)
    source, weights = find_start(recipe, output / "start")
    recipe = dataclasses.replace(with_normalisation(source, weights), init_from=recipe.init_from)
    description = describe_dataset(recipe)
    train_data, validation_data = (load_split(recipe, description, split) for split in ("train", "validation"))
    model = make_model(source, description, weights)
    processor = make_processor(recipe, model.config.patch_size)
    keep_start(accelerator, recipe, weights, model, processor)
    # Every process drops other units, and rank 0 the same ones as in a training on one process.
    set_seed(recipe.seed, device_specific=True)
    evaluate = make_evaluation(recipe, accelerator, model.resolve_pause_config, validation_data)

    sampler = model.pause_sampler
    model, optimizer = accelerator.prepare(model, make_optimizer(model, recipe))
    step, best = 0, -1.0
    if recipe.resume:
        state = load_checkpoint(accelerator, output / "checkpoints")
        step, best = state["step"], state["best"]
        sampler.load_state_dict(state["pause_sampler"])
    check_steps(recipe, step)
    loader = make_loader(
        TrainingSamples(train_data, make_transform(recipe), recipe.seed),
        step,
        recipe.max_steps,
        recipe.batch_size,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        accumulation=recipe.gradient_accumulation_steps,
        num_workers=recipe.num_workers,
        pin_memory=accelerator.device.type == "cuda",
    )

    log = TrainingLog(recipe, accelerator, step)
    results: dict[str, Any] = {}
    model.train()
    for batch in loader:
        with accelerator.accumulate(model):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step)
            inputs = {name: tensor.to(accelerator.device, non_blocking=True) for name, tensor in batch.items()}
            loss = model(**inputs).loss
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), recipe.max_grad_norm or math.inf)
            optimizer.step()
            optimizer.zero_grad()
        log.add_loss(loss)
        if not accelerator.sync_gradients:
            continue

        step += 1
        is_last = step == recipe.max_steps
        is_saved = is_last or step % recipe.save_steps == 0
        log.finish_step(step, is_saved)
        if step % recipe.eval_steps == 0 or is_last:
            evaluation = evaluate(accelerator.unwrap_model(model))
            conditions = environment_conditions(accelerator.device)
            results = {"step": step, "seconds": log.seconds(), "evaluation": evaluation, "conditions": conditions}
            log.add_evaluation(step, evaluation)
            if evaluation[0]["mean_iou"] > best:
                best = evaluation[0]["mean_iou"]
                save_model(accelerator, model, processor, output / "best")
        if is_last:
            save_model(accelerator, model, processor, output / "last")
            log.write_results(results)
        if is_saved:  # after everything else of this step, which going on from here does not do again
            state = {"best": best, "pause_sampler": sampler.state_dict()}
            save_checkpoint(accelerator, output / "checkpoints", step, state, recipe.save_total_limit)

    log.close()
    return results


def find_start(recipe: TrainingRecipe, start: Path) -> tuple[TrainingRecipe, ConvertedWeights | None]:
    """What the model is made by: the recipe, and the weights of another origin that it names, if it does.

    A training that goes on does not read those again, for they may be gone or changed: it kept a model in `start`.
    """
    if recipe.resume and start.is_dir():
        return dataclasses.replace(recipe, init_from=str(start)), None
    return recipe, read_starting_weights(recipe)


def keep_start(
    accelerator: Accelerator,
    recipe: TrainingRecipe,
    weights: ConvertedWeights | None,
    model: torch.nn.Module,
    processor: PaumerImageProcessor,
) -> None:
    """Keep the model that was made of weights of another origin, and say what had to be assumed about them."""
    if weights is None:
        return
    new = "the auxiliary head is new" if weights.has_decoder else "the decoder and the auxiliary head are new"
    accelerator.print(f"Starting from {recipe.init_from} ({weights.origin}); {new}.", *weights.notes, sep="\n")
    save_model(accelerator, model, processor, Path(recipe.output_dir) / "start")


def check_output_folder(recipe: TrainingRecipe, output: Path) -> None:
    """Refuse to write over another training."""
    if not recipe.resume and list_checkpoints(output / "checkpoints"):
        raise FileExistsError(
            f"`output_dir` {output} holds checkpoints of another training. Pass --resume to go on with it, or name "
            "another folder."
        )


def check_steps(recipe: TrainingRecipe, step: int) -> None:
    """Refuse to go on with a training that is done."""
    if step >= recipe.max_steps:
        raise ValueError(
            f"The training in {recipe.output_dir} has done {step} steps and `max_steps` is {recipe.max_steps}. Raise "
            "`max_steps` to go on."
        )


def make_evaluation(
    recipe: TrainingRecipe, accelerator: Accelerator, resolve: Callable, dataset: SegmentationDataset
) -> Callable[[torch.nn.Module], list[dict[str, Any]]]:
    """The evaluation of a recipe, from a model to a result for each of `eval_pause_configs`.

    `resolve` refuses a pause configuration that does not fit the model: now, not after the first thousand steps.
    """
    if len(dataset) == 0:
        raise ValueError("The validation split has no samples. Name a split with samples by `validation_split`.")
    mean, std = normalisation(recipe)
    return functools.partial(
        evaluate_model,
        dataset=dataset,
        pause_configs=[resolve(read_pause_config(text)) for text in recipe.eval_pause_configs],
        max_samples=recipe.eval_max_samples,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        reduce=functools.partial(accelerator.reduce, reduction="sum"),
        progress=accelerator.is_main_process,
        image_mean=mean,
        image_std=std,
        window_size=pair(recipe.eval_window_size),
        stride=pair(recipe.eval_stride),
        resize_short_side=recipe.eval_resize_short_side,
    )


class TrainingLog:
    """The progress bar, `log.jsonl`, the trackers, and the files of results; the main process alone writes."""

    def __init__(self, recipe: TrainingRecipe, accelerator: Accelerator, first_step: int) -> None:
        self.recipe, self.accelerator, self.first_step = recipe, accelerator, first_step
        self.output = Path(recipe.output_dir)
        self.start = time.monotonic()
        self.total_loss = torch.zeros((), device=accelerator.device)
        self.num_losses = 0
        self.shown: dict[str, str] = {}
        if accelerator.is_main_process:
            self.output.mkdir(parents=True, exist_ok=True)
            self._drop_lines_after(first_step)
            write_text(self.output / "recipe.yaml", yaml.safe_dump(dataclasses.asdict(recipe), sort_keys=False))
        if recipe.report_to is not None:
            accelerator.init_trackers("tracking")
        self.progress = tqdm(
            total=recipe.max_steps,
            initial=first_step,
            desc="Training",
            unit="step",
            disable=None if accelerator.is_main_process else True,
        )

    def seconds(self) -> float:
        """Seconds since the training started or went on."""
        return round(time.monotonic() - self.start, 1)

    def add_loss(self, loss: torch.Tensor) -> None:
        """Count the loss of a batch, without waiting for the device."""
        self.total_loss += loss.detach()
        self.num_losses += 1

    def finish_step(self, step: int, is_saved: bool) -> None:
        """Show a step, and log the mean loss every `logging_steps` and before a checkpoint, which it must be fit for.

        Raises:
            FloatingPointError: If the loss is no finite number.
        """
        self.progress.update()
        if step % self.recipe.logging_steps and not is_saved:
            return
        mean_loss = self.accelerator.reduce(self.total_loss, reduction="mean").item() / self.num_losses
        self.total_loss, self.num_losses = torch.zeros_like(self.total_loss), 0
        if not math.isfinite(mean_loss):
            raise FloatingPointError(
                f"The loss is {mean_loss} at step {step}. Lower `learning_rate`, set `max_grad_norm`, or train with "
                "`mixed_precision: no`."
            )
        self._show(loss=f"{mean_loss:.3f}")
        self._log({"step": step, "loss": mean_loss, "learning_rate": learning_rate(self.recipe, step - 1)})

    def add_evaluation(self, step: int, evaluation: list[dict[str, Any]]) -> None:
        """Show and log the mean IoU of each evaluated configuration."""
        names = self.recipe.eval_pause_configs
        scores = {f"mean_iou {name}": result["mean_iou"] for name, result in zip(names, evaluation, strict=True)}
        self._show(mIoU=f"{100 * evaluation[0]['mean_iou']:.1f}")
        self._log({"step": step, **scores})

    def write_results(self, results: dict[str, Any]) -> None:
        """Write the results."""
        if self.accelerator.is_main_process:
            write_results(self.output / "results.json", results)

    def close(self) -> None:
        """Close what is open."""
        self.progress.close()
        self.accelerator.end_training()

    def _drop_lines_after(self, step: int) -> None:
        """Remove the lines of steps that are done again."""
        path = self.output / "log.jsonl"
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            write_text(path, "".join(line for line in lines if json.loads(line)["step"] <= step))

    def _show(self, **values: str) -> None:
        self.shown |= values
        self.progress.set_postfix(self.shown)

    def _log(self, values: dict[str, Any]) -> None:
        if self.accelerator.is_main_process:
            with (self.output / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({**values, "seconds": self.seconds()}) + "\n")
        self.accelerator.log({name: value for name, value in values.items() if name != "step"}, step=values["step"])


def save_model(accelerator: Accelerator, model: torch.nn.Module, processor: PaumerImageProcessor, path: Path) -> None:
    """Save a model and its processor as `from_pretrained` reads them."""
    if accelerator.is_main_process:

        def write(folder: Path) -> None:
            accelerator.unwrap_model(model).save_pretrained(folder)
            processor.save_pretrained(folder)

        replace_folder(path, write)
    accelerator.wait_for_everyone()


__all__ = ["train"]
