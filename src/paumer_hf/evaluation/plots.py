# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Plots of accuracy against speed; they need matplotlib, which the extra `plot` installs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from paumer_hf.evaluation.plot_labels import label_points
from paumer_hf.files import atomic_path


# Colours of Okabe and Ito, which differ for every kind of colour vision; marker and line differ as well, for print.
_STYLES = {
    "entropy": {"color": "#0072B2", "pale": "#A6CFE8", "marker": "o", "linestyle": "-"},
    "random": {"color": "#D55E00", "pale": "#F5C6A5", "marker": "s", "linestyle": "--"},
}
_DENSE: dict[str, Any] = {"color": "#000000", "marker": "*", "markersize": 13, "linestyle": ""}
_RING: dict[str, Any] = {"color": "#000000", "marker": "o", "markersize": 9, "fillstyle": "none", "linestyle": ""}
_REFERENCE_COLOUR = "#999999"

# What bars can show, the first of these that any result has.
_BARS = {"mean_iou_interval": "95 % interval over images", "mean_iou_spread": "standard deviation over seeds"}

_AXES = {
    "images_per_second": "images per second",
    "speedup": "speed-up over the dense model, measured",
    "predicted_speedup": "speed-up over the dense model, by multiply-accumulates",
}


PAUSE_NOTATION = "3:0.4: after layer 3, 40 % of the active patches pause"
"""What labels of configurations mean."""


def plot_trade_off(
    results: Sequence[Mapping[str, Any]],
    path: str | Path,
    title: str | None = None,
    x: str | None = None,
    names: Mapping[str, str] | None = None,
) -> None:
    """Draw mean IoU against speed: one mark per pause configuration, a line through the best of each criterion.

    A configuration is on the line if no other of its criterion is both faster and more accurate; the others have open
    marks. Where results have 95 % intervals, these are the bars of the dense model and of the marks on the lines. A
    mark on a line is pale if the interval of its difference to the dense model contains 0, so that neither can be
    called the better one. As all marks are of the same images, this can be sure although bars overlap. The lines go by
    the measured values; whether neighbours on them differ is not drawn. Where there are no intervals, bars are the
    standard deviation over the seeds of random pausing.

    Labels are of the dense model and the configurations with names, or without names of those marks on the line of
    pausing by entropy that have room for one.

    Args:
        results: Results with `pause_config`, `criterion`, `mean_iou` and a measure of speed, as of `join_results`.
        path: The picture; its ending gives the format, `.png` as a rule.
        title: Heading of the plot.
        x: The measure of speed: `images_per_second`, `speedup` or `predicted_speedup`; by default the first of
            these that all results have.
        names: From the text forms of configurations to the names of their presets.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is nothing to draw.
    """
    figures = _import_matplotlib()
    # Null in a results file stands for what was not measured.
    known = [{name: value for name, value in result.items() if value is not None} for result in results]
    results = [result for result in known if "mean_iou" in result]
    x = x or next((name for name in _AXES if results and all(name in result for result in results)), None)
    if x is None or not results:
        raise ValueError(
            f"Results must have mean_iou and one of {', '.join(_AXES)} to be drawn. Join an evaluation and a "
            "benchmark of the same pause configurations."
        )
    figure = figures.Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    dense = [result for result in results if not result["pause_config"]]
    bars = next((key for key in _BARS if any(result.get(key) is not None for result in results)), None)
    if dense:
        _draw_bar(axes, dense[0], x, bars, _DENSE["color"])
        axes.plot(dense[0][x], 100 * dense[0]["mean_iou"], zorder=4, **_DENSE)
        axes.axhline(100 * dense[0]["mean_iou"], color=_REFERENCE_COLOUR, linewidth=0.8, linestyle=":", zorder=1)
    any_pale = False
    for criterion, style in _STYLES.items():
        of_criterion = [result for result in results if result["pause_config"] and result["criterion"] == criterion]
        if of_criterion:
            any_pale |= _draw_criterion(axes, of_criterion, x, bars, style, criterion)
    axes.set_xlabel(_AXES[x])
    axes.set_ylabel("mean IoU (%)")
    axes.margins(x=0.1, y=0.18)
    axes.grid(visible=True, color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    _draw_legend(axes, bars, any_pale)
    if title is not None:
        axes.set_title(title)
    label_results(axes, results, x, names or {})
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
    axes: Any,
    results: Sequence[Mapping[str, Any]],
    x: str,
    bars: str | None,
    style: Mapping[str, Any],
    criterion: str,
) -> bool:
    """Draw the marks, bars and line of one criterion, and return whether any mark is pale."""
    points = [(result[x], 100 * result["mean_iou"]) for result in results]
    best = frontier(points)
    marks = {"color": style["color"], "marker": style["marker"], "markersize": 5.5}
    for index, (result, point) in enumerate(zip(results, points, strict=True)):
        # Intervals of all marks would hide the marks.
        if index in best or bars != "mean_iou_interval":
            _draw_bar(axes, result, x, bars, style["color"])
        face = style["pale"] if _is_like_dense(result) else style["color"]
        axes.plot(*point, linestyle="", markerfacecolor=face if index in best else "white", zorder=3, **marks)
    line = [points[index] for index in best]
    axes.plot(
        *zip(*line, strict=True), linestyle=style["linestyle"], linewidth=1.5, label=criterion, zorder=2, **marks
    )
    return any(_is_like_dense(results[index]) for index in best)


