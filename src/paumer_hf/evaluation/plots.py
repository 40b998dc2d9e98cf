# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Plots of accuracy against speed; they need matplotlib, which the extra `plot` installs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paumer_hf.files import atomic_path


# Colours of Okabe and Ito, which differ for every kind of colour vision; marker and line differ as well, for print.
_STYLES = {
    "entropy": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "random": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
}
_DENSE = {"color": "#000000", "marker": "*", "markersize": 13, "linestyle": ""}
_REFERENCE_COLOUR = "#999999"

_AXES = {
    "images_per_second": "images per second",
    "speedup": "speed-up over the dense model, measured",
    "predicted_speedup": "speed-up over the dense model, by multiply-accumulates",
}


def plot_trade_off(
    results: Sequence[Mapping[str, Any]], path: str | Path, title: str | None = None, x: str | None = None
) -> None:
    """Draw mean IoU against speed: one mark per pause configuration, a line through the best of each criterion.

    A configuration is on the line if no other of its criterion is both faster and more accurate; the others have open
    marks. Bars are the standard deviation over the seeds of random pausing.

    Args:
        results: Results with `pause_config`, `criterion`, `mean_iou` and a measure of speed, as of `join_results`.
        path: The picture; its ending gives the format, `.png` as a rule.
        title: Heading of the plot.
        x: The measure of speed: `images_per_second`, `speedup` or `predicted_speedup`; by default the first of
            these that all results have.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is nothing to draw.
    """
    figures = _import_matplotlib()
    results = [result for result in results if result.get("mean_iou") is not None]
    x = x or next((name for name in _AXES if results and all(name in result for result in results)), None)
    if x is None or not results:
        raise ValueError(
            f"Results must have mean_iou and one of {', '.join(_AXES)} to be drawn. Join an evaluation and a "
            "benchmark of the same pause configurations."
        )
    figure = figures.Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    dense = [result for result in results if not result["pause_config"]]
    if dense:
        axes.plot(dense[0][x], 100 * dense[0]["mean_iou"], label="dense", zorder=4, **_DENSE)
        axes.axhline(100 * dense[0]["mean_iou"], color=_REFERENCE_COLOUR, linewidth=0.8, linestyle=":", zorder=1)
    for criterion, style in _STYLES.items():
        of_criterion = [result for result in results if result["pause_config"] and result["criterion"] == criterion]
        if of_criterion:
            _draw_criterion(axes, of_criterion, x, style, criterion)
    axes.set_xlabel(_AXES[x])
    axes.set_ylabel("mean IoU (%)")
    axes.margins(x=0.1, y=0.18)
    axes.grid(visible=True, color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left")
    if title is not None:
        axes.set_title(title)
    _save(figure, path)


def frontier(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the points that no other exceeds in one coordinate and equals or exceeds in the other.

    The indices are in ascending order of the first coordinate.
    """
    best, kept = float("-inf"), []
    for index in sorted(range(len(points)), key=lambda index: points[index], reverse=True):
        if points[index][1] > best:
            best = points[index][1]
            kept.append(index)
    return kept[::-1]


def _draw_criterion(
    axes: Any, results: Sequence[Mapping[str, Any]], x: str, style: Mapping[str, Any], criterion: str
) -> None:
    points = [(result[x], 100 * result["mean_iou"]) for result in results]
    best = frontier(points)
    marks = {"color": style["color"], "marker": style["marker"], "markersize": 5.5}
    for index, (speed, accuracy) in enumerate(points):
        spread = results[index].get("mean_iou_spread")
        axes.errorbar(
            speed,
            accuracy,
            yerr=None if spread is None else 100 * spread,
            linestyle="",
            capsize=2,
            elinewidth=0.8,
            markerfacecolor=style["color"] if index in best else "white",
            zorder=3,
            **marks,
        )
    line = [points[index] for index in best]
    axes.plot(
        *zip(*line, strict=True), linestyle=style["linestyle"], linewidth=1.5, label=criterion, zorder=2, **marks
    )
    if criterion == "entropy":
        # Slanted labels stay apart where marks are close.
        for index in best:
            axes.annotate(
                _short(results[index]["pause_config"]),
                points[index],
                xytext=(0, 6),
                textcoords="offset points",
                rotation=60,
                rotation_mode="anchor",
                fontsize=7.5,
                color="#333333",
            )


def _short(text: str) -> str:
    """Write `3:0.4,5:0.4` as `3,5:.4`, and configurations of several ratios as they are but for the zeros."""
    layers, ratios = zip(*(part.split(":") for part in text.split(",")), strict=True)
    if len(set(ratios)) == 1:
        return f"{','.join(layers)}:{ratios[0].removeprefix('0')}"
    return ",".join(f"{layer}:{ratio.removeprefix('0')}" for layer, ratio in zip(layers, ratios, strict=True))


def _import_matplotlib() -> Any:
    try:
        import matplotlib.figure
    except ImportError as error:
        raise ImportError("Plots need matplotlib. Install it with: pip install 'paumer_hf[plot]'") from error
    return matplotlib.figure


def _save(figure: Any, path: str | Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=200)


__all__ = ["frontier", "plot_trade_off"]
