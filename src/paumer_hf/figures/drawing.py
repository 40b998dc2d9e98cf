# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What the figures share: colours, marks and hatches that also differ in grey, captions, and saving."""

import io
import textwrap
from pathlib import Path
from typing import Any

from PIL import Image

from paumer_hf.visualization import save_png


# Colours of Okabe and Ito, which differ for every kind of colour vision. Black is kept for the dense model.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A7A00", "#5B3A8C")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h", "<", ">", "p", "d")
LINE_STYLES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (3, 1)), (0, (1, 1)))
HATCHES = ("////", "....", "xxxx", "----", "oo", "||||")
INK, GREY, LIGHT = "#191919", "#767676", "#DDDDDD"

DPI = 200
TEXT_SIZE, SMALL_SIZE = 8.5, 7.5


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib figure, in inches.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    try:
        import matplotlib.figure
    except ImportError as error:
        raise ImportError("Figures need matplotlib. Install it with: pip install 'paumer_hf[plot]'") from error
    return matplotlib.figure.Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def series_style(index: int) -> dict[str, Any]:
    """Colour, marker and line of the series of this number: any two of the first eight differ in all three."""
    return {
        "color": OKABE_ITO[index % len(OKABE_ITO)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": LINE_STYLES[index % len(LINE_STYLES)],
    }


def style_axes(axes: Any, x: str, y: str, title: str | None = None) -> None:
    """Labels, a faint grid behind what is drawn, and no frame at the top and right."""
    axes.set_xlabel(x, fontsize=TEXT_SIZE)
    axes.set_ylabel(y, fontsize=TEXT_SIZE)
    axes.tick_params(labelsize=TEXT_SIZE)
    axes.grid(visible=True, color=LIGHT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if title is not None:
        axes.set_title(title, fontsize=TEXT_SIZE + 1, loc="left")


def add_caption(figure: Any, text: str) -> None:
    """Small lines below the figure, as wide as it."""
    characters = int(figure.get_figwidth() * 72 / (0.56 * SMALL_SIZE))
    figure.supxlabel(textwrap.fill(text.strip(), characters), x=0.01, ha="left", fontsize=SMALL_SIZE, color=INK)


def draw_bar(axes: Any, x: float, ends: tuple[float, float] | None, colour: str) -> None:
    """Draw a bar from end to end, which need not be centred on a mark; nothing where there are no ends."""
    if ends is None:
        return
    low, high = ends
    bar = {"ecolor": colour, "elinewidth": 0.8, "capsize": 2, "alpha": 0.55, "zorder": 1.5, "linestyle": ""}
    axes.errorbar(x, (low + high) / 2, yerr=(high - low) / 2, **bar)


def save_figure(figure: Any, path: str | Path) -> None:
    """Write a figure as PNG with 256 colours, which is small for photographs too, in one step.

    Raises:
        ValueError: If the file's name does not end with `.png`.
    """
    check_path(path)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI)
    with Image.open(stream) as picture:
        # This method keeps the few pixels of a key's colour, which the default one gives up for those of photographs.
        method = Image.Quantize.MAXCOVERAGE
        save_png(picture.convert("RGB").quantize(256, method=method, kmeans=3, dither=Image.Dither.NONE), path)


def check_path(path: str | Path) -> None:
    """Refuse a name that is no PNG's, before anything is computed.

    Raises:
        ValueError: If it does not end with `.png`.
    """
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"`output` must name a PNG file, but is {path}. Let it end with .png.")


__all__ = [
    "DPI",
    "GREY",
    "HATCHES",
    "INK",
    "LIGHT",
    "LINE_STYLES",
    "MARKERS",
    "OKABE_ITO",
    "SMALL_SIZE",
    "TEXT_SIZE",
    "add_caption",
    "check_path",
    "draw_bar",
    "new_figure",
    "save_figure",
    "series_style",
    "style_axes",
]
