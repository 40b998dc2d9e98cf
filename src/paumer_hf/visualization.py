# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures of what PAUMER does to an image: the segmentation, which patches pause where, and the entropy behind it."""

import dataclasses
import os
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from paumer_hf import PauseConfig
from paumer_hf.files import atomic_path
from paumer_hf.picture_layout import (
    FAINT,
    GAP,
    INK,
    PAPER,
    TEXT_SIZE,
    TITLE_SIZE,
    Colour,
    add_margin,
    beside,
    draw_key,
    draw_text,
    panel_size,
    stack,
)


# Anchors of two sequential colour scales that people with any colour vision can order, and that stay apart in grey:
# from blue to yellow for layers, from black over red to pale yellow for entropy. Darker layers could be mistaken for a
# dark photograph.
LAYER_SCALE: tuple[Colour, ...] = ((59, 72, 170), (33, 145, 140), (94, 201, 98), (253, 231, 37))
ENTROPY_SCALE: tuple[Colour, ...] = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))


@dataclasses.dataclass(frozen=True)
class FigureRow:
    """What one pause configuration made of an image.

    Attributes:
        pause_config: The configuration.
        label_map: (height, width) of the image, class indices.
        pause_map: (rows, columns) of the patches, the layer after which each paused, 0 for never.
        entropy: (rows, columns), in nats.
        entropy_title: Of which prediction it is the entropy.
        name: What the user calls the configuration, such as the name of a preset; empty where the layers are its name.
        images_per_second: How fast the model was, if it was timed.
    """

    pause_config: PauseConfig
    label_map: np.ndarray
    pause_map: np.ndarray
    entropy: np.ndarray
    entropy_title: str
    name: str = ""
    images_per_second: float | None = None

    @property
    def label(self) -> str:
        """The configuration in words: its name and its layers."""
        random = " at random" if self.pause_config.criterion == "random" else ""
        layers = f"{self.pause_config.to_text()}{random}" if self.pause_config else "dense"
        return layers if self.name in ("", self.pause_config.to_text(), "dense") else f"{self.name} ({layers})"

    def describe(self, activity: str = "of the patches active at the end") -> str:
        """What it saved: the share of patches that stay active to the end, and the measured speed.

        Args:
            activity: What stands behind the percentage.
        """
        active = 100 * float(np.mean(np.asarray(self.pause_map) == 0))
        found = f"{active:.0f} % {activity}" if self.pause_config else "no patch pauses"
        return found if self.images_per_second is None else f"{found}, {format_speed(self.images_per_second)}"

    def timed(self, images_per_second: float) -> "FigureRow":
        """The same with the speed of the model."""
        return dataclasses.replace(self, images_per_second=images_per_second)


def format_speed(images_per_second: float) -> str:
    """A speed with three digits, such as "3.17 images/s"."""
    digits = f"{images_per_second:#.3g}" if images_per_second < 100 else f"{images_per_second:.0f}"
    return f"{digits} images/s"


def scale_colours(anchors: Sequence[Colour], places: np.ndarray) -> np.ndarray:
    """Colours at places in [0, 1] of a scale: (..., 3), uint8."""
    positions = np.linspace(0, 1, len(anchors))
    channels = [np.interp(places, positions, channel) for channel in np.asarray(anchors).T]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def layer_colours(layers: Sequence[int]) -> dict[int, Colour]:
    """A colour for each pause layer, from dark for the first to bright for the last."""
    ordered = sorted(set(layers))
    places = np.linspace(0, 1, len(ordered)) if len(ordered) > 1 else np.full(len(ordered), 0.5)
    return {
        layer: (int(red), int(green), int(blue))
        for layer, (red, green, blue) in zip(ordered, scale_colours(LAYER_SCALE, places), strict=True)
    }


def overlay_segmentation(
    image: Image.Image, label_map: np.ndarray, palette: Sequence[Colour], opacity: float = 0.6
) -> Image.Image:
    """The image, tinted with the colour of each pixel's class.

    Args:
        image: The image.
        label_map: (height, width) of the image. Indices without a colour, such as 255 for no class, leave the image.
        palette: Colour of each class.
        opacity: Of the tint, from 0 for the image alone to 1 for the colours alone.

    Raises:
        ValueError: If the label map has another size than the image.
    """
    label_map = np.asarray(label_map)
    if label_map.shape != (image.height, image.width):
        raise ValueError(
            f"`label_map` must have the height and width of the image, {(image.height, image.width)}, but has the "
            f"shape {label_map.shape}. Resize it to the nearest value."
        )
    pixels = np.asarray(image.convert("RGB"), dtype=np.float32)
    coloured = (label_map >= 0) & (label_map < len(palette))
    colours = np.asarray(palette, dtype=np.float32)[np.where(coloured, label_map, 0)]
    tinted = np.where(coloured[..., None], (1 - opacity) * pixels + opacity * colours, pixels)
    return Image.fromarray(tinted.round().astype(np.uint8))


