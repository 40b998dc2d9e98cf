# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What a training would do, found out without training: its data, model, memory and length, and every problem."""

import dataclasses
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError

from paumer_hf import PaumerForSemanticSegmentation
from paumer_hf.conversion import ConvertedWeights
from paumer_hf.data import DatasetDescription
from paumer_hf.data.segmentation_datasets import GENERATORS
from paumer_hf.data.transforms import IGNORE_INDEX
from paumer_hf.training.checkpoints import list_checkpoints
from paumer_hf.training.optimization import learning_rate
from paumer_hf.training.output_folder import check_output_folder
from paumer_hf.training.preparation import (
    describe_dataset,
    load_split,
    make_model,
    make_transform,
    num_accumulated_batches,
    read_eval_pause_configs,
    read_starting_weights,
    with_dataset_revision,
    with_normalisation,
)
from paumer_hf.training.recipe import TrainingRecipe
from paumer_hf.training.samples import TrainingSamples, make_loader
from paumer_hf.training.training_costs import (
    draw_pauses,
    format_bytes,
    training_disk,
    training_macs,
    training_memory,
)


T = TypeVar("T")

NUM_IDS = 3
LINE_LENGTH = 116
PARTS = {
    "embeddings": "paumer.embeddings.",
    "encoder": ("paumer.encoder.", "paumer.layernorm."),
    "auxiliary_head": "paumer.auxiliary_head.",
    "decoder": "decoder.",
}


class Problems(list[str]):
    """What stands in the way of a training, a line for each."""

    def attempt(self, what: str, function: Callable[..., T], *arguments: Any) -> T | None:
        """What `function` returns; None, and one more problem, if it raises.

        Whatever goes wrong is kept, so that one dry run finds all that can be found.
        """
        try:
            return function(*arguments)
        except Exception as error:
            kind = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
            self.append(f"{what}: {kind}{' '.join(str(error).split())}")
            return None


def describe_training(recipe: TrainingRecipe, num_processes: int = 1) -> dict[str, Any]:
    """Describe what a training would do, in values that JSON can hold.

    It reads the data that it needs for one batch, and the start weights if they are on this machine; it downloads no
    weights, trains nothing, writes nothing and needs no GPU.

    Args:
        recipe: The recipe.
        num_processes: Number of processes that would train together.

    Returns:
        `recipe`, with every field; `data`, `batch`, `model`, `memory`, `training` and `disk`, each None where a
        problem hides it; and `problems`, a list of lines, empty if the training can start.
    """
    problems = Problems()
    problems.attempt("output folder", _check_output, recipe)
    parts = problems.attempt("batch", _divide_batch, recipe, num_processes)
    source, weights = _find_start(recipe, problems)
    description = problems.attempt("data set", describe_dataset, source)
    data = batch = model = None
    if description is not None:
        source = problems.attempt("data set", with_dataset_revision, source, None) or source
        splits = _load_splits(source, description, problems)
        data = _describe_data(source, description, splits, problems)
        if splits["train"] is not None and parts is not None:
            batch = problems.attempt("batch", _describe_batch, source, splits["train"], num_processes, parts)
        model = problems.attempt("model", make_model, source, description, weights)
    described = {} if model is None else _describe_model(source, model, weights, parts, problems)
    return {
        "recipe": dataclasses.asdict(dataclasses.replace(source, **_start_fields(recipe))),
        "data": data,
        "batch": batch,
        "model": described.get("model"),
        "memory": described.get("memory"),
        "training": _describe_length(source, data, parts),
        "disk": described.get("disk"),
        "problems": list(problems),
    }


# --- what the training starts from ---


