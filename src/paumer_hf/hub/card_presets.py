# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The presets of a card and what was measured of them, as tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from paumer_hf.hub.card_description import CardSources
from paumer_hf.model.pause_profile import PauseProfile
from paumer_hf.model.profile_point import ProfilePoint
from paumer_hf.search.presets import make_presets, make_profile


def read_profile(sources: CardSources) -> PauseProfile:
    """The profile that the search wrote into the checkpoint."""
    return make_profile(sources.search["results"], sources.search["conditions"])


def read_presets(sources: CardSources) -> dict[str, ProfilePoint]:
    """What was measured of each preset, the dense model first under the name "dense".

    Raises:
        ValueError: If the search measured no mean IoU.
    """
    profile = read_profile(sources)
    if profile.dense.mean_iou is None:
        raise ValueError(f"The search.json of {sources.name} holds no mIoU of the dense model; run the search again.")
    points = {point.pause_config: point for point in profile.points}
    presets = make_presets(profile, sources.description.preset_drops)
    return {"dense": profile.dense, **{name: points[config] for name, config in presets.items()}}


def format_presets(presets: Mapping[str, ProfilePoint]) -> str:
    """A Markdown table of presets, with the columns that any of them has."""
    columns: dict[str, list[str]] = {
        "preset": list(presets),
        "pauses after layer: ratio": [point.pause_config.to_text() or "nothing" for point in presets.values()],
        "mIoU, %": [percent(point.mean_iou) for point in presets.values()],
        "95 % interval": [interval(point.mean_iou_interval) for point in presets.values()],
        "difference": [percent(point.mean_iou_difference, "+") for point in presets.values()],
        "95 % interval of it": [interval(point.mean_iou_difference_interval, "+") for point in presets.values()],
        "images/s": [number(point.images_per_second, ".3g") for point in presets.values()],
        "speed-up": [number(point.speedup, ".2f") for point in presets.values()],
        "GMACs": [number(point.gigamacs, ".3g") for point in presets.values()],
    }
    return markdown_table({name: cells for name, cells in columns.items() if any(cells)}, num_texts=2)


def format_criteria(evaluation: Mapping[str, Any], benchmark: Mapping[str, Any] | None) -> str:
    """A Markdown table of configurations, pausing by entropy beside pausing at random, with speeds if there are."""
    scores = {(row["pause_config"], row["criterion"]): row for row in evaluation["results"]}
    timed = {row["pause_config"]: row for row in (benchmark or {"results": []})["results"]}
    texts = list(dict.fromkeys(text for text, _ in scores))
    columns = {"pauses after layer: ratio": [text or "nothing" for text in texts]}
    for criterion, heading in (("entropy", "mIoU by entropy, %"), ("random", "mIoU at random, %")):
        columns[heading] = [percent(scores.get((text, criterion), {}).get("mean_iou")) for text in texts]
    for key, heading, form in (("images_per_second", "images/s", ".3g"), ("speedup", "speed-up", ".2f")):
        columns[heading] = [number(timed.get(text, {}).get(key), form) for text in texts]
    return markdown_table({name: cells for name, cells in columns.items() if any(cells)})


def format_onnx(onnx: Mapping[str, Any]) -> str:
    """A Markdown table of onnxruntime beside PyTorch."""
    rows = onnx["results"]
    columns = {
        "pauses after layer: ratio": [row["pause_config"] or "nothing" for row in rows],
        "onnxruntime, images/s": [number(row["images_per_second"], ".3g") for row in rows],
        "PyTorch, images/s": [number(row["pytorch_images_per_second"], ".3g") for row in rows],
        "ratio": [number(row["speedup_over_pytorch"], ".2f") for row in rows],
        "largest difference of logits": [number(row["largest_logit_difference"], ".1e") for row in rows],
        "pixels of another class": [number(row.get("num_different_labels"), "d") for row in rows],
    }
    return markdown_table({name: cells for name, cells in columns.items() if any(cells)})


def markdown_table(columns: Mapping[str, Sequence[str]], num_texts: int = 1) -> str:
    """A table with aligned columns.

    Args:
        columns: From headings to cells.
        num_texts: How many columns from the left hold text.
    """
    widths = [max(map(len, [heading, *cells])) for heading, cells in columns.items()]
    lines = [list(columns), *zip(*columns.values(), strict=True)]
    rule = ["-" * width if place < num_texts else "-" * (width - 1) + ":" for place, width in enumerate(widths)]
    aligned = []
    for line in [lines[0], rule, *lines[1:]]:
        pairs = enumerate(zip(line, widths, strict=True))
        cells = [cell.ljust(width) if place < num_texts else cell.rjust(width) for place, (cell, width) in pairs]
        aligned.append(f"| {' | '.join(cells)} |")
    return "\n".join(aligned)


def percent(fraction: float | None, sign: str = "") -> str:
    """A fraction in percent, empty for None; what rounds to 0 has no minus."""
    return "" if fraction is None else format(round(100 * fraction, 1) + 0.0, f"{sign}.1f")


def interval(bounds: Sequence[float] | None, sign: str = "") -> str:
    """An interval of fractions in percent, empty for None."""
    return "" if bounds is None else " to ".join(percent(bound, sign) for bound in bounds)


def number(value: float | None, form: str) -> str:
    """A number in a form, empty for None."""
    return "" if value is None else format(value, form)


__all__ = [
    "format_criteria",
    "format_onnx",
    "format_presets",
    "interval",
    "markdown_table",
    "number",
    "percent",
    "read_presets",
    "read_profile",
]
