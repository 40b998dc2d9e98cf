# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What a frontier costs: all configurations together, only those that can matter, and each by itself."""

import dataclasses
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.evaluation.multi_scale import EvaluationSettings
from paumer_hf.evaluation.semantic_evaluation import evaluate_model
from paumer_hf.search.search import run_search
from paumer_hf.search.search_arguments import SearchArguments


def measure_frontier_costs(
    model: PaumerForSemanticSegmentation,
    dataset: Any,
    settings: EvaluationSettings,
    arguments: SearchArguments,
    progress: bool = True,
) -> dict[str, Any]:
    """Time the frontier of a search's candidates in three ways, in one run.

    Speed is that of the multiply-accumulates, which takes no time: what is timed are the evaluations.

    Args:
        model: The model, on its device.
        dataset: A `SegmentationDataset`.
        settings: How an image becomes a label map.
        arguments: The candidates, and `max_gain`; the folder of results is not used.
        progress: Whether to show progress bars where there is a terminal.

    Returns:
        What `compare_with_separate_evaluations` returns but the results; of the search that leaves out what cannot
        matter `seconds_search`, their `share_search` of the separate evaluations, `num_evaluated` and its `frontier`;
        and `frontier_of_all`, when nothing is left out.
    """
    if arguments.wish().given or arguments.procedure != "exhaustive":
        raise ValueError("The costs of a frontier are measured without a wish and with --procedure exhaustive.")
    with tempfile.TemporaryDirectory() as folder:
        of_search = dataclasses.replace(arguments, output=folder, speed="macs", num_resamples=0, write_presets=False)
        start = time.perf_counter()
        found = run_search(model, dataset, settings, of_search, progress=progress)
        seconds = time.perf_counter() - start
        whole = dataclasses.replace(of_search, max_gain=float("inf"))
        configs = [
            PauseConfig.from_text(row["pause_config"], row["criterion"], row["seed"]) for row in found["results"]
        ]
        fields = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
        compared = compare_with_separate_evaluations(
            model, dataset, configs, progress, max_samples=arguments.max_samples, **fields
        )
        frontier = run_search(model, dataset, settings, whole, progress=progress)["frontier"]
    return {
        **{name: value for name, value in compared.items() if name != "results"},
        "seconds_search": seconds,
        "share_search": seconds / compared["seconds_separate"],
        "num_evaluated": sum(row["mean_iou"] is not None for row in found["results"]),
        "frontier": found["frontier"],
        "frontier_of_all": frontier,
    }


def compare_with_separate_evaluations(
    model: PaumerForSemanticSegmentation,
    dataset: Any,
    pause_configs: Sequence[PauseConfig],
    progress: bool = True,
    **settings: Any,
) -> dict[str, Any]:
    """Time one evaluation of all configurations, and an evaluation of each by itself before and after it.

    Half of the separate evaluations come before and half after, so that a machine that becomes slower or faster
    meanwhile does so for both.

    Args:
        model: A segmentation model.
        dataset: A `SegmentationDataset`.
        pause_configs: The configurations.
        progress: Whether to show progress bars where there is a terminal.
        **settings: For `evaluate_model`.

    Returns:
        `seconds_together` and `seconds_separate`, their ratio `share`, `num_configurations`, `largest_difference` of
        the mean IoUs, and the `results` of the evaluation together.
    """
    if not pause_configs:
        raise ValueError("pause_configs is empty. Name the configurations to evaluate.")
    separate: dict[PauseConfig, float] = {}
    seconds = 0.0

    def evaluate_separately(configs: Sequence[PauseConfig]) -> float:
        start = time.perf_counter()
        for config in configs:
            (row,) = evaluate_model(model, dataset, [config], progress=progress, **settings)
            separate[config] = row["mean_iou"]
        return time.perf_counter() - start

    evaluate_model(model, dataset, pause_configs[:1], **{**settings, "max_samples": 1}, progress=False)  # warm up
    seconds += evaluate_separately(pause_configs[::2])
    start = time.perf_counter()
    together = evaluate_model(model, dataset, pause_configs, progress=progress, **settings)
    seconds_together = time.perf_counter() - start
    seconds += evaluate_separately(pause_configs[1::2])
    differences = [
        abs(row["mean_iou"] - separate[config]) for row, config in zip(together, pause_configs, strict=True)
    ]
    return {
        "num_configurations": len(pause_configs),
        "seconds_together": seconds_together,
        "seconds_separate": seconds,
        "share": seconds_together / seconds,
        "largest_difference": max(differences),
        "results": together,
    }


__all__ = ["compare_with_separate_evaluations", "measure_frontier_costs"]
