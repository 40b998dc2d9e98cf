# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Image files of any kind as upright RGB images of the size in which they are predicted."""

import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from paumer_hf import PaumerImageProcessor
from paumer_hf.model.image_reading import UNREADABLE


def to_rgb(image: Image.Image) -> Image.Image:
    """The image in 8-bit RGB, upright by its EXIF orientation; transparent pixels are blended with white."""
    array = PaumerImageProcessor().process_image(ImageOps.exif_transpose(image), do_convert_rgb=True)
    return Image.fromarray(np.moveaxis(array, 0, -1).round().astype(np.uint8))


def resize_short_side(image: Image.Image, short_side: int | None) -> Image.Image:
    """The image with a shorter side of so many pixels; None keeps its size.

    Raises:
        ValueError: If `short_side` is less than 1.
    """
    if short_side is None:
        return image
    if short_side < 1:
        raise ValueError(f"`short_side` must be at least 1 pixel, but is {short_side}.")
    scale = short_side / min(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BILINEAR)


def read_image(path: str | os.PathLike) -> Image.Image:
    """An image file as an upright RGB image.

    Raises:
        ValueError: If the file cannot be read as an image.
    """
    try:
        with Image.open(path) as file:
            return to_rgb(file)
    except UNREADABLE as error:
        raise ValueError(f"{Path(path)} cannot be read as an image: {error}") from error


__all__ = ["read_image", "resize_short_side", "to_rgb"]
