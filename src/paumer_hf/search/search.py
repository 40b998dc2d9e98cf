# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""A search from beginning to end: measure, choose, and say what was found."""

import copy
import dataclasses
import hashlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from paumer_hf import PaumerForSemanticSegmentation
from paumer_hf.evaluation.multi_scale import EvaluationSettings
from paumer_hf.evaluation.results import environment_conditions
from paumer_hf.search.accuracy import AccuracyTable
from paumer_hf.search.candidates import CandidateGrid
from paumer_hf.search.procedures import PauseSearch
from paumer_hf.search.search_arguments import SearchArguments
from paumer_hf.search.speed import SpeedTable
from paumer_hf.search.store import SearchStore


STORE_NAME = "search.sqlite"

# What a table of configurations has no use for.
_LISTS = ("per_category_iou", "per_category_accuracy")


def run_search(
    model: PaumerForSemanticSegmentation,
    dataset: Any,
    settings: EvaluationSettings,
    arguments: SearchArguments,
    report: Callable[[str], None] = lambda line: None,
    progress: bool = True,
) -> dict[str, Any]:
    """Search for pause configurations; a search that was interrupted goes on where it stopped.

    Args:
        model: The model, on its device.
        dataset: A `SegmentationDataset`.
        settings: How an image becomes a label map.
        arguments: What to search for; `arguments.output` is the folder of the store.
        report: Called with a line of text where there is something to say.
        progress: Whether to show progress bars where there is a terminal.

    Returns:
        `conditions`; `results`, a row for each configuration that was considered, in the keys of result files, whose
        `mean_iou` is None where the search had no need of it; `frontier`, the text forms of what is on it; and
        `choice`, the row of the configuration that fulfils the wish, or None where there is none.

    Raises:
        ValueError: If arguments contradict each other or the model, nothing fulfils the wish, or the store is of
            another model, data set or way to evaluate.
        OSError: If the store cannot be read and written, or another search uses it.
    """
    arguments.check()
    grid, speed_settings = arguments.grid(model.config), arguments.speed_settings(model.config)
    evaluated = _evaluation_conditions(model, dataset, settings, arguments)
    with SearchStore(Path(arguments.output) / STORE_NAME, evaluated) as store:
        speed = SpeedTable(_timed_model(model, settings.dtype), speed_settings, store, progress)
        accuracy = AccuracyTable(model, dataset, settings, store, arguments.max_samples, progress)
        search = PauseSearch(speed, accuracy, grid, arguments.wish(), report)
        if arguments.procedure == "exhaustive":
            choice = search.exhaustive(arguments.max_gain)
        else:
            choice = search.greedy(arguments.points_per_doubling)
        report(f"Evaluated {len(search.evaluated)} of {len(search.considered)} configurations")
        rows = _rows(search, accuracy, arguments.num_resamples)
    conditions = {
        "model": arguments.model,
        **evaluated,
        **_search_conditions(grid, arguments),
        **environment_conditions(next(model.parameters()).device),
        **speed.conditions,
    }
    texts = [row["pause_config"] for row in rows if row["on_frontier"]]
    chosen = [row for row in rows if choice is not None and row["pause_config"] == choice.pause_config.to_text()]
    return {"conditions": conditions, "results": rows, "frontier": texts, "choice": chosen[0] if chosen else None}


def describe_choice(row: Mapping[str, Any], num_images: int) -> str:
    """Say in one sentence what a chosen configuration is, gains and loses."""
    lost = ""
    if row["pause_config"]:
        interval = row.get("mean_iou_difference_interval")
        between = "" if interval is None else f", 95 % interval {_points(interval[0])} to {_points(interval[1])}"
        lost = f" ({_points(row['mean_iou_difference'])} to the dense model{between})"
    speed = f"{row['speedup']:.3f} times as fast as the dense model"
    if "images_per_second" in row:
        speed += f", {row['images_per_second']:.4g} images/s"
    return f"{row['pause_config'] or 'dense'}: {speed}, mIoU {100 * row['mean_iou']:.2f} on {num_images} images{lost}."


def _points(fraction: float) -> str:
    return f"{100 * fraction:+.2f}"


def _rows(search: PauseSearch, accuracy: AccuracyTable, num_resamples: int) -> list[dict[str, Any]]:
    """Return a row for each configuration that was considered, the evaluated ones with their accuracy."""
    measured = accuracy.rows(list(search.evaluated), num_resamples)
    accuracies = dict(zip(search.evaluated, measured, strict=True))
    best = {point.pause_config for point in search.frontier()}
    rows = []
    for config in search.considered:
        how = {"pause_config": config.to_text(), "criterion": config.criterion, "seed": config.seed, "mean_iou": None}
        row = {**how, **accuracies.get(config, {}), **search.speed_row(config), "on_frontier": config in best}
        rows.append({name: value for name, value in row.items() if name not in _LISTS})
    return rows


def _search_conditions(grid: CandidateGrid, arguments: SearchArguments) -> dict[str, Any]:
    """Return what was searched, and for what, of JSON values."""
    is_bounded = arguments.procedure == "exhaustive" and math.isfinite(arguments.max_gain)
    return {
        "procedure": arguments.procedure,
        "wish": arguments.wish().given,
        "layers": list(grid.layers),
        "ratios": list(grid.ratios),
        "max_pause_layers": grid.max_pause_layers,
        "criterion": grid.criterion,
        "seed": grid.seed,
        "max_gain": arguments.max_gain if is_bounded else None,  # None where nothing was left out because of it
        "points_per_doubling": arguments.points_per_doubling if arguments.procedure == "greedy" else None,
        "num_resamples": arguments.num_resamples,
    }


def _evaluation_conditions(
    model: PaumerForSemanticSegmentation, dataset: Any, settings: EvaluationSettings, arguments: SearchArguments
) -> dict[str, Any]:
    """Return what mean IoUs hold under, so that a store is not mixed up with another."""
    parameter = next(model.parameters())
    return {
        "weights_sha256": digest_weights(model),
        "architecture": _architecture(model),
        "dataset": dataset.description.name,
        "split": arguments.split,
        "num_images": len(dataset) if arguments.max_samples is None else min(arguments.max_samples, len(dataset)),
        "evaluation": {
            name: str(value) if isinstance(value, torch.dtype) else value
            for name, value in dataclasses.asdict(settings).items()
        },
        "weights_dtype": str(parameter.dtype).removeprefix("torch."),
        "device_type": parameter.device.type,
    }


def _architecture(model: PaumerForSemanticSegmentation) -> dict[str, Any]:
    """Return the fields of the configuration that decide what the weights compute."""
    fields = model.config.to_diff_dict()
    named = ("architectures", "auto_map", "dtype", "id2label", "label2id", "transformers_version")
    return {
        name: value
        for name, value in fields.items()
        if name not in named and not name.startswith(("_", "train_", "auxiliary_loss"))
    }


def digest_weights(model: torch.nn.Module) -> str:
    """Return the SHA-256 of names and values of all weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _timed_model(model: PaumerForSemanticSegmentation, dtype: torch.dtype | None) -> PaumerForSemanticSegmentation:
    """Return the model in the data type in which it is evaluated."""
    return model if dtype is None else copy.deepcopy(model).to(dtype)


__all__ = ["STORE_NAME", "describe_choice", "digest_weights", "run_search"]
