# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Command lines that evaluate: dataclasses whose field names are the flags of the scripts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from paumer_hf.evaluation.multi_scale import MULTI_SCALES


@dataclass
class DatasetArguments:
    """Which model sees which images, and how images become label maps."""

    model: str = field(metadata={"help": "Folder or Hub id of the model."})
    dataset: str | None = field(
        default=None, metadata={"help": "A registered data set, or a folder or Hub id with the model's classes."}
    )
    recipe: str | None = field(default=None, metadata={"help": "Recipe whose data set and settings to take instead."})
    dataset_path: str | None = field(default=None, metadata={"help": "Folder or Hub id where the data set lies."})
    dataset_revision: str | None = field(default=None, metadata={"help": "Commit, tag or branch of it on the Hub."})
    split: str = field(default="validation", metadata={"help": "Split of the data set."})
    max_samples: int | None = field(
        default=None, metadata={"help": "Images to evaluate, from the first; all if none."}
    )
    seed: int = field(default=0, metadata={"help": "First seed of random pausing."})
    window_size: list[int] | None = field(default=None, metadata={"help": "Height and width of sliding windows."})
    stride: list[int] | None = field(default=None, metadata={"help": "Vertical and horizontal step of the windows."})
    window_batch_size: int = field(default=4, metadata={"help": "Windows that pass the model together."})
    resize_short_side: int | None = field(default=None, metadata={"help": "Shorter side to resize images to first."})
    resize_long_side: int | None = field(default=None, metadata={"help": "Longer side, where that is smaller."})
    scales: list[float] = field(
        default_factory=lambda: [1.0], metadata={"help": "Factors of the size, whose predictions are averaged."}
    )
    flip: bool = field(default=False, metadata={"help": "Average over mirror images as well."})
    multi_scale: bool = field(default=False, metadata={"help": "The six scales of the paper, with --flip."})
    num_resamples: int = field(
        default=2000, metadata={"help": "Resampled data sets behind the 95 %% intervals; 0 leaves them out."}
    )
    dtype: Literal["float32", "bfloat16", "float16"] = field(default="float32", metadata={"help": "Of autocast."})
    cpu: bool = field(default=False, metadata={"help": "Compute on the CPU also where there is a GPU."})

    def settings(self, recipe: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the fields of `EvaluationSettings` that are decided here, so not mean and standard deviation.

        Args:
            recipe: Fields of a recipe. Its windows hold where no flag says anything about windows, and so does its
                resizing: a stride belongs to its window size and the two sides to each other.

        Raises:
            ValueError: If flags contradict each other.
        """
        if self.multi_scale and self.scales != [1.0]:
            raise ValueError("--multi_scale stands for scales of its own. Give either --scales or --multi_scale.")
        settings: dict[str, Any] = {name: getattr(self, name) for name in ("window_batch_size", "seed")}
        for pair in (("window_size", "stride"), ("resize_short_side", "resize_long_side")):
            given = {name: getattr(self, name) for name in pair}
            if recipe is not None and all(value is None for value in given.values()):
                given = {name: recipe[f"eval_{name}"] for name in pair}
            settings |= given
        settings["scales"] = MULTI_SCALES if self.multi_scale else tuple(self.scales)
        settings["flip"] = self.flip or self.multi_scale
        settings["dtype"] = None if self.dtype == "float32" else getattr(torch, self.dtype)
        return settings


@dataclass
class EvaluationArguments(DatasetArguments):
    """What to evaluate, on what, and how."""

    pause_configs: list[str] = field(
        default_factory=lambda: ["dense", "table_1"],
        metadata={"help": "dense, default, table_1, presets of the model, or LAYER:RATIO,LAYER:RATIO,..."},
    )
    criteria: list[str] = field(default_factory=lambda: ["entropy"], metadata={"help": "entropy, random, or both."})
    num_random_seeds: int = field(default=1, metadata={"help": "Seeds that random pausing is averaged over."})
    on_bad_sample: Literal["stop", "skip"] = field(default="stop", metadata={"help": "At images that are unreadable."})
    output: str | None = field(default=None, metadata={"help": "JSON file to write; the table gets the ending .md."})

    def settings(self, recipe: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the fields of `EvaluationSettings` as the base class does, and the number of random seeds."""
        return {**super().settings(recipe), "num_random_seeds": self.num_random_seeds}


__all__ = ["DatasetArguments", "EvaluationArguments"]
