# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Measure the loader of a training alone, and which share of a step is neither forward nor backward.

    python scripts/benchmark_training.py --config scripts/recipes/NAME.yaml [--FIELD VALUE ...] [--output FILE.json]

Takes every field of a recipe, as train.py does, and trains a few steps without saving anything.
"""

import argparse
from pathlib import Path
from typing import Any

import torch

from paumer_hf.evaluation.results import environment_conditions, write_results, write_text
from paumer_hf.training import read_recipe
from paumer_hf.training.step_profile import profile_training, recipe_conditions


def format_profile(profile: dict[str, Any]) -> str:
    """The results as a table in Markdown."""
    step = profile["step"]
    lines = ["| loader processes | images/s of the loader alone |", "|---:|---:|"]
    lines += [f"| {entry['num_workers']} | {entry['images_per_second']:.1f} |" for entry in profile["loader"]]
    lines += [
        "",
        "| images/s of the step | s a step | waiting for the loader | forward and backward alone | neither of both |",
        "|---:|---:|---:|---:|---:|",
        f"| {step['images_per_second']:.3g} | {step['seconds']:.3g} | {step['loading_seconds']:.3g} s |"
        f" {step['forward_backward_seconds']:.3g} s | {100 * step['other_share']:.1f} % |",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the arguments, measure, and write or print the results."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False, add_help=False)
    parser.add_argument("--num_steps", type=int, default=10)
    parser.add_argument("--num_warmup_steps", type=int, default=2)
    parser.add_argument("--worker_counts", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--loader_seconds", type=float, default=10.0)
    parser.add_argument("--output", type=Path)
    arguments, fields = parser.parse_known_args()
    recipe = read_recipe(fields)
    output = vars(arguments).pop("output")
    try:
        profile = profile_training(recipe, **vars(arguments))
    except (ValueError, OSError) as error:
        raise SystemExit(f"benchmark_training.py: {error}") from error
    table = format_profile(profile)
    print(table, end="")
    if output is not None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        conditions = {**recipe_conditions(recipe), **environment_conditions(device)}
        write_text(output.with_suffix(".md"), table)
        write_results(output, {"conditions": conditions, "results": [profile]})


if __name__ == "__main__":
    main()
