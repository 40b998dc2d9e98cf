# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 5 of the paper: our frontier among other architectures, each measured against its own dense model.

Throughputs of different sources were measured on other devices, with other batches and number formats: side by side
they would tell apart protocols, not methods. The figure therefore shows what each method gains and loses over the
dense model that its own source timed and evaluated in the same way; absolute numbers stand in panels by source.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paumer_hf.evaluation.plot_labels import label_points
from paumer_hf.evaluation.plots import frontier
from paumer_hf.figures.drawing import (
    GREY,
    INK,
    OKABE_ITO,
    TEXT_SIZE,
    add_caption,
    new_figure,
    save_figure,
    style_axes,
)
from paumer_hf.figures.published_results import FAMILIES, PublishedGroup, PublishedResult


DATASET_TITLES = {"ade20k": "ADE20K", "cityscapes": "Cityscapes", "camvid": "CamVid"}

# One shape for each family; within a family the architectures differ in colour, and marks carry their names.
_SHAPES = dict(zip(FAMILIES, ("o", "s", "D", "^", "v", "P"), strict=True))
_OURS = "this model"


def draw_architectures(
    groups: Sequence[PublishedGroup],
    rows: Sequence[Mapping[str, Any]],
    dataset: str,
    path: str | Path,
    caption: str = "",
) -> None:
    """Draw change of mIoU against speed-up, both over each source's own dense model, in a panel for each data set.

    Our frontier stands in the panel of its own data set.

    Args:
        groups: What others published.
        rows: Our results as of `read_rows`, among them that of the dense model.
        dataset: Short name of the data set of `rows`.
        path: The PNG.
        caption: What to write below about our results, such as where the speeds were measured.

    Raises:
        ValueError: If `rows` has no dense model or nothing else.
    """
    ours = our_frontier(rows, dataset)
    results = [
        result for group in groups for result in group.results if result.speedup and result.mean_iou_change is not None
    ]
    datasets = list(dict.fromkeys([*(result.dataset for result in results), dataset]))
    figure = new_figure(4.1 * len(datasets), 6.0)
    panels = figure.subplots(1, len(datasets), sharex=True, sharey=True, squeeze=False)[0]
    colours = _architecture_colours(results)
    for panel, name in zip(panels, datasets, strict=True):
        label = "change of mean IoU (points; logarithmic beyond 1)" if panel is panels[0] else ""
        style_axes(panel, "speed-up over the source's own dense model", label, DATASET_TITLES.get(name, name))
        panel.set_yscale("symlog", linthresh=1.0, linscale=0.8)
        panel.axhline(0, color=GREY, linewidth=0.8, linestyle=":")
        panel.axvline(1, color=GREY, linewidth=0.8, linestyle=":")
        panel.plot(1, 0, marker="*", markersize=11, color=INK, linestyle="", label="dense (each source's own)")
    _set_limits(panels[0], [*results, *ours])
    for panel, name in zip(panels, datasets, strict=True):
        of_dataset = [result for result in results if result.dataset == name]
        _draw_panel(panel, of_dataset, ours if name == dataset else [], colours)
    handles = {
        label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles, loc="outside upper left", ncols=5, frameon=False, fontsize=TEXT_SIZE - 0.5
    )
    add_caption(figure, f"{_caption(groups, results)} {caption}")
    for panel, name in zip(panels, datasets, strict=True):
        of_dataset = [result for result in results if result.dataset == name]
        _label_panel(panel, of_dataset, ours if name == dataset else [])
    save_figure(figure, path)


def our_frontier(rows: Sequence[Mapping[str, Any]], dataset: str) -> list[PublishedResult]:
    """Our configurations by entropy that no other beats in both measures, over the dense model, by speed-up.

    Args:
        rows: As of `read_rows`.
        dataset: Short name of their data set.

    Raises:
        ValueError: If there is no dense model among the rows, or nothing else.
    """
    dense = [row for row in rows if not row["pause_config"]]
    paused = [row for row in rows if row["pause_config"] and row["criterion"] == "entropy"]
    if not dense or not paused:
        raise ValueError(
            "The results must have the dense model and configurations that pause by entropy, both with mean IoU and "
            "images/s. Evaluate and time dense along with them."
        )
    points = [
        (
            row["images_per_second"] / dense[0]["images_per_second"],
            100 * (row["mean_iou"] - dense[0]["mean_iou"]),
        )
        for row in paused
    ]
    best = [points[index] for index in frontier(points)]
    return [PublishedResult(_OURS, "pausing", "", dataset, speedup, change) for speedup, change in best]


