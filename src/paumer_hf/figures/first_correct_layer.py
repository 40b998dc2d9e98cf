# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The poster's figure: after how many layers each patch of an image is first classified correctly."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from paumer_hf.figures.drawing import (
    GREY,
    INK,
    LIGHT,
    SMALL_SIZE,
    TEXT_SIZE,
    add_caption,
    new_figure,
    save_figure,
    style_axes,
)
from paumer_hf.figures.patch_predictions import NEVER, NO_LABEL
from paumer_hf.figures.patch_statistics import never_correct


_NEVER_COLOUR, _NEVER_HATCH = "#F6D8C4", "xxxx"
_HEIGHT = 2.6


def draw_first_correct_layer(
    image: Image.Image,
    first: np.ndarray,
    patch_size: int,
    contents: Mapping[str, Any],
    path: str | Path,
    title: str = "",
) -> None:
    """Draw the image, the first correct layer of its patches, and the share of all patches for each layer.

    Darker is earlier; patches never classified correctly are hatched, those without a label are white.

    Args:
        image: The image.
        first: (rows, columns), as of `first_correct_layer`.
        patch_size: Pixels along a side of a patch.
        contents: What `measure_patches` returns for the data set.
        path: The PNG.
        title: What the caption begins with, as the name of the image.

    Raises:
        ValueError: If no patch of the image has a label.
    """
    if (first == NO_LABEL).all():
        raise ValueError("The image has no labelled patch. Name one of a split with annotations.")
    results = contents["results"]
    width = _HEIGHT * image.width / image.height
    figure = new_figure(2 * width + 4.1, _HEIGHT + 1.15)
    panels = figure.subplots(1, 3, width_ratios=(width, width, 3.6))
    panels[0].imshow(np.asarray(image.convert("RGB")))
    _frame(panels[0], image, "image")
    colours = layer_shades(len(results))
    _draw_map(panels[1], first, patch_size, image, colours)
    _frame(panels[1], image, "first layer after which the patch is right")
    _draw_shares(panels[2], results, colours)
    conditions = contents["conditions"]
    window = conditions.get("window_size")
    caption = (
        f"{title}{': ' if title else ''}each patch in the shade of the first layer after which the auxiliary head "
        "classifies it correctly (later layers may not); darker is earlier, hatched is never"
        f"{', white without a label' if (first == NO_LABEL).any() else ''}. Right: share of "
        f"{conditions['num_patches']} patches of {conditions['num_images']} images of {conditions.get('dataset', '')}"
        f"{'' if window is None else f', in windows of {window[1]} x {window[0]} pixels'}. Nothing pauses."
    )
    add_caption(figure, caption)
    save_figure(figure, path)


def layer_shades(num_layers: int) -> np.ndarray:
    """Colours (num_layers, 4) in [0, 1] for the layers from the first, dark, to the last, bright; also in grey."""
    from matplotlib import colormaps

    return colormaps["viridis"](np.linspace(0.0, 1.0, num_layers) ** 0.7)


def _frame(axes: Any, image: Image.Image, title: str) -> None:
    axes.set_title(title, fontsize=TEXT_SIZE, loc="left", pad=3)
    axes.set(xticks=[], yticks=[], xlim=(-0.5, image.width - 0.5), ylim=(image.height - 0.5, -0.5))
    axes.spines[:].set(color=GREY, linewidth=0.5)


def _draw_map(axes: Any, first: np.ndarray, patch_size: int, image: Image.Image, colours: np.ndarray) -> None:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    shades = np.ones((*first.shape, 4))
    seen = first > 0
    shades[seen] = colours[first[seen] - 1]
    shades[first == NEVER] = to_rgba(_NEVER_COLOUR)
    rows, columns = first.shape
    extent = (-0.5, columns * patch_size - 0.5, rows * patch_size - 0.5, -0.5)
    axes.imshow(shades, extent=extent, interpolation="nearest")
    for row, column in zip(*np.nonzero(first == NEVER), strict=True):
        corner = (column * patch_size - 0.5, row * patch_size - 0.5)
        axes.add_patch(
            Rectangle(corner, patch_size, patch_size, fill=False, hatch=_NEVER_HATCH, linewidth=0, edgecolor=INK)
        )


def _draw_shares(axes: Any, results: Any, colours: np.ndarray) -> None:
    shares = [100 * result["first_correct"] for result in results] + [100 * never_correct(results)]
    names = [str(result["layer"]) for result in results] + ["never"]
    fills = [*colours, _NEVER_COLOUR]
    hatches = [None] * len(results) + [_NEVER_HATCH]
    style_axes(axes, "share of patches (%)", "first layer after which a patch is right")
    places = np.arange(len(shares))
    axes.barh(places, shares, color=fills, hatch=hatches, edgecolor=INK, linewidth=0.5, height=0.85)
    for place, share in zip(places, shares, strict=True):
        axes.text(share + 0.01 * max(shares), place, f" {share:.1f}", va="center", fontsize=SMALL_SIZE)
    axes.set_yticks(places, names, fontsize=SMALL_SIZE)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * max(shares))
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x", color=LIGHT)


__all__ = ["draw_first_correct_layer", "layer_shades"]
