# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What predictions come to in numbers: pixels of each class, patches that paused, seconds; for machines to read."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from paumer_hf import PaumerForSemanticSegmentation
from paumer_hf.evaluation.results import environment_conditions
from paumer_hf.prediction.timed_prediction import MEASURED, TimedPrediction


class PredictionTotals:
    """The numbers of one pause configuration, summed over the images that were added.

    Args:
        class_names: Name of each class.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = class_names
        self.pixels = np.zeros(len(class_names), dtype=np.int64)
        self.patches: dict[int, int] = {}
        self.seconds: list[float] = []

    def add(self, prediction: TimedPrediction) -> None:
        """Count one prediction."""
        row, seconds = prediction
        self.pixels += np.bincount(row.label_map.ravel(), minlength=len(self.pixels))
        layers, counts = np.unique(row.pause_map, return_counts=True)
        for layer, count in zip(layers.tolist(), counts.tolist(), strict=True):
            self.patches[layer] = self.patches.get(layer, 0) + count
        self.seconds += seconds

    @property
    def images_per_second(self) -> float:
        """One image divided by the median of the seconds."""
        return 1 / statistics.median(self.seconds)

    def to_dict(self) -> dict[str, Any]:
        """The numbers for a JSON file; shares are fractions of all pixels or all patches."""
        quartiles = np.quantile(self.seconds, [0.25, 0.75])
        num_pixels, num_patches = int(self.pixels.sum()), sum(self.patches.values())
        return {
            "active_share": self.patches.get(0, 0) / num_patches,
            "paused_share": {
                str(layer): count / num_patches for layer, count in sorted(self.patches.items()) if layer
            },
            "classes": [
                {"label": label, "name": self.class_names[label], "pixels": pixels, "share": pixels / num_pixels}
                for label, pixels in enumerate(self.pixels.tolist())
                if pixels
            ],
            "images_per_second": self.images_per_second,
            "seconds_median": statistics.median(self.seconds),
            "seconds_interquartile_range": float(quartiles[1] - quartiles[0]),
            "num_timed_calls": len(self.seconds),
        }


def result_row(prediction: TimedPrediction, totals: PredictionTotals, files: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of one pause configuration under `results` of a JSON file.

    Args:
        prediction: Any prediction of it, for its name.
        totals: Its numbers.
        files: The names of what was written for it.
    """
    pause_config = prediction.row.pause_config
    return {
        "name": prediction.row.name or pause_config.to_text() or "dense",
        "pause_config": pause_config.to_text(),
        "criterion": pause_config.criterion,
        "seed": pause_config.seed,
        **files,
        **totals.to_dict(),
    }


def prediction_conditions(model: PaumerForSemanticSegmentation, model_name: str) -> dict[str, Any]:
    """Return what the numbers of a run depend on: the model, the machine, and what was timed."""
    return {
        "model": model_name,
        **environment_conditions(model.device),
        "batch_size": 1,
        "num_labels": model.config.num_labels,
        "dtype": str(model.dtype).removeprefix("torch."),
        "attention": model.config._attn_implementation,
        "measured": MEASURED,
    }


__all__ = ["PredictionTotals", "prediction_conditions", "result_row"]
