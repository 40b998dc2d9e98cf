# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Evaluate a model on a data set under many pause configurations; each image is read once.

    python scripts/evaluate.py --model FOLDER_OR_HUB_ID --dataset camvid --dataset_path FOLDER \
        --pause_configs dense table_1 --criteria entropy random --num_random_seeds 3 --output evaluation.json
    accelerate launch --num_processes 4 scripts/evaluate.py --model FOLDER_OR_HUB_ID --recipe RECIPE.yaml --multi_scale

Writes the results with their conditions as JSON and a Markdown table beside it, and prints the table. Of a recipe it
takes the data set, the windows and the resizing where flags do not say otherwise. With `accelerate launch` the images
are spread over the processes, which changes no result.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from transformers import HfArgumentParser

from paumer_hf.evaluation.evaluation_arguments import EvaluationArguments
from paumer_hf.evaluation.results import environment_conditions, format_table, write_results, write_text
from paumer_hf.evaluation.semantic_evaluation import evaluate_model
from paumer_hf.evaluation.table_1 import select_pause_configs
from paumer_hf.prediction import load_model
from paumer_hf.training.evaluation_data import load_evaluation_data


def report(arguments: EvaluationArguments, results: list[dict[str, Any]], conditions: dict[str, Any]) -> None:
    """Print the table of results, and write them if a file is named."""
    print(format_table(results), end="")
    for sample_id in results[0].get("bad_samples", ()):
        print(f"Left out, because it cannot be read: {sample_id}")
    if arguments.output is not None:
        write_text(Path(arguments.output).with_suffix(".md"), format_table(results, markdown=True))
        write_results(arguments.output, {"conditions": conditions, "results": results})


def main() -> None:
    """Read the arguments, evaluate, and write or print the results."""
    (arguments,) = HfArgumentParser(EvaluationArguments).parse_args_into_dataclasses()
    try:
        accelerator = Accelerator(cpu=arguments.cpu)
        model, processor = load_model(arguments.model, accelerator.device)
        dataset, settings = load_evaluation_data(arguments, model.config.id2label.values())
        presets = {**model.pause_presets, "default": model.pause_config}
        names = (arguments.pause_configs, model.config.num_hidden_layers, presets, arguments.criteria)
        results = evaluate_model(
            model,
            dataset,
            select_pause_configs(*names),
            max_samples=arguments.max_samples,
            num_resamples=arguments.num_resamples,
            on_bad_sample=arguments.on_bad_sample,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
            reduce=functools.partial(accelerator.reduce, reduction="sum"),
            progress=accelerator.is_local_main_process,
            image_mean=processor.image_mean,
            image_std=processor.image_std,
            **settings,
        )
        if accelerator.is_main_process:
            used = {**dataclasses.asdict(arguments), **settings, "dtype": arguments.dtype}
            used["num_processes"] = accelerator.num_processes
            report(arguments, results, {**used, **environment_conditions(accelerator.device)})
    except (ValueError, OSError) as error:
        raise SystemExit(f"evaluate.py: {error}") from error


if __name__ == "__main__":
    main()
