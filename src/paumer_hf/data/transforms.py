# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Joint augmentation of an image and its annotation for training, after the recipe of Segmenter.

A sample is resized by a random factor, cropped, flipped and distorted in colour. Every random choice comes from the
generator of the call, so a sample is a function of the image, the annotation and the state of that generator. The crop
is chosen before anything is resized: only the pixels of the crop are ever computed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image


IGNORE_INDEX = 255
"""Label of pixels that belong to no class."""

CROP_ATTEMPTS = 10
BRIGHTNESS_DELTA = 32.0
CONTRAST_RANGE = (0.5, 1.5)
SATURATION_RANGE = (0.5, 1.5)
HUE_DEGREES = 36.0
"""The recipe says 18, in the units of OpenCV, which puts the circle of hues into 180 steps."""

DISTORTION_PROBABILITY = 0.5


def image_to_tensor(
    image: Image.Image, image_mean: Sequence[float] = (0.5, 0.5, 0.5), image_std: Sequence[float] = (0.5, 0.5, 0.5)
) -> torch.Tensor:
    """Turn an image into normalised pixel values.

    Args:
        image: the image; other modes than RGB are converted.
        image_mean: mean of each channel, on the scale 0 to 1.
        image_std: standard deviation of each channel, on the same scale.

    Returns:
        float32 tensor (3, height, width) with (value / 255 - mean) / std.
    """
    pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    return _normalise(pixels, image_mean, image_std)


def _normalise(pixels: np.ndarray, image_mean: Sequence[float], image_std: Sequence[float]) -> torch.Tensor:
    """Normalise uint8 pixels (height, width, 3) to a float32 tensor (3, height, width)."""
    mean = np.asarray(image_mean, dtype=np.float64)
    std = np.asarray(image_std, dtype=np.float64)
    values = np.empty((3, *pixels.shape[:2]), dtype=np.float32)
    levels = np.arange(256) / 255.0

    # One table of 256 values per channel is exact and several times faster than float arithmetic on every pixel.
    for channel in range(3):
        table = ((levels - mean[channel]) / std[channel]).astype(np.float32)
        np.take(table, pixels[..., channel], out=values[channel], mode="clip")

    return torch.from_numpy(values)


def _levels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def distort_colours(image: Image.Image, rng: np.random.Generator, hue_degrees: float = HUE_DEGREES) -> Image.Image:
    """Change brightness, contrast, saturation and hue of an RGB image, each with probability one half.

    Contrast changes before or after saturation and hue, at random. Each change maps 256 levels to 256 levels, so each
    is one table look-up, and where nothing is drawn the image comes back unchanged.
    """
    brightness, contrast, saturation, hue = rng.random(4) < DISTORTION_PROBABILITY
    contrast_first = rng.random() < 0.5
    delta = rng.uniform(-BRIGHTNESS_DELTA, BRIGHTNESS_DELTA)
    contrast_factor = rng.uniform(*CONTRAST_RANGE)
    saturation_factor = rng.uniform(*SATURATION_RANGE)
    hue_shift = rng.uniform(-hue_degrees, hue_degrees) / 360.0 * 256.0

    identity = np.arange(256, dtype=np.uint8)
    before = _levels(identity + delta) if brightness else identity
    after = identity
    if contrast and contrast_first:
        before = _levels(before * contrast_factor)
    elif contrast:
        after = _levels(identity * contrast_factor)

    if before is not identity:
        image = image.point(before.tolist() * 3)

    if saturation or hue:
        hues = np.mod(np.rint(identity + hue_shift), 256).astype(np.uint8) if hue else identity
        saturations = _levels(identity * saturation_factor) if saturation else identity
        table = np.concatenate([hues, saturations, identity])
        image = image.convert("HSV").point(table.tolist()).convert("RGB")

    if after is not identity:
        image = image.point(after.tolist() * 3)

    return image