def find_local_start(recipe: TrainingRecipe) -> TrainingRecipe:
    """The recipe with the place of `init_from` on this machine, so that nothing needs to be downloaded.

    Raises:
        FileNotFoundError: If it is not on this machine.
    """
    start = Path(recipe.output_dir) / "start"
    if recipe.resume and start.is_dir():
        return dataclasses.replace(recipe, init_from=str(start), init_revision=None)
    if recipe.init_from is None or Path(recipe.init_from).exists():
        return recipe
    try:
        folder = snapshot_download(recipe.init_from, revision=recipe.init_revision, local_files_only=True)
    except HFValidationError as error:
        raise FileNotFoundError(
            f"not found: there is no file or folder `init_from` {recipe.init_from}. Train what writes it first, or "
            "correct the name."
        ) from error
    except OSError as error:
        raise FileNotFoundError(
            f"not found: `init_from` {recipe.init_from} is no file or folder here, and was not downloaded from the "
            f"Hub to this machine. Run `hf download {recipe.init_from}`, or correct the name."
        ) from error
    return dataclasses.replace(recipe, init_from=folder, init_revision=None)


def _find_start(recipe: TrainingRecipe, problems: Problems) -> tuple[TrainingRecipe, ConvertedWeights | None]:
    """The recipe as the model is made by it, and the weights of another origin; a new model where there are none."""

    def find() -> tuple[TrainingRecipe, ConvertedWeights | None]:
        source = find_local_start(recipe)
        weights = read_starting_weights(source)
        return with_normalisation(source, weights), weights

    nothing: dict[str, Any] = dict.fromkeys(_start_fields(recipe))
    return problems.attempt("start weights", find) or (
        with_normalisation(dataclasses.replace(recipe, **nothing)),
        None,
    )


def _start_fields(recipe: TrainingRecipe) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(recipe).items() if name.startswith("init_")}


def _check_output(recipe: TrainingRecipe) -> None:
    output = Path(recipe.output_dir)
    check_output_folder(recipe, output)
    if recipe.resume and not list_checkpoints(output / "checkpoints"):
        raise FileNotFoundError(f"`resume` needs a checkpoint in {output / 'checkpoints'}, but there is none.")


# --- what it reads ---


