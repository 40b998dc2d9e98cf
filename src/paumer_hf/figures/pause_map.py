# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 1 of the paper: what paused after each pause layer of an image, and the entropy that decided it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from paumer_hf import PauseConfig
from paumer_hf.figures.drawing import (
    GREY,
    HATCHES,
    INK,
    LIGHT,
    SMALL_SIZE,
    TEXT_SIZE,
    add_caption,
    new_figure,
    save_figure,
)
from paumer_hf.figures.patch_predictions import PausedImage
from paumer_hf.visualization import Colour, overlay_segmentation


# Okabe and Ito's, made lighter so that hatches show on them: green and pink first, as in the paper.
_LAYER_COLOURS = ("#66D9B8", "#F0A8CE", "#8FD0F7", "#F5C04A", "#6FB1DE", "#F59A5C")
_ACTIVE_COLOUR = "#D55E00"
_MAX_LAYERS = len(_LAYER_COLOURS)
_COLUMN_WIDTH = 2.5


def draw_pause_figure(
    image: Image.Image,
    paused: PausedImage,
    pause_config: PauseConfig,
    patch_size: int,
    palette: Sequence[Colour],
    class_names: Sequence[str],
    path: str | Path,
    title: str = "",
) -> None:
    """Draw the image; for each pause layer what has paused and the entropy behind it; what remains; the segmentation.

    Args:
        image: The image.
        paused: What `pause_image` made of it.
        pause_config: The pause configuration.
        patch_size: Pixels along a side of a patch.
        palette: Colour of each class.
        class_names: Name of each class.
        path: The PNG.
        title: What the caption begins with, as the name of the image.

    Raises:
        ValueError: If there are more pause layers than can be told apart.
    """
    layers = list(pause_config.pause_ratios)
    if len(layers) > _MAX_LAYERS:
        raise ValueError(
            f"The figure has room for {_MAX_LAYERS} pause layers, but the configuration has {len(layers)}."
        )
    columns = len(layers) + 2
    height = _COLUMN_WIDTH * image.height / image.width
    figure = new_figure(_COLUMN_WIDTH * columns, 2 * height + 1.3)
    grid = figure.add_gridspec(3, columns, height_ratios=(height, height, 0.1))
    panels = np.array([[figure.add_subplot(grid[row, column]) for column in range(columns)] for row in range(2)])
    _show_image(panels[0, 0], image, "(a) image")
    for place, layer in enumerate(layers):
        letter = chr(ord("b") + place)
        _show_image(panels[0, place + 1], image, f"({letter}.1) paused after layer {layer}")
        _show_paused(panels[0, place + 1], paused.pause_map, layers[: place + 1], patch_size)
    drawn = _show_entropies(list(panels[1, 1:-1]), paused, layers, patch_size, image.size)
    bar = figure.colorbar(drawn, cax=figure.add_subplot(grid[2, 1:-1]), orientation="horizontal")
    bar.set_label("entropy of the auxiliary prediction (nats)", fontsize=SMALL_SIZE)
    bar.ax.tick_params(labelsize=SMALL_SIZE)
    letter = chr(ord("b") + len(layers))
    _show_image(panels[0, -1], image, f"({letter}.1) active to the end")
    _show_active(panels[0, -1], paused.pause_map == 0, patch_size)
    _show_image(
        panels[1, -1], overlay_segmentation(image, paused.label_map, palette, 0.65), f"({letter}.2) segmentation"
    )
    _name_regions(panels[1, -1], paused.label_map, class_names, patch_size)
    _draw_keys(panels[1, 0], paused, layers, palette, class_names)
    random = " at random" if pause_config.criterion == "random" else ""
    caption = f"{title}{': ' if title else ''}pause configuration {pause_config.to_text()}{random}. "
    caption += "Outlined in (.1): the patches that paused newly. White in (.2): patches that were no longer active."
    add_caption(figure, caption)
    save_figure(figure, path)


