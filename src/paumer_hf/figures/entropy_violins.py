# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 3 of the paper: the entropy of the auxiliary prediction after each layer, of patches right and wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from paumer_hf.figures.drawing import (
    INK,
    OKABE_ITO,
    SMALL_SIZE,
    TEXT_SIZE,
    add_caption,
    new_figure,
    save_figure,
    style_axes,
)


# Left and right half of a violin; the hatch tells them apart in grey.
_HALVES: dict[str, dict[str, Any]] = {
    "correct": {"side": -1, "color": OKABE_ITO[0], "hatch": None, "label": "classified correctly"},
    "wrong": {"side": 1, "color": OKABE_ITO[4], "hatch": "/////", "label": "classified wrongly"},
}
_HALF_WIDTH = 0.42


def draw_entropy_violins(contents: Mapping[str, Any], path: str | Path) -> None:
    """Draw a violin for each layer: the left half for patches classified correctly, the right for the others.

    All halves have the same width, so that the shapes compare whatever the number of patches; these numbers and the
    share classified correctly stand above. Thick lines mark the medians, thin ones the quartiles.

    Args:
        contents: What `measure_patches` returns.
        path: The PNG.
    """
    results, conditions = contents["results"], contents["conditions"]
    maximum = conditions["maximum_entropy"]
    figure = new_figure(max(4.5, 0.62 * len(results) + 1.2), 4.0)
    axes = figure.add_subplot()
    for result in results:
        for group, half in _HALVES.items():
            if result[group]["count"]:
                _draw_half(axes, result["layer"], result[group], half, maximum)
        _write_counts(axes, result)
    style_axes(axes, "layer after which the auxiliary head predicts", "entropy of the auxiliary prediction (nats)")
    axes.set_xticks([result["layer"] for result in results])
    axes.set_xlim(results[0]["layer"] - 0.6, results[-1]["layer"] + 0.6)
    axes.set_ylim(0, maximum)
    axes.grid(visible=False, axis="x")
    handles, labels = axes.get_legend_handles_labels()
    by_label = dict(zip(labels, handles, strict=True))
    figure.legend(by_label.values(), by_label, loc="outside upper left", ncols=2, frameon=False, fontsize=TEXT_SIZE)
    add_caption(figure, _caption(conditions))
    save_figure(figure, path)


def violin_half(histogram: np.ndarray, maximum: float) -> tuple[np.ndarray, np.ndarray]:
    """The outline of half a violin: places along the axis of the entropy, and widths of unit area, smoothed a little.

    Args:
        histogram: Counts in equal bins from 0 to `maximum`; at least one is not zero.
        maximum: Largest entropy in nats.
    """
    counts = np.asarray(histogram, dtype=np.float64)
    edges = np.linspace(0, maximum, len(counts) + 1)
    # Mirrored at both ends, so that nothing leaks out of the range and the spike at zero stays one.
    kernel = np.array([1, 2, 1]) / 4
    smooth = np.convolve(np.concatenate([counts[:1], counts, counts[-1:]]), kernel, mode="valid")
    density = smooth / smooth.sum() / (maximum / len(counts))
    return (edges[:-1] + edges[1:]) / 2, density


def _write_counts(axes: Any, result: Mapping[str, Any]) -> None:
    """Above a violin: the share classified correctly, and the number of patches of each half."""
    place = axes.get_xaxis_transform()
    share = f"{100 * result['accuracy']:.0f} %"
    axes.text(result["layer"], 1.07, share, transform=place, ha="center", fontsize=TEXT_SIZE)
    for group, half in _HALVES.items():
        count, align = _short_number(result[group]["count"]), "right" if half["side"] < 0 else "left"
        x = result["layer"] + 0.04 * half["side"]
        axes.text(x, 1.02, count, transform=place, ha=align, fontsize=SMALL_SIZE - 1.5, color=INK)


def _short_number(number: int) -> str:
    return f"{number / 1000:.0f}k" if number >= 10_000 else str(number)


def _draw_half(axes: Any, layer: int, group: Mapping[str, Any], half: Mapping[str, Any], maximum: float) -> None:
    places, density = violin_half(group["histogram"], maximum)
    widths = _HALF_WIDTH * density / density.max()
    side = half["side"]
    # Without the bins beyond the last patch, whose outline would be a line.
    seen = np.flatnonzero(widths > 0)
    places, widths = (values[seen[0] : seen[-1] + 1] for values in (places, widths))
    axes.fill_betweenx(
        places,
        layer,
        layer + side * widths,
        facecolor=half["color"],
        alpha=0.85,
        edgecolor=INK,
        linewidth=0.5,
        hatch=half["hatch"],
        label=half["label"],
    )
    quantiles = group["quantiles"]
    for level, length, width in (("0.25", 0.1, 0.8), ("0.5", 0.3, 2.2), ("0.75", 0.1, 0.8)):
        for colour, extra in (("white", 1.4), (INK, 0.0)):
            axes.plot(
                [layer, layer + side * length],
                [quantiles[level]] * 2,
                color=colour,
                linewidth=width + extra,
                solid_capstyle="butt",
            )


def _caption(conditions: Mapping[str, Any]) -> str:
    trained, window = conditions.get("trained_layers"), conditions.get("window_size")
    windows = "" if window is None else f" in windows of {window[1]} x {window[0]} pixels"
    return (
        f"{conditions.get('dataset', '')}: {conditions['num_patches']} labelled patches of "
        f"{conditions['num_images']} images{windows}, nothing pauses. Above: share of patches classified "
        "correctly, and numbers of patches. Thick lines: medians; thin lines: quartiles. "
        "All halves are drawn with the same width."
        + (f" The auxiliary head was trained after layers {', '.join(map(str, trained))}." if trained else "")
    )


__all__ = ["draw_entropy_violins", "violin_half"]
