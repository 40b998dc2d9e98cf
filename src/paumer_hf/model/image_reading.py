# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads images of any kind, Pillow's, arrays, tensors, files or URLs, as arrays with the channels first."""

import base64
import io
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from huggingface_hub import get_session
from PIL import Image, ImageOps


UNREADABLE = (OSError, EOFError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow raises for files that are damaged, too large or none of an image."""

URL_BEGINNINGS = ("http://", "https://")

# Characters that an error repeats of what is no file and no URL: base64 texts are long, and some paths are too.
_SHOWN = 300


def open_image(image: Image.Image | str | os.PathLike, timeout: float | None = None) -> Image.Image:
    """An upright Pillow image with the mode that it has; making it RGB is `read_image`'s work.

    transformers' `load_image` would make it RGB by dropping transparency and cutting 16 bits off at 255, so that the
    same file would be another image by its URL than by its path.

    Args:
        image: A Pillow image, a path, a URL or base64 text, with or without "data:image/...;base64," before it.
        timeout: How long to wait for a URL, in seconds; None waits for ever. It is fetched by the client of
            huggingface_hub, which does not where `HF_HUB_OFFLINE` is set.

    Raises:
        ValueError: If there is no such file, a URL cannot be fetched, or it cannot be read as an image.
        TypeError: If it is none of the above.
    """
    if isinstance(image, Image.Image):
        return ImageOps.exif_transpose(image)
    if not isinstance(image, (str, os.PathLike)):
        raise TypeError(f"An image must be a Pillow image, a path, a URL or base64 text, but is a {type(image)}.")
    name = os.fspath(image)
    source = _find_source(name, is_path=not isinstance(image, str), timeout=timeout)
    try:
        with Image.open(source) as file:
            return ImageOps.exif_transpose(file)
    except UNREADABLE as error:
        if isinstance(source, str):
            raise ValueError(f"{name} cannot be read as an image: {error}") from error
        if name.startswith(URL_BEGINNINGS):
            raise ValueError(f"What is at {name} cannot be read as an image.") from error
        raise _no_source(name) from error  # many a path is base64 text of something


def _find_source(name: str, is_path: bool, timeout: float | None) -> str | io.BytesIO:
    """What Pillow can open: a path, or the bytes behind a URL or a base64 text."""
    if os.path.isfile(name):
        return name
    if os.path.isdir(name):
        raise ValueError(f"{name} is a folder. Name an image file.")
    if is_path:
        raise ValueError(f"{name} does not exist. Name an image file.")
    if name.startswith(URL_BEGINNINGS):
        try:
            response = get_session().get(name, timeout=timeout, follow_redirects=True)
            response.raise_for_status()
        except Exception as error:  # of httpx or httpx2, by the version of huggingface_hub
            raise ValueError(f"{name} cannot be fetched: {error}") from error
        return io.BytesIO(response.content)
    encoded = name.partition(",")[2] if name.startswith("data:image/") else name
    try:
        return io.BytesIO(base64.b64decode("".join(encoded.split()), validate=True))
    except ValueError as error:
        raise _no_source(name) from error


def _no_source(name: str) -> ValueError:
    return ValueError(f"{name[:_SHOWN]!r} is no image file, no URL and no image as base64 text. Name an image file.")


def flatten_images(images: Any, field: str, array_ndims: tuple[int, ...]) -> list[Image.Image | np.ndarray]:
    """A list of upright Pillow images and arrays from one, a batch, or nested lists of them.

    Args:
        images: Pillow images, arrays, tensors, paths or URLs.
        field: What to call them in errors.
        array_ndims: The numbers of dimensions that the array of one image may have; a batch has one more than the
            largest.

    Raises:
        ValueError: If there is no image, one cannot be read, or an array has another number of dimensions.
        TypeError: If something is none of the above.
    """
    if isinstance(images, (list, tuple)):
        if not images:
            raise ValueError(f"`{field}` is an empty list. Pass at least one.")
        return [image for part in images for image in flatten_images(part, field, array_ndims)]
    if isinstance(images, (str, os.PathLike)):
        images = open_image(images)
    if isinstance(images, Image.Image):
        return [ImageOps.exif_transpose(images)]
    if isinstance(images, torch.Tensor):
        images = images.detach().cpu()
        images = (images.float() if images.dtype == torch.bfloat16 else images).numpy()
    if not isinstance(images, np.ndarray):
        raise TypeError(
            f"`{field}` must hold Pillow images, NumPy arrays, torch tensors or paths, but has {type(images)}."
        )
    if images.ndim == max(array_ndims) + 1 and images.size:
        return [part for array in images for part in flatten_images(array, field, array_ndims)]
    if images.ndim not in array_ndims or not images.size:
        raise ValueError(
            f"An array in `{field}` must have {' or '.join(map(str, array_ndims))} dimensions, one more for a batch, "
            f"and at least one pixel, but has the shape {images.shape}."
        )
    return [images]


def read_image(
    image: Image.Image | np.ndarray,
    do_convert_rgb: bool | None,
    input_data_format: str | None,
    do_rescale: bool | None,
) -> np.ndarray:
    """One image as an array (channels, height, width): uint8, or float32 where the image has floats.

    Args:
        image: A Pillow image or an array of (height, width), (height, width, channels) or (channels, height, width).
        do_convert_rgb: Whether to bring it to three channels.
        input_data_format: Where an array has its channels, "channels_first" or "channels_last"; None to find out.
        do_rescale: Whether values will be rescaled from 0 ... 255, so that floats must be brought there.

    Raises:
        ValueError: If the channels, the values or the mode are none that a picture has.
    """
    if isinstance(image, Image.Image):
        image = _read_pillow(image, do_convert_rgb)
        input_data_format = "channels_last"
    if image.ndim == 2:
        image, input_data_format = image[None], "channels_first"
    if input_data_format is None:
        input_data_format = _guess_channel_order(image.shape)
    if input_data_format == "channels_last":
        image = np.moveaxis(image, -1, 0)
    image = _to_8_bit_range(image, do_rescale)
    return _to_rgb(image, do_rescale) if do_convert_rgb else image


def _read_pillow(image: Image.Image, do_convert_rgb: bool | None) -> np.ndarray:
    """The values of a Pillow image: (height, width) or (height, width, channels)."""
    if image.mode == "I":
        values = np.array(image)
        if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
            raise ValueError(
                f"An image of the mode I in `images` must have 16-bit values, but has values from {values.min()} to "
                f"{values.max()}. Scale it to 0 ... 255."
            )
        return values.astype(np.uint16)
    if not do_convert_rgb or image.mode == "F" or image.mode.startswith("I;16"):
        return np.array(image)
    if {"A", "a"} & set(image.getbands()) or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    try:
        return np.array(image.convert("RGB"))
    except ValueError as error:
        raise ValueError(f"An image of the mode {image.mode} in `images` cannot become RGB. Convert it.") from error


def _guess_channel_order(shape: Sequence[int]) -> str:
    """Whether the channels of an array come first or last; 3 is a likelier number of channels than 4, and 4 than 1."""
    likeliness = {3: 3, 4: 2, 1: 1}
    first, last = likeliness.get(shape[0], 0), likeliness.get(shape[-1], 0)
    if first == last == 0:
        raise ValueError(
            f"An array in `images` must have 1, 3 or 4 channels, first or last, but has the shape {tuple(shape)}."
        )
    return "channels_last" if last > first else "channels_first"


def _to_8_bit_range(image: np.ndarray, do_rescale: bool | None) -> np.ndarray:
    """Integers to uint8; floats to float32, with `do_rescale` in 0 ... 255."""
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * 255
    if image.dtype == np.uint16:
        return ((image.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    low, high = image.min(), image.max()
    if image.dtype.kind in "iu":
        if low < 0 or high > 255:
            raise ValueError(
                f"An array of {image.dtype} in `images` must have values in 0 ... 255, but has {low} to {high}. Pass "
                "16-bit images as uint16, and scale others."
            )
        return image.astype(np.uint8)
    if image.dtype.kind != "f" or not np.isfinite(low + high):
        raise ValueError(
            f"An array in `images` must hold finite real numbers, but has the type {image.dtype} and values from "
            f"{low} to {high}."
        )
    image = image.astype(np.float32)
    if do_rescale and (low < 0 or high > 255):
        raise ValueError(
            f"A float array in `images` must have values in [0, 1] or [0, 255], but has {low} to {high}. Set "
            "`do_rescale=False` if it is rescaled already, and `do_normalize=False` if it is normalised."
        )
    return image * 255 if do_rescale and high <= 1 else image


def _to_rgb(image: np.ndarray, do_rescale: bool | None) -> np.ndarray:
    """Three channels from (channels, height, width): grey is repeated, transparent pixels are blended with white."""
    if len(image) == 1:
        return np.repeat(image, 3, axis=0)
    if len(image) == 3:
        return image
    if len(image) != 4:
        raise ValueError(
            f"An array in `images` must have 1, 3 or 4 channels to become RGB, but has {len(image)}. Pass three, or "
            "set `do_convert_rgb=False`."
        )
    white = 255 if image.dtype == np.uint8 or do_rescale or image.max() > 1 else 1
    alpha = image[3:].astype(np.float32) / white
    blended = image[:3] * alpha + white * (1 - alpha)
    return blended.round().astype(np.uint8) if image.dtype == np.uint8 else blended


__all__ = ["UNREADABLE", "flatten_images", "open_image", "read_image"]