def outline_segments(mask: np.ndarray) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The edges between patches within and without a mask, as pairs of corners (x, y) in patches.

    Args:
        mask: (rows, columns), bool. Beyond its edges lies nothing.
    """
    padded = np.pad(mask, 1)
    segments = []
    for row, column in zip(*np.nonzero(padded[1:, :] != padded[:-1, :]), strict=True):
        segments.append(((int(column) - 1, int(row)), (int(column), int(row))))
    for row, column in zip(*np.nonzero(padded[:, 1:] != padded[:, :-1]), strict=True):
        segments.append(((int(column), int(row) - 1), (int(column), int(row))))
    return segments


def innermost_place(mask: np.ndarray) -> tuple[int, int]:
    """The (row, column) within a mask that survives longest when its rim is peeled off again and again.

    Args:
        mask: (rows, columns), bool, not empty.
    """
    kept = mask
    while True:
        padded = np.pad(kept, 1)
        inner = kept & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        if not inner.any():
            break
        kept = inner
    places = np.argwhere(kept)
    row, column = places[np.abs(places - places.mean(axis=0)).sum(axis=1).argmin()]
    return int(row), int(column)


def _show_image(axes: Any, image: Image.Image, title: str) -> None:
    axes.imshow(np.asarray(image.convert("RGB")), interpolation="antialiased")
    _frame(axes, image.size, title)


def _frame(axes: Any, size: tuple[int, int], title: str) -> None:
    axes.set_title(title, fontsize=TEXT_SIZE, loc="left", pad=3)
    axes.set(xticks=[], yticks=[], xlim=(-0.5, size[0] - 0.5), ylim=(size[1] - 0.5, -0.5))
    axes.spines[:].set(color=GREY, linewidth=0.5)


def _show_paused(axes: Any, pause_map: np.ndarray, layers: Sequence[int], patch_size: int) -> None:
    """Tint and hatch what paused after each of the layers, and outline what paused after the last."""
    for place, layer in enumerate(layers):
        _fill(axes, pause_map == layer, patch_size, _LAYER_COLOURS[place], 0.7, HATCHES[place])
    # Dark within white, to be seen on dark and bright photographs.
    _outline(axes, pause_map == layers[-1], patch_size, "white", 2.4)
    _outline(axes, pause_map == layers[-1], patch_size, INK, 1.2)


def _show_active(axes: Any, active: np.ndarray, patch_size: int) -> None:
    _fill(axes, ~active, patch_size, "#FFFFFF", 0.8, None)
    _outline(axes, active, patch_size, _ACTIVE_COLOUR, 1.2)


def _fill(axes: Any, mask: np.ndarray, patch_size: int, colour: str, opacity: float, hatch: str | None) -> None:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])
    corners = [
        (np.array([column, row]) + square) * patch_size - 0.5 for row, column in zip(*np.nonzero(mask), strict=True)
    ]
    if not corners:
        return
    codes = [Outline.MOVETO, Outline.LINETO, Outline.LINETO, Outline.LINETO, Outline.CLOSEPOLY] * len(corners)
    outline = Outline(np.concatenate(corners), codes)
    colours = {"facecolor": to_rgba(colour, opacity), "edgecolor": INK}
    axes.add_patch(PathPatch(outline, linewidth=0, hatch=hatch, **colours))


def _outline(axes: Any, mask: np.ndarray, patch_size: int, colour: str, width: float) -> None:
    from matplotlib.collections import LineCollection

    segments = [np.array(segment) * patch_size - 0.5 for segment in outline_segments(mask)]
    axes.add_collection(LineCollection(segments, colors=colour, linewidths=width, capstyle="round"))


def _show_entropies(
    panels: Sequence[Any], paused: PausedImage, layers: Sequence[int], patch_size: int, size: tuple[int, int]
) -> Any:
    """Draw the entropy at each pause layer in the same colours, and return one of the pictures for their scale."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    # Without its brightest end, which could be taken for the white of patches that are no longer active.
    colours = ListedColormap(colormaps["cividis"](np.linspace(0, 0.9, 256)))
    maximum = max(float(np.nanmax(paused.entropies[layer])) for layer in layers)
    for place, (axes, layer) in enumerate(zip(panels, layers, strict=True)):
        rows, columns = paused.entropies[layer].shape
        extent = (-0.5, columns * patch_size - 0.5, rows * patch_size - 0.5, -0.5)
        values = np.ma.masked_invalid(paused.entropies[layer])
        drawn = axes.imshow(values, cmap=colours, vmin=0, vmax=maximum, extent=extent, interpolation="nearest")
        _frame(axes, size, f"({chr(ord('b') + place)}.2) entropy after layer {layer}")
        _outline(axes, np.isnan(paused.entropies[layer]), patch_size, LIGHT, 0.6)
    return drawn


def _name_regions(axes: Any, label_map: np.ndarray, class_names: Sequence[str], patch_size: int) -> None:
    """Write the name of each class that covers a good part of the image into its region."""
    from matplotlib.patheffects import withStroke

    step = max(1, patch_size // 2)
    coarse = label_map[step // 2 :: step, step // 2 :: step]
    for label in np.unique(coarse):
        mask = coarse == label
        if mask.mean() < 0.03 or not 0 <= label < len(class_names):
            continue
        row, column = innermost_place(mask)
        near_edge = {0: "left", 5: "right"}.get(6 * column // mask.shape[1], "center")
        axes.text(
            column * step + step // 2,
            row * step + step // 2,
            class_names[label],
            ha=near_edge,
            va="center",
            fontsize=SMALL_SIZE - 0.5,
            color="white",
            path_effects=[withStroke(linewidth=1.8, foreground="black")],
        )


def _draw_keys(
    axes: Any, paused: PausedImage, layers: Sequence[int], palette: Sequence[Colour], class_names: Sequence[str]
) -> None:
    """Below the image: what the colours of pause layers mean, with the shares of patches, and those of the classes."""
    from matplotlib.patches import Patch

    axes.axis("off")
    entries = [
        Patch(
            facecolor=_LAYER_COLOURS[place],
            edgecolor=INK,
            hatch=HATCHES[place],
            label=f"paused after layer {layer}: {100 * np.mean(paused.pause_map == layer):.0f} %",
        )
        for place, layer in enumerate(layers)
    ]
    share = 100 * np.mean(paused.pause_map == 0)
    entries.append(Patch(facecolor="white", edgecolor=_ACTIVE_COLOUR, label=f"active to the end: {share:.0f} %"))
    key = axes.legend(
        handles=entries, loc="upper left", bbox_to_anchor=(0, 1.08), frameon=False, fontsize=SMALL_SIZE, borderpad=0
    )
    axes.add_artist(key)
    labels, counts = np.unique(paused.label_map, return_counts=True)
    present = [int(labels[place]) for place in np.argsort(-counts) if 0 <= labels[place] < len(class_names)][:12]
    classes = [
        Patch(facecolor=tuple(level / 255 for level in palette[label]), edgecolor=GREY, label=class_names[label])
        for label in present
    ]
    axes.legend(
        handles=classes,
        loc="upper left",
        bbox_to_anchor=(0, 1.02 - 0.105 * len(entries)),
        ncols=2,
        frameon=False,
        fontsize=SMALL_SIZE - 0.5,
        borderpad=0,
        columnspacing=1,
    )


__all__ = ["draw_pause_figure", "innermost_place", "outline_segments"]