@dataclass(frozen=True)
class TrainingTransform:
    """Turns an image and its annotation into a random training crop.

    Args:
        crop_size: height and width of the crop.
        resize_short_side: length that the short side has before the random factor, unless the long side then were
            longer than `resize_long_side`.
        resize_long_side: length that the long side has before the random factor, unless the short side then were
            longer than `resize_short_side`. Without either length the image keeps its own size.
        scale_range: smallest and largest random factor of the size; the aspect ratio is kept.
        cat_max_ratio: largest share of the labelled pixels of a crop that one class may have. A crop above it is drawn
            again, up to 10 times; 1 accepts every crop.
        flip_probability: how often the crop is mirrored left to right.
        photometric_distortion: whether brightness, contrast, saturation and hue change.
        hue_degrees: by how much the hue then changes at most, to either side, on the colour circle of 360 degrees.
        image_mean: mean of each channel, on the scale 0 to 1.
        image_std: standard deviation of each channel, on the same scale.
    """

    crop_size: tuple[int, int]
    resize_short_side: int | None = None
    resize_long_side: int | None = None
    scale_range: tuple[float, float] = (0.5, 2.0)
    cat_max_ratio: float = 0.75
    flip_probability: float = 0.5
    photometric_distortion: bool = True
    hue_degrees: float = HUE_DEGREES
    image_mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    image_std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
        """Bring sequences to tuples and refuse values that no crop can be made with."""
        for name in ("crop_size", "scale_range", "image_mean", "image_std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

        if len(self.crop_size) != 2 or any(not isinstance(side, int) or side < 1 for side in self.crop_size):
            raise ValueError(
                f"crop_size must be two positive integers (height, width), got {self.crop_size}; pass e.g. (256, 256)."
            )
        for name in ("resize_short_side", "resize_long_side"):
            length = getattr(self, name)
            if length is not None and length < 1:
                raise ValueError(
                    f"{name} must be a positive integer or None, got {length}; pass None to set no bound by it."
                )
        if len(self.scale_range) != 2 or not 0 < self.scale_range[0] <= self.scale_range[1]:
            raise ValueError(
                f"scale_range must be (smallest, largest) with 0 < smallest <= largest, got {self.scale_range}; pass"
                " (1.0, 1.0) for no random resizing."
            )
        if not 0 < self.cat_max_ratio <= 1:
            raise ValueError(
                f"cat_max_ratio must be in (0, 1], got {self.cat_max_ratio}; pass 1.0 to accept every crop."
            )
        if not 0 <= self.flip_probability <= 1:
            raise ValueError(
                f"flip_probability must be in [0, 1], got {self.flip_probability}; pass 0.0 for no flipping."
            )
        self._check_colours()

    def _check_colours(self) -> None:
        if not 0 <= self.hue_degrees <= 180:
            raise ValueError(f"hue_degrees must be in [0, 180], got {self.hue_degrees}; pass 0.0 to keep hues.")
        if len(self.image_mean) != 3:
            raise ValueError(
                f"image_mean must have 3 values, one per channel, got {self.image_mean}; pass e.g. 3 x 0.5."
            )
        if len(self.image_std) != 3 or any(value <= 0 for value in self.image_std):
            raise ValueError(
                f"image_std must have 3 positive values, one per channel, got {self.image_std}; pass e.g. 3 x 0.5."
            )

    def __call__(
        self, image: Image.Image, annotation: np.ndarray, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw one training sample.

        Args:
            image: the image, RGB.
            annotation: integer classes (height, width), 255 where ignored.
            rng: source of every random choice.

        Returns:
            Pixel values, float32 (3, *crop_size), and labels, int64 (*crop_size). Where the resized image is smaller
            than the crop, the right and the bottom are filled with 0 and 255.
        """
        if annotation.shape != (image.height, image.width):
            raise ValueError(
                f"annotation must have the size of the image, {(image.height, image.width)}, got {annotation.shape};"
                " check that both belong to one sample and that neither was rotated or resized alone."
            )
        if image.mode != "RGB":
            image = image.convert("RGB")

        scaled_size = self._draw_scaled_size(annotation.shape, rng)
        top, left, labels = self._draw_crop(annotation, scaled_size, rng)
        height, width = labels.shape

        row_step = image.height / scaled_size[0]
        column_step = image.width / scaled_size[1]
        box = (
            left * column_step,
            top * row_step,
            min((left + width) * column_step, image.width),
            min((top + height) * row_step, image.height),
        )
        crop = image.resize((width, height), Image.Resampling.BILINEAR, box=box)
        if self.photometric_distortion:
            crop = distort_colours(crop, rng, self.hue_degrees)

        pixels = np.asarray(crop)
        if rng.random() < self.flip_probability:
            pixels, labels = pixels[:, ::-1], labels[:, ::-1]

        return self._pad(_normalise(pixels, self.image_mean, self.image_std), labels)

    def _draw_scaled_size(self, size: tuple[int, ...], rng: np.random.Generator) -> tuple[int, int]:
        scale = rng.uniform(*self.scale_range)
        sides = ((self.resize_short_side, min(size)), (self.resize_long_side, max(size)))
        scale *= min((length / side for length, side in sides if length is not None), default=1.0)
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

    def _draw_crop(
        self, annotation: np.ndarray, scaled_size: tuple[int, int], rng: np.random.Generator
    ) -> tuple[int, int, np.ndarray]:
        """Choose a place in the scaled frame; return its top, its left and the labels there (nearest neighbour)."""
        height, width = (min(crop, scaled) for crop, scaled in zip(self.crop_size, scaled_size, strict=True))
        # A crop that fills the whole frame has one place only, so drawing again could not change it.
        attempts = CROP_ATTEMPTS if self.cat_max_ratio < 1 and (height, width) != scaled_size else 0

        for attempt in range(attempts + 1):
            top = int(rng.integers(scaled_size[0] - height + 1))
            left = int(rng.integers(scaled_size[1] - width + 1))
            rows = _nearest(top, height, scaled_size[0], annotation.shape[0])
            columns = _nearest(left, width, scaled_size[1], annotation.shape[1])
            labels = annotation[rows[:, None], columns]
            if attempt == attempts or _largest_share(labels) <= self.cat_max_ratio:
                break

        return top, left, labels

    def _pad(self, pixel_values: torch.Tensor, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        height, width = labels.shape
        if (height, width) == self.crop_size:
            return pixel_values, torch.from_numpy(labels.astype(np.int64))

        padded_values = torch.zeros((3, *self.crop_size))
        padded_values[:, :height, :width] = pixel_values
        padded_labels = torch.full(self.crop_size, IGNORE_INDEX, dtype=torch.int64)
        padded_labels[:height, :width] = torch.from_numpy(labels.astype(np.int64))
        return padded_values, padded_labels


def _nearest(start: int, length: int, scaled_length: int, source_length: int) -> np.ndarray:
    """Source index under the centre of each pixel of a stretch of the scaled frame."""
    centres = (np.arange(start, start + length) + 0.5) * (source_length / scaled_length)
    return np.minimum(centres.astype(np.int64), source_length - 1)


def _largest_share(labels: np.ndarray) -> float:
    """Share of the most frequent class among the labelled pixels; infinite where no pixel is labelled."""
    counts = np.bincount(labels.ravel(), minlength=IGNORE_INDEX + 1)
    counts[IGNORE_INDEX] = 0
    total = counts.sum()
    return counts.max() / total if total else math.inf


__all__ = ["IGNORE_INDEX", "TrainingTransform", "distort_colours", "image_to_tensor"]
