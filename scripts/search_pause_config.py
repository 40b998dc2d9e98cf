# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Find the pause configuration for a speed or an accuracy, or the whole frontier, and write presets into the model.

    python scripts/search_pause_config.py --model FOLDER --dataset camvid --dataset_path FOLDER --output runs/search
    python scripts/search_pause_config.py --model FOLDER --dataset camvid --dataset_path FOLDER --target_speedup 1.5

With --target_speedup, --target_throughput (images/s on this machine) or --max_drop (points of mIoU) it names the best
configuration; with none of them it maps the frontier and writes the presets accurate, balanced, fast and fastest with
their measured profile into the model's folder. All candidates are timed first; accuracy is measured where it can
matter, and layers that configurations share run once. What is found or in doubt is timed again, with more rounds. What
was measured is kept in OUTPUT/search.sqlite: a search that was interrupted goes on where it stopped, and another wish
measures only what is new. On Linux, if it has to time, it starts itself again with glibc told to keep its memory, as
benchmark.py does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from transformers import HfArgumentParser

from paumer_hf import PauseConfig
from paumer_hf.evaluation.multi_scale import EvaluationSettings
from paumer_hf.evaluation.plots import plot_trade_off
from paumer_hf.evaluation.results import format_table, write_results, write_text
from paumer_hf.evaluation.throughput import restart_with_tuned_malloc
from paumer_hf.model.pause_profile import PauseProfile
from paumer_hf.prediction import load_model
from paumer_hf.search.presets import (
    find_better_profile,
    join_names,
    make_presets,
    make_profile,
    read_row,
    write_presets,
)
from paumer_hf.search.search import describe_choice, run_search
from paumer_hf.search.search_arguments import SearchArguments
from paumer_hf.training.evaluation_data import load_evaluation_data


def report(arguments: SearchArguments, found: dict[str, Any], presets: Mapping[str, PauseConfig]) -> None:
    """Print what was found, and write it as JSON, as a table and as a plot."""
    output, by_macs = Path(arguments.output), arguments.speed == "macs"
    write_results(output / "search.json", found)
    best = [row for row in found["results"] if row["on_frontier"] or not row["pause_config"]]
    unused = {"mean_accuracy", "predicted_speedup"} if by_macs else {"mean_accuracy"}
    table = [{name: value for name, value in row.items() if name not in unused} for row in best]
    print(format_table(table), end="")
    write_text(output / "search.md", format_table(table, markdown=True))
    try:
        evaluated = [row for row in found["results"] if row["mean_iou"] is not None]
        names = join_names(presets or {"choice": read_row(found["choice"])})
        x = "predicted_speedup" if by_macs else "images_per_second"
        plot_trade_off(evaluated, output / "search.png", x=x, names=names)
    except ImportError as error:
        print(f"No plot: {error}")
    if found["choice"] is not None:
        print(describe_choice(found["choice"], found["conditions"]["num_images"]))


def make(arguments: SearchArguments, found: dict[str, Any]) -> tuple[dict[str, PauseConfig], PauseProfile | None]:
    """Make presets and profile of a frontier, or the choice a preset if it is to be one."""
    if found["choice"] is None:
        profile = make_profile(found["results"], found["conditions"])
        return make_presets(profile, arguments.drops()), profile
    return {} if arguments.save_as is None else {arguments.save_as: read_row(found["choice"])}, None


def write(arguments: SearchArguments, presets: Mapping[str, PauseConfig], profile: PauseProfile | None) -> None:
    """Write presets and profile into the folder of the model."""
    if not presets:
        return
    for name, pause_config in presets.items():
        print(f"{name}: {pause_config.to_text() or 'dense'}")
    if not Path(arguments.model).is_dir():
        print("Presets are written into local folders only: save the model to one and name that as --model.")
    elif not arguments.write_presets:
        return
    elif not arguments.replace_profile and (reason := find_better_profile(arguments.model, profile)):
        print(f"Not written into the model, as {reason}; --replace_profile replaces it.")
    else:
        print(f"Written to {write_presets(arguments.model, presets, profile)}")


def main() -> None:
    """Read the arguments, search, and report."""
    (arguments,) = HfArgumentParser(SearchArguments).parse_args_into_dataclasses()
    try:
        arguments.check()
        if arguments.tune_malloc and arguments.speed == "measured":
            restart_with_tuned_malloc()
        if arguments.threads is not None:
            torch.set_num_threads(arguments.threads)
        model, processor = load_model(arguments.model, Accelerator(cpu=arguments.cpu).device)
        dataset, settings = load_evaluation_data(arguments, model.config.id2label.values())
        normalised = {"image_mean": processor.image_mean, "image_std": processor.image_std}
        found = run_search(model, dataset, EvaluationSettings(**settings, **normalised), arguments, print)
        presets, profile = make(arguments, found)
        report(arguments, found, presets)
        write(arguments, presets, profile)
    except (ValueError, OSError) as error:
        raise SystemExit(f"search_pause_config.py: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit("search_pause_config.py: interrupted; the same command goes on where it stopped.") from None


if __name__ == "__main__":
    main()
