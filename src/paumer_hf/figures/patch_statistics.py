# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Counts over a data set of what the auxiliary head says of each patch: entropies, and when it is first right."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor
from paumer_hf.evaluation.results import environment_conditions
from paumer_hf.figures.patch_predictions import (
    NO_LABEL,
    LayerPredictions,
    first_correct_layer,
    patch_labels,
    predict_layers,
)


NUM_BINS = 60
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
GROUPS = ("correct", "wrong")


def spread_indices(num_samples: int, share: float) -> list[int]:
    """Indices of a share of the samples, at least one, spread evenly: neighbours in a video look alike.

    Raises:
        ValueError: If the share is not in (0, 1], or there is no sample.
    """
    if not 0 < share <= 1:
        raise ValueError(f"`share` must lie in (0, 1], but is {share}.")
    if num_samples < 1:
        raise ValueError("The split has no image. Name another one.")
    count = min(num_samples, math.ceil(round(share * num_samples, 9)))
    return [place * num_samples // count for place in range(count)]


def measure_patches(
    model: PaumerForSemanticSegmentation,
    processor: PaumerImageProcessor,
    dataset: Any,
    share: float = 0.1,
    window_size: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Count the auxiliary predictions after every layer over a share of a data set; nothing pauses.

    Args:
        model: The model, in eval mode.
        processor: Its image processor. Images keep their size.
        dataset: A `SegmentationDataset` with the classes of the model.
        share: Share of the images.
        window_size: As of `predict_layers`.

    Returns:
        `conditions`, and `results` with one entry for each layer, as of `summarise_patches`.

    Raises:
        ValueError: If model and data set do not fit each other, or no patch has a label.
        BadSampleError: If an image cannot be read.
    """
    check_classes(model, dataset)
    indices = spread_indices(len(dataset), share)
    predictions, references = [], []
    for index in tqdm(indices, desc="predicting", unit="image", disable=None):
        sample = dataset[index]
        predictions.append(predict_layers(model, processor, sample.image, window_size))
        references.append(patch_labels(sample.annotation, model.config.patch_size, model.config.num_labels))
    conditions = {
        "dataset": dataset.description.name,
        "share": share,
        "num_images": len(indices),
        "num_labels": model.config.num_labels,
        "num_patches": sum(int((reference != NO_LABEL).sum()) for reference in references),
        "maximum_entropy": math.log(model.config.num_labels),
        "trained_layers": list(model.config.trained_pause_layers),
        "window_size": None if window_size is None else list(window_size),
        **environment_conditions(model.device),
    }
    return {
        "conditions": conditions,
        "results": summarise_patches(predictions, references, model.config.num_labels),
    }


def check_classes(model: PaumerForSemanticSegmentation, dataset: Any) -> None:
    """Refuse a data set that has another number of classes than the model.

    Raises:
        ValueError: If it has.
    """
    if dataset.description.num_labels != model.config.num_labels:
        raise ValueError(
            f"The model has {model.config.num_labels} classes, the data set {dataset.description.name!r} has "
            f"{dataset.description.num_labels}. Take the data set that the model was trained for."
        )


def summarise_patches(
    predictions: Sequence[LayerPredictions], references: Sequence[np.ndarray], num_labels: int
) -> list[dict[str, Any]]:
    """Summarise the auxiliary predictions of images, layer by layer.

    Args:
        predictions: Of each image.
        references: Of each image, as of `patch_labels`; patches without a label are left out.
        num_labels: Number of classes, whose logarithm is the largest entropy.

    Returns:
        For each layer its number `layer` (from 1), the share `first_correct` of the patches that it is the first to
        classify correctly, the share `accuracy` that it classifies correctly, and for the patches classified
        `correct` and `wrong`: their `count`, the `quantiles` of the entropy (from level to value, in nats) and its
        `histogram`, counts in equal bins from 0 to the largest entropy.

    Raises:
        ValueError: If no patch has a label.
    """
    labelled = [reference != NO_LABEL for reference in references]
    entropies = np.concatenate(
        [prediction.entropy[:, mask] for prediction, mask in zip(predictions, labelled, strict=True)], axis=1
    )
    correct = np.concatenate(
        [
            prediction.labels[:, mask] == reference[mask]
            for prediction, reference, mask in zip(predictions, references, labelled, strict=True)
        ],
        axis=1,
    )
    if not correct.shape[1]:
        raise ValueError("No patch has a label. Take a split with annotations.")
    first = np.concatenate(
        [
            first_correct_layer(prediction.labels, reference)[mask]
            for prediction, reference, mask in zip(predictions, references, labelled, strict=True)
        ]
    )
    return [
        {
            "layer": number,
            "first_correct": float(np.mean(first == number)),
            "accuracy": float(is_correct.mean()),
            "correct": _summarise_entropies(values[is_correct], num_labels),
            "wrong": _summarise_entropies(values[~is_correct], num_labels),
        }
        for number, (values, is_correct) in enumerate(zip(entropies, correct, strict=True), start=1)
    ]


def never_correct(results: Sequence[Mapping[str, Any]]) -> float:
    """The share of the patches that no layer classifies correctly, from the results of `summarise_patches`."""
    return max(0.0, 1.0 - sum(result["first_correct"] for result in results))


def check_patch_results(contents: Mapping[str, Any], path: Any) -> None:
    """Refuse a file of results that `measure_patches` did not make.

    Raises:
        ValueError: If a key is missing.
    """
    needed = {"layer", "first_correct", "accuracy", *GROUPS}
    conditions = contents.get("conditions")
    conditions = conditions if isinstance(conditions, Mapping) else {}
    missing = {"maximum_entropy", "num_patches", "num_images"} - set(conditions)
    for result in contents["results"]:
        missing |= needed - set(result)
        for group in GROUPS:
            missing |= {"count", "quantiles", "histogram"} - set(result.get(group, ()))
    if missing or not contents["results"]:
        raise ValueError(
            f"{path} has no {', '.join(sorted(missing)) or 'results'}. Name a file that draw_figure.py "
            "entropy_violins or first_correct_layer wrote beside its picture."
        )


def _summarise_entropies(values: np.ndarray, num_labels: int) -> dict[str, Any]:
    # Rounding may carry the entropy of equal probabilities a little over its maximum.
    maximum = math.log(num_labels)
    histogram, _ = np.histogram(np.clip(values, 0, maximum), bins=NUM_BINS, range=(0, max(maximum, 1e-9)))
    levels = np.quantile(values, QUANTILES).tolist() if len(values) else [None] * len(QUANTILES)
    return {
        "count": len(values),
        "quantiles": dict(zip(map(str, QUANTILES), levels, strict=True)),
        "histogram": histogram.tolist(),
    }


__all__ = [
    "GROUPS",
    "NUM_BINS",
    "QUANTILES",
    "check_classes",
    "check_patch_results",
    "measure_patches",
    "never_correct",
    "spread_indices",
    "summarise_patches",
]
