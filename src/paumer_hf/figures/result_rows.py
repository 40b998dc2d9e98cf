# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Rows of results files as the figures need them: read, checked, and sorted by their pause configurations."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paumer_hf import PauseConfig
from paumer_hf.evaluation.results import read_results


def read_rows(path: str | Path, measures: Sequence[str] = ("mean_iou", "images_per_second")) -> list[dict[str, Any]]:
    """The rows of a results file that have some measures.

    Args:
        path: A file of `benchmark.py --evaluation`, whose `joined` rows count, or of `search_pause_config.py`, whose
            `results` do.
        measures: Keys that a row must have; rows without one of them, or with null, are left out.

    Raises:
        ValueError: If the file is no file of results, a row does not say what it paused, or no row has the measures.
    """
    contents = read_results(path)
    rows = contents.get("joined") or contents["results"]
    for row in rows:
        missing = [key for key in ("pause_config", "criterion") if not isinstance(row.get(key), str)]
        if missing:
            raise ValueError(f"A row of {path} has no {missing[0]}. Name a file of benchmark.py or a search.")
    kept = [row for row in rows if all(isinstance(row.get(key), int | float) for key in measures)]
    if not kept:
        raise ValueError(
            f"No row of {path} has {' and '.join(measures)}. Name a file of benchmark.py with --evaluation, or of "
            "search_pause_config.py."
        )
    return kept


def paused_pairs(row: Mapping[str, Any]) -> tuple[tuple[int, float], ...]:
    """The (layer, ratio) pairs of a row, in the order of the layers; none for the dense model."""
    return tuple(PauseConfig.from_text(row["pause_config"]).pause_ratios.items())


def single_layer_lines(rows: Sequence[Mapping[str, Any]]) -> dict[int, dict[float, Mapping[str, Any]]]:
    """From each layer to the rows that pause after it alone, by ratio; both in ascending order.

    Raises:
        ValueError: If no row pauses after one layer alone, or two rows are of one configuration.
    """
    pairs = [(paused_pairs(row), row) for row in rows]
    found = [(pair[0][0], pair[0][1], row) for pair, row in pairs if len(pair) == 1]
    if not found:
        raise ValueError("The results have no configuration of one pause layer. Name a file that has some.")
    return _as_lines(found)


def two_layer_lines(
    rows: Sequence[Mapping[str, Any]], fixed: tuple[int, float]
) -> dict[int, dict[float, Mapping[str, Any]]]:
    """From each second layer to the rows that pause after it and as `fixed` says, by ratio.

    Args:
        rows: Rows of results.
        fixed: The layer and ratio that all of them share. The second layer may come before or after it.

    Raises:
        ValueError: If there are none, or two rows are of one configuration.
    """
    found = []
    for row in rows:
        pairs = paused_pairs(row)
        others = [pair for pair in pairs if pair != fixed]
        if len(pairs) == 2 and len(others) == 1:
            found.append((*others[0], row))
    if not found:
        raise ValueError(
            f"The results have no configuration of two pause layers with {fixed[0]}:{fixed[1]:g}. Name another first "
            "layer and ratio, or leave them out."
        )
    return _as_lines(found)


def most_frequent_pair(rows: Sequence[Mapping[str, Any]]) -> tuple[int, float]:
    """The layer and ratio that most rows of two pause layers share; of equals that of the highest mean IoU.

    Where any of these rows has a mean IoU only such rows count: a search times many more than it evaluates.

    Raises:
        ValueError: If no row has two pause layers.
    """
    of_two = [(pairs, row.get("mean_iou")) for row in rows if len(pairs := paused_pairs(row)) == 2]
    if not of_two:
        raise ValueError("The results have no configuration of two pause layers. Name a file that has some.")
    evaluated = [(pairs, value) for pairs, value in of_two if value is not None]
    counted = evaluated or of_two
    counts = Counter(pair for pairs, _ in counted for pair in pairs)
    best = {pair: max(value or 0.0 for pairs, value in counted if pair in pairs) for pair in counts}
    return max(counts, key=lambda pair: (counts[pair], best[pair], -pair[0], -pair[1]))


def mean_iou_bar(row: Mapping[str, Any]) -> tuple[float, float] | None:
    """The ends in percent of a row's 95 % interval, or of its mean IoU and the spread over seeds on both sides.

    None where the row has neither.
    """
    interval, spread = row.get("mean_iou_interval"), row.get("mean_iou_spread")
    if interval is not None:
        return 100 * interval[0], 100 * interval[1]
    return None if spread is None else (100 * (row["mean_iou"] - spread), 100 * (row["mean_iou"] + spread))


def bars_caption(rows: Sequence[Mapping[str, Any]]) -> str:
    """A sentence on what the bars of `mean_iou_bar` are; empty where no row has any."""
    evaluated = [row for row in rows if row.get("mean_iou") is not None]
    has_interval = any(row.get("mean_iou_interval") is not None for row in evaluated)
    has_spread = any(
        row.get("mean_iou_interval") is None and row.get("mean_iou_spread") is not None for row in evaluated
    )
    kinds = ["95 % intervals"] * has_interval + ["standard deviation over random seeds"] * has_spread
    return f"Bars: {', or '.join(kinds)}." if kinds else ""


def _as_lines(found: Sequence[tuple[int, float, Mapping[str, Any]]]) -> dict[int, dict[float, Mapping[str, Any]]]:
    lines: dict[int, dict[float, Mapping[str, Any]]] = {}
    for layer, ratio, row in sorted(found, key=lambda entry: entry[:2]):
        of_layer = lines.setdefault(layer, {})
        if ratio in of_layer:
            raise ValueError(
                f"The results have the configuration {row['pause_config']} twice. Keep one, or choose a criterion."
            )
        of_layer[ratio] = row
    return lines


__all__ = [
    "bars_caption",
    "mean_iou_bar",
    "most_frequent_pair",
    "paused_pairs",
    "read_rows",
    "single_layer_lines",
    "two_layer_lines",
]
