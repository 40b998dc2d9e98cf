# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The frames of a predicted video: segmentation and pauses of each configuration side by side, all of one size."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from paumer_hf import PauseConfig
from paumer_hf.picture_layout import FAINT, INK, PAPER, Colour, draw_key, fit_text, panel_size, stack
from paumer_hf.visualization import FigureRow, layer_colours, overlay_segmentation, tint_paused


MARGIN, GAP = 14, 12
NAME_SIZE, FINDING_SIZE, KEY_SIZE = 18, 15, 14
MIN_COLUMN_WIDTH = 80

# With more classes the key names only those with the most pixels in the frame.
MAX_FIXED_CLASSES, MAX_NAMED_CLASSES = 24, 12

# Shades of grey under the colours of a shared palette, and how many colours there may be of them all.
_MAX_SHADES, _MAX_TINTS = 8, 96


class PanelLayout:
    """Where everything is on the frames of one video.

    One configuration has its segmentation and its pauses beside each other; several have a column each, pauses below
    segmentation.

    Args:
        image_size: (width, height) of the frames of the source.
        pause_configs: The pause configurations, in the order of the columns.
        patch_size: Pixels along a side of a patch.
        palette: Colour of each class.
        class_names: Name of each class.
        width: Of the whole picture in pixels; as wide as the panels ask for if it is not given.
        max_panel_width: Of a panel in pixels, where `width` is not given.
        max_width: Of the whole picture in pixels, where `width` is not given.

    Raises:
        ValueError: If there is no configuration or `width` leaves no room for the columns.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        pause_configs: Sequence[PauseConfig],
        patch_size: int,
        palette: Sequence[Colour],
        class_names: Sequence[str],
        width: int | None = None,
        max_panel_width: int = 480,
        max_width: int = 1920,
    ) -> None:
        if not pause_configs:
            raise ValueError("`pause_configs` must hold at least one pause configuration, but is empty.")
        self.columns = max(2, len(pause_configs))
        borders = 2 * MARGIN + GAP * (self.columns - 1)
        if width is None:
            # Small images are enlarged a little, so that there is room for the text.
            panel_width = min(max_panel_width, max(image_size[0], 240))
            width = max(
                min(self.columns * panel_width + borders, max_width), self.columns * MIN_COLUMN_WIDTH + borders
            )
        self.column_width = (width - borders) // self.columns
        if self.column_width < MIN_COLUMN_WIDTH:
            least = MIN_COLUMN_WIDTH * self.columns + borders
            raise ValueError(f"`figure_width` must be at least {least} pixels for these panels, but is {width}.")
        self.width = width
        self.image_size = image_size
        self.patch_size = patch_size
        self.palette, self.class_names = palette, class_names
        self.panel_size = panel_size(image_size, self.column_width)
        self.layer_colours = layer_colours([layer for config in pause_configs for layer in config.pause_ratios])
        self._class_key_height = self._draw_class_key(self._longest_class_key()).height
        self._layer_key = self._draw_layer_key()

    def compose(self, image: Image.Image, rows: Sequence[FigureRow]) -> Image.Image:
        """The frame that shows an image and what each pause configuration made of it.

        Args:
            image: The image as the model saw it; one of another size than `image_size` is stretched.
            rows: One for each pause configuration.
        """
        small = image.convert("RGB").resize(self.panel_size, Image.Resampling.LANCZOS)
        segmentations = [
            overlay_segmentation(small, _sample(row.label_map, image.size, self.panel_size), self.palette)
            for row in rows
        ]
        maps = [_sample(row.pause_map, image.size, self.panel_size, self.patch_size) for row in rows]
        pauses = [tint_paused(small, pause_layers, self.layer_colours) for pause_layers in maps]
        if len(rows) == 1:
            body = stack([self._head(rows[0], self._inner_width), self._strip([segmentations[0], pauses[0]])], 4)
        else:
            heads = self._strip([self._head(row, self.column_width) for row in rows])
            body = stack([stack([heads, self._strip(segmentations)], 4), self._strip(pauses)], GAP)
        parts = [body, self._draw_class_key(self._class_key(rows))]
        return self._frame(parts if self._layer_key is None else [*parts, self._layer_key])

    def kept_colours(self) -> list[Colour]:
        """Colours that the shared palette of a GIF must have: paper, ink, and every class and layer over greys."""
        shades = max(1, min(_MAX_SHADES, _MAX_TINTS // max(1, len(self.palette))))
        greys = np.linspace(0, 255, shades + 2)[1:-1].round().astype(np.uint8)
        picture = Image.fromarray(np.repeat(greys[None, :, None], 3, axis=2))
        tinted = [
            overlay_segmentation(picture, np.full((1, shades), label), self.palette)
            for label in range(len(self.palette))
        ]
        tinted += [
            tint_paused(picture, np.full((1, shades), layer), self.layer_colours) for layer in self.layer_colours
        ]
        colours = [PAPER, INK, FAINT, *self.layer_colours.values(), *self.palette[:_MAX_TINTS]]
        return colours + [tuple(colour) for part in tinted for colour in np.asarray(part)[0].tolist()]

    @property
    def _inner_width(self) -> int:
        return self.column_width * self.columns + GAP * (self.columns - 1)

    def _head(self, row: FigureRow, width: int) -> Image.Image:
        name = fit_text(row.label, NAME_SIZE, width)
        return stack([name, fit_text(row.describe("stay active"), FINDING_SIZE, width, FAINT)], 0)

    def _strip(self, parts: Sequence[Image.Image]) -> Image.Image:
        """Pictures in the columns."""
        strip = Image.new("RGB", (self._inner_width, max(part.height for part in parts)), PAPER)
        for column, part in enumerate(parts):
            strip.paste(part, (column * (self.column_width + GAP), 0))
        return strip

    def _frame(self, parts: Sequence[Image.Image]) -> Image.Image:
        """Everything on paper; a class key of fewer lines than there may be leaves its place empty."""
        body, class_key, *layer_key = parts
        space = Image.new("RGB", (self._inner_width, self._class_key_height), PAPER)
        space.paste(class_key)
        content = stack([body, stack([space, *layer_key], 2)], 8)
        picture = Image.new("RGB", (self.width, content.height + 2 * MARGIN), PAPER)
        picture.paste(content.crop((0, 0, self._inner_width, content.height)), (MARGIN, MARGIN))
        return picture

    def _class_key(self, rows: Sequence[FigureRow]) -> list[int]:
        """The classes that the key names: all of few, else those with the most pixels."""
        if len(self.palette) <= MAX_FIXED_CLASSES:
            return list(range(len(self.palette)))
        labels = np.concatenate([row.label_map.ravel() for row in rows])
        pixels = np.bincount(labels, minlength=len(self.palette))
        present = np.argsort(-pixels, kind="stable")[:MAX_NAMED_CLASSES]
        return sorted(int(label) for label in present if pixels[label])

    def _longest_class_key(self) -> list[int]:
        labels = list(range(len(self.palette)))
        if len(labels) <= MAX_FIXED_CLASSES:
            return labels
        return sorted(labels, key=lambda label: len(self.class_names[label]))[-MAX_NAMED_CLASSES:]

    def _draw_class_key(self, labels: Sequence[int]) -> Image.Image:
        entries = [(self.palette[label], self.class_names[label]) for label in labels]
        return draw_key(entries, self._inner_width, KEY_SIZE)

    def _draw_layer_key(self) -> Image.Image | None:
        if not self.layer_colours:
            return None
        entries = [(colour, f"paused after layer {layer}") for layer, colour in self.layer_colours.items()]
        return draw_key([*entries, (PAPER, "never paused: image visible")], self._inner_width, KEY_SIZE)


def _sample(values: np.ndarray, image_size: tuple[int, int], panel_size: tuple[int, int], cell: int = 1) -> np.ndarray:
    """The value under the centre of each pixel of a panel: (height, width) of the panel.

    Args:
        values: One for each cell of the image, row by row.
        image_size: (width, height) in pixels.
        panel_size: (width, height) in pixels.
        cell: Pixels of the image along a side of a cell.
    """
    columns, rows = (
        ((np.arange(small) + 0.5) * large / small).astype(int) // cell
        for large, small in zip(image_size, panel_size, strict=True)
    )
    return np.asarray(values)[rows[:, None], columns[None, :]]


__all__ = ["PanelLayout"]