def draw_pause_map(
    image: Image.Image,
    pause_map: np.ndarray,
    patch_size: int,
    colours: Mapping[int, Colour] | None = None,
    opacity: float = 0.8,
) -> Image.Image:
    """The image under the patches that paused, each in the colour of its pause layer; active patches show the image.

    Args:
        image: The image as the model saw it.
        pause_map: (rows, columns) of the patches, the layer after which each paused, 0 for never.
        patch_size: Pixels along a side of a patch.
        colours: Colour of each pause layer; made from those in `pause_map` where none are given.
        opacity: Of the colours.

    Raises:
        ValueError: If the patches do not cover the image, or a layer has no colour.
    """
    pause_map = np.asarray(pause_map)
    layers = sorted(set(pause_map.flatten().tolist()) - {0})
    colours = layer_colours(layers) if colours is None else colours
    missing = [layer for layer in layers if layer not in colours]
    if missing:
        raise ValueError(f"`colours` must have a colour for each pause layer, but has none for {missing}. Add them.")
    return tint_paused(image, _to_pixels(pause_map, patch_size, image.size), colours, opacity)


def tint_paused(
    image: Image.Image, pause_layers: np.ndarray, colours: Mapping[int, Colour], opacity: float = 0.8
) -> Image.Image:
    """The image under the pixels that paused, each in the colour of its pause layer.

    Args:
        image: The image.
        pause_layers: (height, width) of the image, the layer after which each pixel's patch paused, 0 for never.
        colours: Colour of each pause layer.
        opacity: Of the colours.
    """
    # Grey under the colours, so that only they tell the layers apart.
    grey = Image.merge("RGB", [image.convert("L")] * 3)
    palette = [colours.get(layer, INK) for layer in range(max([0, *colours]) + 1)]
    paused = overlay_segmentation(grey, pause_layers, palette, opacity)
    return Image.composite(paused, image.convert("RGB"), Image.fromarray((pause_layers > 0).astype(np.uint8) * 255))


def draw_entropy(
    entropy: np.ndarray, patch_size: int, size: tuple[int, int], maximum: float | None = None
) -> Image.Image:
    """The entropy of each patch's prediction: black for none, bright for much.

    Args:
        entropy: (rows, columns) of the patches.
        patch_size: Pixels along a side of a patch.
        size: (width, height) of the image, as Pillow has it.
        maximum: The entropy of the brightest colour; that of the map where it is not given.
    """
    entropy = np.asarray(entropy, dtype=np.float64)
    maximum = float(entropy.max()) if maximum is None else maximum
    places = np.clip(entropy / max(maximum, 1e-9), 0, 1)
    return Image.fromarray(_to_pixels(scale_colours(ENTROPY_SCALE, places), patch_size, size))