def _divide_batch(recipe: TrainingRecipe, num_processes: int) -> dict[str, int]:
    accumulated = num_accumulated_batches(recipe.batch_size, num_processes, recipe.per_device_batch_size)
    return {
        "batch_size": recipe.batch_size,
        "processes": num_processes,
        "accumulated_batches": accumulated,
        "images_at_once": -(-recipe.batch_size // (num_processes * accumulated)),
    }


def _load_splits(recipe: TrainingRecipe, description: DatasetDescription, problems: Problems) -> dict[str, Any]:
    names = ("train", "validation")
    if _place(recipe, description) is None:
        problems.append(f"data set: {description.name!r} has no place of its own. Name one by `dataset_path`.")
        return dict.fromkeys(names)
    return {name: problems.attempt(f"{name} split", load_split, recipe, description, name) for name in names}


def _place(recipe: TrainingRecipe, description: DatasetDescription) -> str | None:
    """Where a data set is read from; None if nobody has said it."""
    generated = "a generator" if description.name in GENERATORS else None
    return recipe.dataset_path or description.path or generated


def _describe_data(
    recipe: TrainingRecipe, description: DatasetDescription, splits: dict[str, Any], problems: Problems
) -> dict[str, Any]:
    return {
        "name": description.name,
        "path": _place(recipe, description),
        "revision": recipe.dataset_revision,
        "class_names": list(description.class_names),
        "splits": {
            name: None if split is None else problems.attempt(f"{name} split", _describe_split, split, name)
            for name, split in splits.items()
        },
    }


def _describe_split(split: Any, name: str) -> dict[str, Any]:
    if len(split) == 0:
        raise ValueError(f"There are no samples. Name a split with samples by `{name}_split`.")
    return {"num_samples": len(split), "first_ids": [split[index].id for index in range(min(NUM_IDS, len(split)))]}


def _describe_batch(
    recipe: TrainingRecipe, train_data: Any, num_processes: int, parts: dict[str, int]
) -> dict[str, Any]:
    """The first batch that the first process computes at once, as it comes out of the loader."""
    samples = TrainingSamples(train_data, make_transform(recipe), recipe.seed, recipe.on_bad_sample)
    accumulation = parts["accumulated_batches"]
    loader = make_loader(samples, 0, 1, recipe.batch_size, world_size=num_processes, accumulation=accumulation)
    start = time.perf_counter()
    batch = next(iter(loader))
    seconds = (time.perf_counter() - start) / len(batch["labels"])
    pixel_values, labels = batch["pixel_values"], batch["labels"]
    ignored = labels == IGNORE_INDEX
    value_range = [pixel_values.min().item(), pixel_values.max().item()]
    return {
        "pixel_values": {**_describe_tensor(pixel_values), "range": value_range},
        "labels": {
            **_describe_tensor(labels),
            "num_classes": len(labels[~ignored].unique()),
            "ignored_share": ignored.float().mean().item(),
        },
        "skipped": list(batch["skipped"]),
        "seconds_per_sample": seconds,
    }


def _describe_tensor(tensor: torch.Tensor) -> dict[str, Any]:
    return {"shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}


# --- what it computes, for how long, and what that costs ---


def _describe_model(
    recipe: TrainingRecipe,
    model: PaumerForSemanticSegmentation,
    weights: ConvertedWeights | None,
    parts: dict[str, int] | None,
    problems: Problems,
) -> dict[str, Any]:
    """The sections `model`, `memory` and `disk`."""
    for text in recipe.eval_pause_configs:  # each alone, for all that are wrong to be told
        alone = dataclasses.replace(recipe, eval_pause_configs=[text])
        problems.attempt("eval_pause_configs", read_eval_pause_configs, alone, model)
    num_bytes = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    draws = draw_pauses(model.config)
    counts = {
        name: sum(parameter.numel() for key, parameter in model.named_parameters() if key.startswith(prefixes))
        for name, prefixes in PARTS.items()
    }
    memory = None
    if parts is not None:
        images = parts["images_at_once"]
        memory = problems.attempt("memory", training_memory, recipe, model.config, num_bytes, draws, images)
    return {
        "model": {
            "start": recipe.init_from,
            "origin": None if weights is None else weights.origin,
            "notes": [] if weights is None else weights.notes,
            "parameters": {**counts, "all": sum(counts.values())},
            "macs": training_macs(recipe, model.config, draws),
        },
        "memory": memory,
        "disk": problems.attempt("disk", training_disk, recipe, num_bytes, recipe.init_from is not None),
    }


def _describe_length(
    recipe: TrainingRecipe, data: dict[str, Any] | None, parts: dict[str, int] | None
) -> dict[str, Any]:
    splits = {} if data is None else {name: split for name, split in data["splits"].items() if split is not None}
    train, validation = (splits.get(name, {}).get("num_samples") for name in ("train", "validation"))
    images = validation if recipe.eval_max_samples is None else min(recipe.eval_max_samples, validation or 0)
    steps = recipe.max_steps
    return {
        "steps": steps,
        "batch": parts,
        "epochs": None if train is None else steps * recipe.batch_size / train,
        "steps_per_epoch": None if train is None else train / recipe.batch_size,
        "learning_rates": {str(step + 1): learning_rate(recipe, step) for step in (0, steps // 2, steps - 1)},
        "evaluations": -(-steps // recipe.eval_steps),
        "evaluation_images": None if validation is None else images,
        "evaluation_pause_configs": recipe.eval_pause_configs,
        "checkpoints": -(-steps // recipe.save_steps),
    }


# --- in words ---


def format_description(description: dict[str, Any]) -> str:
    """A description for people: a paragraph for each section, the problems last."""
    paragraphs = {
        "Recipe": yaml.safe_dump(description["recipe"], sort_keys=False, default_flow_style=None).splitlines(),
        "Data": description["data"] and _data_lines(description["data"]),
        "First batch of the first process": description["batch"] and _batch_lines(description["batch"]),
        "Model": description["model"] and _model_lines(description["model"]),
        "Memory of a process that holds all weights": description["memory"] and _memory_lines(description["memory"]),
        "Training": _training_lines(description["training"]),
        "Disk": description["disk"] and _disk_lines(description["disk"]),
        "Problems": description["problems"] or ["none found"],
    }
    shown = {title: lines or ["not known, see the problems"] for title, lines in paragraphs.items()}
    return "\n\n".join("\n  ".join([title, *lines]) for title, lines in shown.items()) + "\n"


def _data_lines(data: dict[str, Any]) -> Iterator[str]:
    revision = f", revision {data['revision']}" if data["revision"] else ""
    yield f"{data['name']} from {data['path'] or 'nowhere'}{revision}"
    for name, split in data["splits"].items():
        if split is not None:
            yield f"{name}: {split['num_samples']} samples, the first are {', '.join(split['first_ids'])}"
    yield from textwrap.wrap(f"{len(data['class_names'])} classes: {', '.join(data['class_names'])}", LINE_LENGTH)


def _batch_lines(batch: dict[str, Any]) -> Iterator[str]:
    for name in ("pixel_values", "labels"):
        yield f"{name}: {batch[name]['dtype']} {tuple(batch[name]['shape'])}"
    low, high = batch["pixel_values"]["range"]
    yield f"pixel values from {low:.2f} to {high:.2f}"
    yield f"{batch['labels']['num_classes']} classes, {batch['labels']['ignored_share']:.1%} of the pixels ignored"
    yield f"loaded in {1000 * batch['seconds_per_sample']:.0f} ms for each image, by one process"
    if batch["skipped"]:
        yield f"skipped, because they cannot be read: {', '.join(batch['skipped'])}"


def _model_lines(model: dict[str, Any]) -> Iterator[str]:
    yield f"start: {model['start'] or 'new weights'}{' (' + model['origin'] + ')' if model['origin'] else ''}"
    yield from model["notes"]
    yield "parameters: " + ", ".join(f"{name} {number:,}" for name, number in model["parameters"].items())
    macs = model["macs"]
    yield f"a crop: {macs['dense_crop'] / 1e9:.2f} GMACs dense, {macs['sampled_crop'] / 1e9:.2f} as training samples"
    yield f"a step, forward and backward: {macs['step'] / 1e12:.3g} TMACs; all: {macs['training'] / 1e15:.3g} PMACs"


def _memory_lines(memory: dict[str, int]) -> Iterator[str]:
    for name, number in memory.items():
        yield f"{name.replace('_', ' ')}: {format_bytes(number)}"
    yield "Counted on the tensors of a step, with fused attention. The device itself needs about 1 GiB more; DDP on"
    yield "several devices once more the gradients; FSDP divides all but activations and temporary tensors."


def _training_lines(training: dict[str, Any]) -> Iterator[str]:
    epochs = "" if training["epochs"] is None else f", {training['epochs']:.2f} epochs"
    yield f"{training['steps']} steps{epochs}"
    for name, number in (training["batch"] or {}).items():
        yield f"{name.replace('_', ' ')}: {number}"
    rates = (f"{rate:.3g} at step {step}" for step, rate in training["learning_rates"].items())
    yield f"learning rate: {', '.join(rates)}"
    images = training["evaluation_images"]
    yield (
        f"{training['evaluations']} evaluations of {'?' if images is None else images} images: "
        f"{', '.join(training['evaluation_pause_configs'])}"
    )
    yield f"{training['checkpoints']} checkpoints"


def _disk_lines(disk: dict[str, int]) -> Iterator[str]:
    yield f"{format_bytes(disk['all'])} at most, of {format_bytes(disk['free'])} that are free"
    yield f"{disk['checkpoints']} checkpoints of {format_bytes(disk['checkpoint'])}, {disk['models']} models"


__all__ = ["describe_training", "find_local_start", "format_description"]