def _draw_bar(axes: Any, result: Mapping[str, Any], x: str, bars: str | None, colour: str) -> None:
    value = None if bars is None else result.get(bars)
    if value is None:
        return
    low, high = value if bars == "mean_iou_interval" else (result["mean_iou"] - value, result["mean_iou"] + value)
    axes.errorbar(
        result[x],
        50 * (low + high),  # an interval need not be centred on the mark
        yerr=50 * (high - low),
        linestyle="",
        ecolor=colour,
        elinewidth=0.8,
        capsize=2,
        alpha=0.5,
        zorder=1.5,
    )


def _draw_legend(axes: Any, bars: str | None, any_pale: bool) -> None:
    """Write what marks, lines and bars mean; entries without data stand for what has no label of its own."""
    if any_pale:
        pale = {"color": _REFERENCE_COLOUR, "markerfacecolor": "#DDDDDD", "marker": "o", "markersize": 5.5}
        axes.plot([], [], linestyle="", label="pale: no sure difference to dense", **pale)
    if bars is not None:
        grey = {"color": _REFERENCE_COLOUR, "marker": "|", "markersize": 9}
        axes.plot([], [], linestyle="", label=f"bars: {_BARS[bars]}", **grey)
    axes.plot([], [], linestyle="", label=PAUSE_NOTATION)
    axes.legend(frameon=False, loc="lower left", fontsize=8)


def label_results(
    axes: Any, results: Sequence[Mapping[str, Any]], x: str, names: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Label the dense model and the configurations with names, or those on the line of entropy that have room.

    Call it when all else is drawn and the limits of the axes are final.

    Args:
        axes: Where results are marks.
        results: With `pause_config`, `criterion`, `mean_iou` and a measure of speed.
        x: The measure of speed.
        names: From the text forms of configurations to their names.
    """
    by_entropy = [result for result in results if result["pause_config"] and result["criterion"] == "entropy"]
    dense = [result for result in results if not result["pause_config"]]
    if names:
        others = [result for result in by_entropy or results if result["pause_config"] in {*names} - {""}]
    else:
        others = [by_entropy[index] for index in frontier([_point(result, x) for result in by_entropy])]
    lines = [(names.get(result["pause_config"]), result["pause_config"]) for result in others]
    labels = ["\n".join(filter(None, words)) for words in lines]
    if names:
        for result in others:
            axes.plot(*_point(result, x), zorder=3.5, **_RING)
    of_dense = "\n".join(filter(None, ("dense", names.get(""))))
    label_points(axes, [_point(result, x) for result in dense[:1]], [of_dense] * len(dense[:1]))
    label_points(axes, [_point(result, x) for result in others], labels, is_optional=not names)


def _point(result: Mapping[str, Any], x: str) -> tuple[float, float]:
    return result[x], 100 * result["mean_iou"]


def _is_like_dense(result: Mapping[str, Any]) -> bool:
    """Whether the interval of the difference to the dense model contains 0."""
    interval = result.get("mean_iou_difference_interval")
    return interval is not None and interval[0] <= 0 <= interval[1]


def _import_matplotlib() -> Any:
    try:
        import matplotlib.figure
    except ImportError as error:
        raise ImportError("Plots need matplotlib. Install it with: pip install 'paumer_hf[plot]'") from error
    return matplotlib.figure


def _save(figure: Any, path: str | Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=200)


__all__ = ["PAUSE_NOTATION", "frontier", "label_results", "plot_trade_off"]
