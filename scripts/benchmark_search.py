# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Time the frontier of many pause configurations, evaluated together, against evaluating each by itself.

    python scripts/benchmark_search.py --model FOLDER --dataset camvid --dataset_path FOLDER --threads 1 \
        --window_size 256 256 --layers 3 5 7 9 --ratios 0.2 0.4 0.6 --output search_costs

Takes the flags of search_pause_config.py. Writes the seconds of all configurations together, of the search that leaves
out what cannot matter, and of separate evaluations, half of which come before and half after, into OUTPUT.json.
"""

from pathlib import Path

import torch
from accelerate import Accelerator
from transformers import HfArgumentParser

from paumer_hf.evaluation.multi_scale import EvaluationSettings
from paumer_hf.evaluation.results import environment_conditions, write_results
from paumer_hf.evaluation.throughput import restart_with_tuned_malloc
from paumer_hf.prediction import load_model
from paumer_hf.search.search_arguments import SearchArguments
from paumer_hf.search.sharing_benchmark import measure_frontier_costs
from paumer_hf.training.evaluation_data import load_evaluation_data


def main() -> None:
    """Read the arguments, measure, print and write."""
    (arguments,) = HfArgumentParser(SearchArguments).parse_args_into_dataclasses()
    if arguments.tune_malloc:
        restart_with_tuned_malloc()
    try:
        if arguments.threads is not None:
            torch.set_num_threads(arguments.threads)
        model, processor = load_model(arguments.model, Accelerator(cpu=arguments.cpu).device)
        dataset, settings = load_evaluation_data(arguments, model.config.id2label.values())
        normalised = {"image_mean": processor.image_mean, "image_std": processor.image_std}
        costs = measure_frontier_costs(model, dataset, EvaluationSettings(**settings, **normalised), arguments)
        names = ("dataset", "split", "max_samples", "layers", "ratios", "max_pause_layers", "criterion", "max_gain")
        used = {name: getattr(arguments, name) for name in ("model", *names)}
        conditions = {**used, **settings, "dtype": arguments.dtype, **environment_conditions(model.device)}
        write_results(Path(arguments.output).with_suffix(".json"), {"conditions": conditions, "results": [costs]})
        print(
            f"{costs['num_configurations']} configurations: together {costs['share']:.1%} of the "
            f"{costs['seconds_separate']:.0f} s of separate evaluations, only the {costs['num_evaluated']} that can "
            f"matter {costs['share_search']:.1%}; largest difference of the mean IoU {costs['largest_difference']:g}"
        )
    except (ValueError, OSError) as error:
        raise SystemExit(f"benchmark_search.py: {error}") from error


if __name__ == "__main__":
    main()
