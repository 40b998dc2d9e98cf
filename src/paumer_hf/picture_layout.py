# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What figures are put together from: lines of text, keys of colours, and pictures below and beside each other."""

import functools
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont


Colour = tuple[int, int, int]

INK, PAPER, FAINT = (25, 25, 25), (255, 255, 255), (110, 110, 110)
MARGIN, GAP = 24, 20
TITLE_SIZE, TEXT_SIZE = 24, 18
MIN_TEXT_SIZE = 9


@functools.cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def draw_text(text: str, size: int, colour: Colour = INK) -> Image.Image:
    """A line of text, as large as it needs to be."""
    font = _font(size)
    line = Image.new("RGB", (int(font.getlength(text)) + 2, round(size * 1.35)), PAPER)
    ImageDraw.Draw(line).text((0, 0), text, font=font, fill=colour)
    return line


def fit_text(text: str, size: int, width: int, colour: Colour = INK) -> Image.Image:
    """A line of text of exactly this width and as high as its size asks for.

    The letters become smaller where the text is too long, and what is too long for the smallest ones is cut off.
    """
    fitting = size
    while fitting > MIN_TEXT_SIZE and _font(fitting).getlength(text) + 2 > width:
        fitting -= 1
    drawn = draw_text(text, fitting, colour)
    line = Image.new("RGB", (width, round(size * 1.35)), PAPER)
    line.paste(drawn, (0, (line.height - drawn.height) // 2))
    return line


def draw_key(entries: Sequence[tuple[Colour, str]], width: int, size: int = TEXT_SIZE) -> Image.Image:
    """Colours with their meanings, in as many lines as the width asks for.

    An entry that is wider than `width` makes the key wider.
    """
    swatch, space, lines = size, 16, [[]]  # type: ignore[var-annotated]
    for colour, text in entries:
        label = draw_text(text, size)
        used = sum(swatch + 8 + other.width + space for _, other in lines[-1])
        if lines[-1] and used + swatch + 8 + label.width > width:
            lines.append([])
        lines[-1].append((colour, label))
    height = round(size * 1.35) + 4
    needed = max(sum(swatch + 8 + label.width + space for _, label in line) for line in lines)
    key = Image.new("RGB", (max(width, needed), height * len(lines)), PAPER)
    draw = ImageDraw.Draw(key)
    for number, line in enumerate(lines):
        left, top = 0, number * height
        for colour, label in line:
            draw.rectangle((left, top + 3, left + swatch - 1, top + 2 + swatch), fill=colour, outline=FAINT)
            key.paste(label, (left + swatch + 8, top))
            left += swatch + 8 + label.width + space
    return key


def stack(parts: Sequence[Image.Image], gap: int) -> Image.Image:
    """Pictures below each other, at the left."""
    height = sum(part.height for part in parts) + gap * (len(parts) - 1)
    stacked = Image.new("RGB", (max(part.width for part in parts), height), PAPER)
    top = 0
    for part in parts:
        stacked.paste(part, (0, top))
        top += part.height + gap
    return stacked


def beside(parts: Sequence[Image.Image], width: int, gap: int = GAP) -> Image.Image:
    """Pictures side by side, at the top, each at least `width` wide."""
    widths = [max(width, part.width) for part in parts]
    strip = Image.new("RGB", (sum(widths) + gap * (len(parts) - 1), max(part.height for part in parts)), PAPER)
    left = 0
    for part, part_width in zip(parts, widths, strict=True):
        strip.paste(part, (left, 0))
        left += part_width + gap
    return strip


def panel_size(size: tuple[int, int], panel_width: int) -> tuple[int, int]:
    """Width and height of a panel: as wide as asked for, but not higher than that by half.

    Args:
        size: (width, height) of the image in it.
        panel_width: In pixels.
    """
    scale = min(panel_width / size[0], 1.5 * panel_width / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def add_margin(picture: Image.Image, margin: int = MARGIN) -> Image.Image:
    """The picture with paper around it."""
    framed = Image.new("RGB", (picture.width + 2 * margin, picture.height + 2 * margin), PAPER)
    framed.paste(picture, (margin, margin))
    return framed


__all__ = [
    "FAINT",
    "GAP",
    "INK",
    "MARGIN",
    "MIN_TEXT_SIZE",
    "PAPER",
    "TEXT_SIZE",
    "TITLE_SIZE",
    "Colour",
    "add_margin",
    "beside",
    "draw_key",
    "draw_text",
    "fit_text",
    "panel_size",
    "stack",
]