def _architecture_colours(results: Sequence[PublishedResult]) -> dict[str, str]:
    """A colour for each architecture; those of one family differ. The first is kept for ours."""
    colours: dict[str, str] = {}
    used: dict[str, int] = {}
    for result in sorted(results, key=lambda result: FAMILIES.index(result.family)):
        if result.architecture not in colours:
            place = used.get(result.family, 0)
            start = FAMILIES.index(result.family)
            colours[result.architecture] = OKABE_ITO[1:][(start + 2 * place) % (len(OKABE_ITO) - 1)]
            used[result.family] = place + 1
    return colours


def _draw_panel(
    axes: Any, results: Sequence[PublishedResult], ours: Sequence[PublishedResult], colours: Mapping[str, str]
) -> None:
    ordered = sorted(results, key=_order)
    for (architecture, _), group in itertools.groupby(ordered, key=lambda found: (found.architecture, found.backbone)):
        members = list(group)
        line = sorted(map(_point, members))
        style: dict[str, Any] = {
            "color": colours[architecture],
            "marker": _SHAPES[members[0].family],
            "markeredgecolor": INK,
        }
        style |= {"linewidth": 0.8, "linestyle": "--", "markersize": 6, "markeredgewidth": 0.5}
        axes.plot(*zip(*line, strict=True), label=f"{architecture}: {members[0].family}", zorder=3, **style)
    if ours:
        line = [_point(result) for result in ours]
        style = {"color": OKABE_ITO[0], "marker": _SHAPES["pausing"], "linewidth": 2, "markersize": 5}
        axes.plot(*zip(*line, strict=True), label=f"{_OURS}, frontier: pausing", zorder=4, **style)


def _label_panel(axes: Any, results: Sequence[PublishedResult], ours: Sequence[PublishedResult]) -> None:
    ordered = sorted(results, key=_order)
    points = [_point(result) for result in [*ordered, *ours]]
    texts, labelled = [], {""}
    for result in ordered:
        name = f"{result.architecture} {result.backbone}".replace(" (paper)", "")
        texts.append("" if name in labelled else name)  # once for each line
        labelled.add(name)
    texts += [_OURS] * bool(ours) + [""] * (len(ours) - 1)
    label_points(axes, points, texts)


def _order(result: PublishedResult) -> tuple[Any, ...]:
    """The sources' marks by family, architecture, size and speed."""
    return FAMILIES.index(result.family), result.architecture, result.backbone, result.speedup or 0.0


