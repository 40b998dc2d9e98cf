# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Figures 9 and 10 of the paper: mean IoU and images/s against the ratio, for each layer or each second layer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paumer_hf.figures.drawing import (
    INK,
    TEXT_SIZE,
    add_caption,
    draw_bar,
    new_figure,
    save_figure,
    series_style,
    style_axes,
)
from paumer_hf.figures.result_rows import (
    bars_caption,
    mean_iou_bar,
    most_frequent_pair,
    paused_pairs,
    single_layer_lines,
    two_layer_lines,
)


Lines = Mapping[int, Mapping[float, Mapping[str, Any]]]

_STEP = 0.01
"""How far the marks of two layers at the same ratio stand apart, in ratios."""


def draw_single_layer_sweep(rows: Sequence[Mapping[str, Any]], path: str | Path, caption: str = "") -> None:
    """Draw the configurations of one pause layer, a line for each layer; all begin at the dense model.

    Args:
        rows: As of `read_rows`, of one criterion; only `images_per_second` is needed of each.
        path: The PNG.
        caption: What to write below, such as where the speeds were measured.

    Raises:
        ValueError: If there is none.
    """
    lines = single_layer_lines(rows)
    dense = [row for row in rows if not row["pause_config"]]
    _draw(lines, dense[0] if dense else None, ("pause ratio", "after layer", "dense"), path, caption)


def draw_two_layer_sweep(
    rows: Sequence[Mapping[str, Any]],
    path: str | Path,
    fixed: tuple[int, float] | None = None,
    caption: str = "",
) -> None:
    """Draw the configurations of two pause layers that share a layer and ratio, a line for each second layer.

    Args:
        rows: As of `read_rows`, of one criterion; only `images_per_second` is needed of each.
        path: The PNG.
        fixed: The layer and ratio that they share; None takes what most of them share. All lines begin there.
        caption: What to write below, such as where the speeds were measured.

    Raises:
        ValueError: If there is none.
    """
    fixed = most_frequent_pair(rows) if fixed is None else fixed
    lines = two_layer_lines(rows, fixed)
    alone = [row for row in rows if paused_pairs(row) == (fixed,)]
    name = f"{fixed[0]}:{fixed[1]:g}"
    words = ("pause ratio after the second layer", "second layer", f"{name} alone")
    caption = f"All configurations pause {name} as well. {caption}".strip()
    _draw(lines, alone[0] if alone else None, words, path, caption)


def _draw(
    lines: Lines, start: Mapping[str, Any] | None, words: tuple[str, str, str], path: str | Path, caption: str
) -> None:
    """Draw both panels.

    Args:
        lines: From layer and ratio to row.
        start: The row at ratio 0, if any.
        words: What stands below the axes, before the number of a layer in the legend, and at the start.
        path: The PNG.
        caption: What to write below.
    """
    figure = new_figure(7.6, 3.9)
    panels = figure.subplots(1, 2)
    for panel, measure, label in zip(
        panels, ("mean_iou", "images_per_second"), ("mean IoU (%)", "images per second"), strict=True
    ):
        style_axes(panel, words[0], label)
        for number, (layer, by_ratio) in enumerate(lines.items()):
            # Beside each other, so that the bars of layers with the same ratio stay apart.
            shift = _STEP * (number - (len(lines) - 1) / 2) if measure == "mean_iou" else 0.0
            style = {**series_style(number), "label": f"{words[1]} {layer}"}
            _draw_line(panel, by_ratio, start, measure, style, shift)
        if start is not None and start.get(measure) is not None:
            value = _value(start, measure)
            panel.plot(0, value, marker="*", markersize=12, color=INK, linestyle="", label=words[2], zorder=4)
            panel.axhline(value, color="#999999", linewidth=0.8, linestyle=":", zorder=1)
        panel.margins(x=0.1)
        _label_ends(panel, lines, measure)
    handles = {
        label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles,
        loc="outside upper left",
        ncols=5,
        frameon=False,
        fontsize=TEXT_SIZE - 0.5,
        handlelength=3.2,
    )
    drawn = [row for by_ratio in lines.values() for row in by_ratio.values()]
    add_caption(figure, f"{caption} {bars_caption(drawn)}")
    save_figure(figure, path)


def _draw_line(
    axes: Any,
    by_ratio: Mapping[float, Mapping[str, Any]],
    start: Mapping[str, Any] | None,
    measure: str,
    style: Mapping[str, Any],
    shift: float,
) -> None:
    measured = {ratio: row for ratio, row in by_ratio.items() if row.get(measure) is not None}
    if not measured:
        return
    points = [(ratio + shift, _value(row, measure)) for ratio, row in measured.items()]
    if start is not None and start.get(measure) is not None:
        # The way from the start, which all lines share, has no mark of a layer.
        first = {"color": style["color"], "linestyle": style["linestyle"], "linewidth": 1.2}
        axes.plot([0, points[0][0]], [_value(start, measure), points[0][1]], zorder=2, **first)
    axes.plot(*zip(*points, strict=True), linewidth=1.4, markersize=5, zorder=3, **style)
    if measure == "mean_iou":
        for (ratio, _), row in zip(points, measured.values(), strict=True):
            draw_bar(axes, ratio, mean_iou_bar(row), style["color"])


def _label_ends(axes: Any, lines: Lines, measure: str) -> None:
    """Write the number of each layer at the right end of its line, moved apart where lines end close together."""
    ends = []
    for number, (layer, by_ratio) in enumerate(lines.items()):
        measured = [(ratio, _value(row, measure)) for ratio, row in by_ratio.items() if row.get(measure) is not None]
        if measured:
            ends.append((*measured[-1], str(layer), series_style(number)["color"]))
    # The marks of mean IoU stand beside each other, the rightmost by this much.
    shift = _STEP * (len(lines) - 1) / 2 if measure == "mean_iou" else 0.0
    low, high = axes.get_ylim()
    distance, lowest = 0.045 * (high - low), float("-inf")
    for x, y, text, colour in sorted(ends, key=lambda end: end[1]):
        lowest = max(y, lowest + distance)
        axes.annotate(
            text,
            (x, y),
            xytext=(x + shift + 0.02, lowest),
            textcoords="data",
            va="center",
            fontsize=TEXT_SIZE,
            color=colour,
        )


def _value(row: Mapping[str, Any], measure: str) -> float:
    return 100 * row[measure] if measure == "mean_iou" else row[measure]


__all__ = ["draw_single_layer_sweep", "draw_two_layer_sweep"]
