# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 4 of the paper: mean IoU against speed, pausing by entropy and at random, for one model or several."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paumer_hf.evaluation.plots import PAUSE_NOTATION, frontier, label_results, plot_trade_off
from paumer_hf.figures.drawing import (
    INK,
    LINE_STYLES,
    MARKERS,
    OKABE_ITO,
    TEXT_SIZE,
    add_caption,
    check_path,
    draw_bar,
    new_figure,
    save_figure,
    style_axes,
)
from paumer_hf.figures.result_rows import bars_caption, mean_iou_bar


# As in the plots of the evaluation, also the paler ones.
_CRITERIA = ("entropy", "random")
_PALE = ("#A6CFE8", "#F5C6A5")


def draw_trade_off(
    rows_by_title: Mapping[str, Sequence[Mapping[str, Any]]], path: str | Path, caption: str = ""
) -> None:
    """Draw mean IoU against images/s: one model as `plot_trade_off` does, several as panels with the same axes.

    A line goes through the configurations of a criterion that no other of it beats in both; the others have open
    marks. Bars are 95 % intervals, of the dense model and the marks on the lines, or where rows have none the standard
    deviation over the seeds of random pausing. Pale marks are those whose difference to the dense model is not sure.

    Args:
        rows_by_title: From the name of each model to its rows, as of `read_rows`.
        path: The PNG.
        caption: What to write below several panels, such as where the speeds were measured.

    Raises:
        ValueError: If there is nothing to draw.
    """
    check_path(path)
    if len(rows_by_title) == 1:
        ((title, rows),) = rows_by_title.items()
        plot_trade_off(rows, path, title=title, x="images_per_second")
        return
    figure = new_figure(3.9 * len(rows_by_title), 4.2)
    panels = figure.subplots(1, len(rows_by_title), sharex=True, sharey=True, squeeze=False)[0]
    for panel, (title, rows) in zip(panels, rows_by_title.items(), strict=True):
        style_axes(panel, "images per second", "mean IoU (%)" if panel is panels[0] else "", title)
        _draw_model(panel, rows)
        panel.margins(x=0.12, y=0.1)
    panels[0].legend(frameon=False, loc="lower left", fontsize=TEXT_SIZE)
    drawn = [row for rows in rows_by_title.values() for row in rows]
    words = "No other configuration of its criterion beats a mark on a line in both measures; the others are open. "
    if any(_is_like_dense(row) for row in drawn):
        words += "Pale: the 95 % interval of the difference to the dense model contains 0. "
    add_caption(figure, f"{bars_caption(drawn)} {words}{PAUSE_NOTATION}. {caption}")
    for panel, rows in zip(panels, rows_by_title.values(), strict=True):
        label_results(panel, rows, "images_per_second")
    save_figure(figure, path)


def _draw_model(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    dense = [row for row in rows if not row["pause_config"]]
    if dense:
        draw_bar(axes, _point(dense[0])[0], mean_iou_bar(dense[0]), INK)
        axes.plot(*_point(dense[0]), marker="*", markersize=13, color=INK, linestyle="", zorder=4)
        axes.axhline(_point(dense[0])[1], color="#999999", linewidth=0.8, linestyle=":", zorder=1)
    for number, criterion in enumerate(_CRITERIA):
        of_criterion = [row for row in rows if row["pause_config"] and row["criterion"] == criterion]
        if not of_criterion:
            continue
        points = [_point(row) for row in of_criterion]
        best = frontier(points)
        colour, marker = OKABE_ITO[number], MARKERS[number]
        for index, (row, point) in enumerate(zip(of_criterion, points, strict=True)):
            # Intervals of all marks would hide the marks.
            if index in best or row.get("mean_iou_interval") is None:
                draw_bar(axes, point[0], mean_iou_bar(row), colour)
            fill = (_PALE[number] if _is_like_dense(row) else colour) if index in best else "white"
            axes.plot(*point, marker=marker, markersize=5, markerfacecolor=fill, color=colour, zorder=3)
        line = [points[index] for index in best]
        style = {"color": colour, "linestyle": LINE_STYLES[number], "marker": marker, "markersize": 5}
        axes.plot(*zip(*line, strict=True), linewidth=1.5, label=criterion, zorder=2, **style)


def _is_like_dense(row: Mapping[str, Any]) -> bool:
    """Whether the interval of the difference to the dense model contains 0."""
    interval = row.get("mean_iou_difference_interval")
    return interval is not None and interval[0] <= 0 <= interval[1]


def _point(row: Mapping[str, Any]) -> tuple[float, float]:
    return row["images_per_second"], 100 * row["mean_iou"]


__all__ = ["draw_trade_off"]