def _to_pixels(patches: np.ndarray, patch_size: int, size: tuple[int, int]) -> np.ndarray:
    """Repeat each patch's value over its pixels, without those that the model padded."""
    width, height = size
    rows, columns = patches.shape[:2]
    if (rows, columns) != (-(-height // patch_size), -(-width // patch_size)):
        raise ValueError(
            f"{rows} x {columns} patches of {patch_size} pixels do not cover an image of height {height} and width "
            f"{width}. Pass the image as the model saw it."
        )
    return patches.repeat(patch_size, axis=0).repeat(patch_size, axis=1)[:height, :width]


def compose_figure(
    title: str,
    image: Image.Image,
    rows: Sequence[FigureRow],
    patch_size: int,
    palette: Sequence[Colour],
    class_names: Sequence[str],
    panel_width: int = 480,
) -> Image.Image:
    """One row for each pause configuration: segmentation, pause map and entropy, with titles and legends.

    Args:
        title: Of the whole figure.
        image: The image as the model saw it.
        rows: What each pause configuration made of it. The colours mean the same in all rows.
        patch_size: Pixels along a side of a patch.
        palette: Colour of each class.
        class_names: Name of each class.
        panel_width: Width of a panel in pixels; an image in portrait format becomes narrower.

    Raises:
        ValueError: If there is no row, or the maps do not fit the image.
    """
    if not rows:
        raise ValueError("`rows` must hold at least one pause configuration, but is empty.")
    colours = layer_colours([layer for row in rows for layer in row.pause_config.pause_ratios])
    maximum = max(float(np.max(row.entropy)) for row in rows)
    size = panel_size(image.size, panel_width)
    strips = [draw_text(title, TITLE_SIZE)]
    for row in rows:
        panels = [
            ("segmentation", overlay_segmentation(image, row.label_map, palette)),
            (
                "where patches pause" if row.pause_config else "image",
                draw_pause_map(image, row.pause_map, patch_size, colours),
            ),
            (row.entropy_title, draw_entropy(row.entropy, patch_size, image.size, maximum)),
        ]
        legends = [
            draw_key(_class_key(row.label_map, palette, class_names), panel_width),
            draw_key(_pause_key(row.pause_map, colours), panel_width),
            _draw_scale(maximum, panel_width),
        ]
        # Labels and edges of patches must stay as they are; only the photograph may be smoothed.
        resized = [panel.resize(size, Image.Resampling.LANCZOS) for _, panel in panels[:2]]
        resized.append(panels[2][1].resize(size, Image.Resampling.NEAREST))
        stacks = [
            stack([draw_text(caption, TEXT_SIZE, FAINT), panel, legend], 6)
            for (caption, _), panel, legend in zip(panels, resized, legends, strict=True)
        ]
        heading = draw_text(f"{row.label}: {row.describe()}", TITLE_SIZE)
        strips.append(stack([heading, beside(stacks, panel_width)], 8))
    return add_margin(stack(strips, GAP))


def _class_key(
    label_map: np.ndarray, palette: Sequence[Colour], class_names: Sequence[str]
) -> list[tuple[Colour, str]]:
    """The classes in the map, the largest first; of many the twelve largest."""
    labels, counts = np.unique(label_map, return_counts=True)
    present = [int(labels[i]) for i in np.argsort(-counts) if 0 <= labels[i] < len(class_names)]
    key: list[tuple[Colour, str]] = [(palette[label], class_names[label]) for label in present[:12]]
    return key + ([(PAPER, f"and {len(present) - 12} more")] if len(present) > 12 else [])


def _pause_key(pause_map: np.ndarray, colours: Mapping[int, Colour]) -> list[tuple[Colour, str]]:
    """The pause layers in the map, and how many patches stay active."""
    shares = {layer: 100 * float(np.mean(np.asarray(pause_map) == layer)) for layer in (0, *colours)}
    key = [(colours[layer], f"after layer {layer}: {shares[layer]:.0f} %") for layer in colours if shares[layer]]
    return [*key, (PAPER, f"never, image visible: {shares[0]:.0f} %")]


def _draw_scale(maximum: float, width: int) -> Image.Image:
    """The scale of the entropy, from nothing to `maximum`."""
    low, high = draw_text("0", TEXT_SIZE), draw_text(f"{maximum:.2f} nats", TEXT_SIZE)
    bar_width = max(20, width - low.width - high.width - 24)
    bar = np.tile(scale_colours(ENTROPY_SCALE, np.linspace(0, 1, bar_width)), (TEXT_SIZE, 1, 1))
    return beside([low, Image.fromarray(bar), high], 0, 10)


def label_map_image(label_map: np.ndarray, palette: Sequence[Colour]) -> Image.Image:
    """A palette image whose values are the class indices and whose colours are those of the classes, others black."""
    if len(palette) > 256:
        raise ValueError(f"A label map is a PNG of at most 256 classes, but `palette` has {len(palette)} colours.")
    indexed = Image.fromarray(np.asarray(label_map).astype(np.uint8)).convert("P")
    levels = [level for colour in palette for level in colour]
    # A shorter palette would make the PNG writer use fewer bits and cut off 255, the mark of pixels without a class.
    indexed.putpalette(levels + [0] * (3 * 256 - len(levels)))
    return indexed


def save_png(image: Image.Image, path: str | os.PathLike) -> None:
    """Write a PNG in one step: an existing file is replaced by a whole one or stays."""
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")


__all__ = [
    "Colour",
    "FigureRow",
    "compose_figure",
    "draw_entropy",
    "draw_pause_map",
    "format_speed",
    "label_map_image",
    "layer_colours",
    "overlay_segmentation",
    "save_png",
    "scale_colours",
    "tint_paused",
]