def draw_absolute_groups(
    groups: Sequence[PublishedGroup],
    rows: Sequence[Mapping[str, Any]],
    dataset: str,
    path: str | Path,
    caption: str = "",
) -> None:
    """Draw mIoU against images/s, a panel for each source and data set with two models or more, and one for ours.

    Args:
        groups: What others published; numbers of different panels do not compare.
        rows: Our results as of `read_rows`.
        dataset: Short name of the data set of `rows`.
        path: The PNG.
        caption: What to write below about our results, such as where the speeds were measured.

    Raises:
        ValueError: If `rows` has no dense model or nothing else.
    """
    our_frontier(rows, dataset)
    panels = [(group, name, found) for group in groups for name, found in _absolute_results(group).items()]
    columns = 3
    lines = -(-(len(panels) + 1) // columns)
    figure = new_figure(9.6, 2.7 * lines + 0.6)
    axes = figure.subplots(lines, columns, squeeze=False).flatten()
    for place, (panel, (group, name, results)) in enumerate(zip(axes, panels, strict=False)):
        title = f"{group.name}, {DATASET_TITLES.get(name, name)}\n({group.device})"
        style_axes(panel, "images per second", "" if place % columns else "mean IoU (%)", title)
        _draw_absolute(panel, results)
    ours = [row for row in rows if not row["pause_config"] or row["criterion"] == "entropy"]
    points = [(row["images_per_second"], 100 * row["mean_iou"]) for row in ours]
    best = [points[index] for index in frontier(points)]
    panel = axes[len(panels)]
    style_axes(panel, "images per second", "", f"{_OURS}, {DATASET_TITLES.get(dataset, dataset)}\nfrontier")
    panel.plot(*zip(*best, strict=True), color=OKABE_ITO[0], marker=_SHAPES["pausing"], linewidth=2, markersize=5)
    panel.margins(0.18)
    for unused in axes[len(panels) + 1 :]:
        unused.axis("off")
    words = "Each panel is one source, one device and one protocol; numbers of different panels do not compare. Open "
    words += "marks: the dense model of a line. Sources and protocols: model_cards/published_results.yaml. "
    add_caption(figure, words + caption)
    for panel, (_, _, results) in zip(axes, panels, strict=False):
        _label_absolute(panel, results)
    save_figure(figure, path)


def _absolute_results(group: PublishedGroup) -> dict[str, list[PublishedResult]]:
    """The results with mIoU and images/s of each data set, where there are two or more."""
    found: dict[str, list[PublishedResult]] = {}
    for result in group.results:
        if result.mean_iou is not None and result.images_per_second is not None:
            found.setdefault(result.dataset, []).append(result)
    return {dataset: results for dataset, results in found.items() if len(results) > 1}


def _draw_absolute(axes: Any, results: Sequence[PublishedResult]) -> None:
    colours = _architecture_colours(results)
    for result in results:
        style = {"color": colours[result.architecture], "marker": _SHAPES[result.family], "markersize": 6}
        point = (result.images_per_second, result.mean_iou)
        axes.plot(*point, zorder=3, **style)
        if result.dense_mean_iou is not None and result.dense_images_per_second is not None:
            dense = (result.dense_images_per_second, result.dense_mean_iou)
            axes.plot(*zip(dense, point, strict=True), color=style["color"], linestyle="--", linewidth=1, zorder=2)
            axes.plot(*dense, zorder=3, markerfacecolor="white", **style)
    axes.margins(0.18)


def _label_absolute(axes: Any, results: Sequence[PublishedResult]) -> None:
    points = [(result.images_per_second or 0.0, result.mean_iou or 0.0) for result in results]
    texts = [f"{result.architecture} {result.backbone}" for result in results]
    label_points(axes, points, texts)


def _point(result: PublishedResult) -> tuple[float, float]:
    """Speed-up and change of mIoU, which results of the relative figure have."""
    assert result.speedup is not None
    assert result.mean_iou_change is not None
    return result.speedup, result.mean_iou_change


def _set_limits(axes: Any, results: Sequence[PublishedResult]) -> None:
    speeds, changes = zip(*map(_point, results), strict=True)
    axes.set_xlim(min(0.85, min(speeds) - 0.05), max(speeds) + 0.15)
    axes.set_ylim(1.4 * min(-1.0, *changes), 1.2 * max(1.0, *changes))
    ticks = [tick for tick in (-20, -10, -5, -3, -2, -1, -0.5, 0, 0.5, 1, 2) if tick >= axes.get_ylim()[0]]
    axes.set_yticks(ticks, [f"{tick:+g}" if tick else "0" for tick in ticks])
    axes.set_yticks([], minor=True)


def _caption(groups: Sequence[PublishedGroup], results: Sequence[PublishedResult]) -> str:
    drawn = [group for group in groups if any(result in results for result in group.results)]
    devices = "; ".join(f"{group.name}: {group.device}, {group.protocol}" for group in drawn)
    return (
        "Each mark is relative to the dense model of the same source, data set and protocol; sources differ in "
        "device, batch and number format, so that marks of different sources do not compare exactly and "
        f"absolute speeds not at all. Dashed lines join the budgets of one model. Measured on: {devices}. "
        "Sources: model_cards/published_results.yaml."
    )


__all__ = ["DATASET_TITLES", "draw_absolute_groups", "draw_architectures", "our_frontier"]
