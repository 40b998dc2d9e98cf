# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Evaluate a model on a data set under many pause configurations; each image is read once.

    python scripts/evaluate.py --model FOLDER_OR_HUB_ID --dataset camvid --dataset_path FOLDER \
        --pause_configs dense table_1 --criteria entropy random --num_random_seeds 3 --output evaluation.json

Writes the results with their conditions as JSON and a Markdown table beside it, and prints the table. With
`accelerate launch` the images are spread over the processes.
"""

import dataclasses
import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from accelerate import Accelerator
from transformers import HfArgumentParser

from paumer_hf.data import SegmentationDataset, get_dataset_description, load_segmentation_dataset
from paumer_hf.data.dataset_descriptions import DATASET_DESCRIPTIONS
from paumer_hf.evaluation.results import environment_conditions, format_table, write_results, write_text
from paumer_hf.evaluation.semantic_evaluation import evaluate_model
from paumer_hf.evaluation.table_1 import select_pause_configs
from paumer_hf.prediction import load_model
from paumer_hf.training.preparation import describe_dataset, load_split
from paumer_hf.training.recipe import read_recipe


SETTINGS = ("window_size", "stride", "window_batch_size", "resize_short_side", "seed", "num_random_seeds")


@dataclass
class Arguments:
    """What to evaluate, on what, and how."""

    model: str = field(metadata={"help": "Folder or Hub id of the model."})
    dataset: str | None = field(
        default=None, metadata={"help": "A registered data set, or a folder or Hub id with the model's classes."}
    )
    recipe: str | None = field(default=None, metadata={"help": "Recipe whose data set to take instead."})
    dataset_path: str | None = field(default=None, metadata={"help": "Folder or Hub id where the data set lies."})
    split: str = field(default="validation", metadata={"help": "Split of the data set."})
    pause_configs: list[str] = field(
        default_factory=lambda: ["dense", "table_1"],
        metadata={"help": "dense, default, table_1, presets of the model, or LAYER:RATIO,LAYER:RATIO,..."},
    )
    criteria: list[str] = field(default_factory=lambda: ["entropy"], metadata={"help": "entropy, random, or both."})
    num_random_seeds: int = field(default=1, metadata={"help": "Seeds that random pausing is averaged over."})
    seed: int = field(default=0, metadata={"help": "First seed of random pausing."})
    window_size: list[int] | None = field(default=None, metadata={"help": "Height and width of sliding windows."})
    stride: list[int] | None = field(default=None, metadata={"help": "Vertical and horizontal step of the windows."})
    window_batch_size: int = field(default=4, metadata={"help": "Windows that pass the model together."})
    resize_short_side: int | None = field(default=None, metadata={"help": "Resize images to this shorter side first."})
    max_samples: int | None = field(
        default=None, metadata={"help": "Images to evaluate, from the first; all if none."}
    )
    dtype: Literal["float32", "bfloat16", "float16"] = field(default="float32", metadata={"help": "Of autocast."})
    cpu: bool = field(default=False, metadata={"help": "Compute on the CPU also where there is a GPU."})
    output: str | None = field(default=None, metadata={"help": "JSON file to write; the table gets the ending .md."})


def load_data(arguments: Arguments, class_names: Iterable[str]) -> SegmentationDataset:
    """The split of the data set, as a recipe or the registered name describes it, or with the classes of the model."""
    if arguments.recipe is not None:
        recipe = read_recipe(["--config", arguments.recipe])
        return load_split(recipe, describe_dataset(recipe), arguments.split)
    if arguments.dataset is None:
        raise ValueError("Name the data set by --dataset, or by the --recipe of a training.")
    names = {} if arguments.dataset in DATASET_DESCRIPTIONS else {"class_names": class_names}
    description = get_dataset_description(arguments.dataset, **names)
    return load_segmentation_dataset(description, arguments.split, arguments.dataset_path)


def main() -> None:
    """Read the arguments, evaluate, and write or print the results."""
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    try:
        accelerator = Accelerator(cpu=arguments.cpu)
        model, processor = load_model(arguments.model, accelerator.device)
        presets = {**model.pause_presets, "default": model.pause_config}
        names = (arguments.pause_configs, model.config.num_hidden_layers, presets, arguments.criteria)
        results = evaluate_model(
            model,
            load_data(arguments, model.config.id2label.values()),
            select_pause_configs(*names),
            max_samples=arguments.max_samples,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
            reduce=functools.partial(accelerator.reduce, reduction="sum"),
            progress=accelerator.is_local_main_process,
            image_mean=processor.image_mean,
            image_std=processor.image_std,
            dtype=None if arguments.dtype == "float32" else getattr(torch, arguments.dtype),
            **{name: getattr(arguments, name) for name in SETTINGS},
        )
        if accelerator.is_main_process:
            print(format_table(results), end="")
            if arguments.output is not None:
                conditions = {**dataclasses.asdict(arguments), **environment_conditions(accelerator.device)}
                write_text(Path(arguments.output).with_suffix(".md"), format_table(results, markdown=True))
                write_results(arguments.output, {"conditions": conditions, "results": results})
    except (ValueError, OSError) as error:
        raise SystemExit(f"evaluate.py: {error}") from error


if __name__ == "__main__":
    main()
