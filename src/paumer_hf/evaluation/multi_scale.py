# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""How an image becomes a label map: by one size or several, whole or by windows, as Segmenter evaluates.

The image is resized once for each scale, from its original. Its logits are brought to the size of the reference. Of
several scales and mirror images, the probabilities are summed. Reduced images are averaged over (Pillow's bilinear
filter), as in training; Segmenter samples them without a filter, so the two differ a little at scales below 1 and
nowhere else.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.data import image_to_tensor
from paumer_hf.evaluation.sliding_window import Windows, derive_seed


MULTI_SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
"""The scales of multi-scale evaluation in the papers of Segmenter and PAUMER, each with its mirror image."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How an image becomes a label map; the fields are the conditions under which a mean IoU holds.

    Args:
        image_mean: Mean of each channel that the model was trained with.
        image_std: Standard deviation of each channel that the model was trained with.
        window_size: Height and width of sliding windows; `None` passes the whole image at once. An image that is
            shorter than a window on either side is enlarged until it holds one.
        stride: Step of sliding windows; the window size where it is not given.
        window_batch_size: Number of windows that pass the model together.
        resize_short_side: Shorter side in pixels to which images are resized, unless the longer side then were longer
            than `resize_long_side`. Predictions are always compared at the size of the reference.
        resize_long_side: Longer side in pixels to which images are resized, unless the shorter side then were longer
            than `resize_short_side`. Without either, images keep their size. Segmenter evaluates ADE20K with 512 and
            2048, Cityscapes with 1024 and 2048.
        scales: Factors of the size, 1 being the size that the two fields above give; the predictions at all of them
            are averaged. `MULTI_SCALES` are those of the papers.
        flip: Whether to average over the mirror image at each scale as well.
        dtype: Data type of autocast, such as `torch.bfloat16`; `None` computes in the model's own.
        seed: Seed of random pausing where a pause configuration has none.
        num_random_seeds: Number of seeds that a configuration with random pausing is averaged over.
    """

    image_mean: Sequence[float] = (0.5, 0.5, 0.5)
    image_std: Sequence[float] = (0.5, 0.5, 0.5)
    window_size: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    window_batch_size: int = 4
    resize_short_side: int | None = None
    resize_long_side: int | None = None
    scales: Sequence[float] = (1.0,)
    flip: bool = False
    dtype: torch.dtype | None = None
    seed: int = 0
    num_random_seeds: int = 1

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        if self.stride is not None and self.window_size is None:
            raise ValueError(f"stride={self.stride} needs window_size. Give both or neither.")
        for name in ("window_size", "stride"):
            sides = getattr(self, name)
            if sides is not None and (len(sides) != 2 or min(sides) < 1):
                raise ValueError(f"{name} must be a height and a width of at least 1, got {tuple(sides)}.")
        for name in ("resize_short_side", "resize_long_side", "num_random_seeds"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ValueError(f"{name} must be at least 1, got {number}.")
        if len(self.scales) == 0 or not all(0 < scale < float("inf") for scale in self.scales):
            raise ValueError(
                f"scales must be one or more positive factors, got {tuple(self.scales)}. (1.0,) is one size."
            )


def scaled_size(
    size: Sequence[int], scale: float = 1.0, short_side: int | None = None, long_side: int | None = None
) -> tuple[int, int]:
    """Return the size to which an image is resized, with the ratio of its sides kept.

    The scale multiplies the sides to resize to, not the result of the resizing, and products are rounded as
    mmsegmentation does, which Segmenter reads images with: the bounds down, the sides to the nearest.

    Args:
        size: The two sides in pixels, in any order.
        scale: Factor of `short_side` and `long_side`, or of the image where neither is given.
        short_side: Length of the shorter side, unless the longer one then exceeds `long_side`.
        long_side: Length of the longer side, unless the shorter one then exceeds `short_side`.

    Returns:
        The two sides in the same order, each at least 1.
    """
    sides = ((short_side, min(size)), (long_side, max(size)))
    factor = min((int(length * scale) / side for length, side in sides if length is not None), default=scale)
    first, second = (max(1, int(side * factor + 0.5)) for side in size)
    return first, second


def scaled_pixel_values(image: Image.Image, settings: EvaluationSettings) -> list[Tensor]:
    """Return the normalised image at each of the settings' scales, float32 `(1, 3, height, width)` on the CPU."""
    pixel_values = []
    for scale in settings.scales:
        size = scaled_size(image.size, scale, settings.resize_short_side, settings.resize_long_side)
        resized = image if size == image.size else image.resize(size, Image.Resampling.BILINEAR)
        pixel_values.append(image_to_tensor(resized, settings.image_mean, settings.image_std)[None])
    return pixel_values


def enlarge_to_window(pixel_values: Tensor, window_size: Sequence[int]) -> Tensor:
    """Enlarge images on which a window has no room, with the ratio of their sides kept.

    The side that lacks most gets the length of the window. For square windows this is the shorter side, as in
    Segmenter, and it is the pixel values that are interpolated.

    Args:
        pixel_values: Images `(batch, channels, height, width)`.
        window_size: Height and width of a window in pixels.

    Returns:
        Images of at least the size of a window: the given ones where they are.
    """
    height, width = pixel_values.shape[-2:]
    window_height, window_width = window_size
    if height >= window_height and width >= window_width:
        return pixel_values
    if window_height * width >= window_width * height:  # the height lacks more: window_height / height is larger
        size = (window_height, max(window_width, int(width / height * window_height)))
    else:
        size = (max(window_height, int(height / width * window_width)), window_width)
    return functional.interpolate(pixel_values, size=size, mode="bilinear", align_corners=False)


class ModelInput(NamedTuple):
    """What passes the model in one call: an image at one scale, its mirror image, or a batch of windows.

    Attributes:
        pixel_values: `(images, 3, height, width)`.
        places: Where it stands among the inputs of the image, from which seeds of random pausing are derived.
    """

    pixel_values: Tensor
    places: tuple[int, ...]

    def seeded(self, pause_config: PauseConfig) -> PauseConfig:
        """Return the pause configuration of this call: random pausing with a seed has another one in each."""
        for place in self.places:
            pause_config = derive_seed(pause_config, place)
        return pause_config


class ImagePasses:
    """All that passes the model of images, and the label maps that come of the logits.

    The images pass at every scale, mirrored as well if the settings say so, whole or by windows. Where probabilities
    of several passes are summed, one pass is held in pixels at a time.

    Args:
        scaled_images: The pixel values at each scale, each `(images, 3, height, width)`.
        settings: Windows and mirror images; the scales are those of `scaled_images`.
        size: Height and width of the label maps.

    Attributes:
        inputs: What passes the model.
    """

    def __init__(self, scaled_images: Sequence[Tensor], settings: EvaluationSettings, size: tuple[int, int]) -> None:
        self.inputs: list[ModelInput] = []
        self._size = size
        self._passes: list[tuple[slice, bool, Windows | None, tuple[int, int]]] = []
        mirrored = (False, True) if settings.flip else (False,)
        for number, (pixel_values, is_mirrored) in enumerate(itertools.product(scaled_images, mirrored)):
            image = pixel_values.flip(-1) if is_mirrored else pixel_values
            places = (number,) if number else ()
            first, windows = len(self.inputs), None
            if settings.window_size is None:
                self.inputs.append(ModelInput(image, places))
            else:
                image = enlarge_to_window(image, settings.window_size)
                window_size, stride = settings.window_size, settings.stride or settings.window_size
                windows = Windows(image.shape[-2:], window_size, stride, settings.window_batch_size)
                self.inputs += [ModelInput(crops, (*places, place)) for place, crops in windows.cut(image)]
            image_size = (image.shape[-2], image.shape[-1])
            self._passes.append((slice(first, len(self.inputs)), is_mirrored, windows, image_size))

    def label_maps(self, model: PaumerForSemanticSegmentation, logits: Sequence[Tensor]) -> Tensor:
        """Return the label maps `(images, *size)` that the model's logits of each of `inputs` make."""
        if len(self._passes) == 1:  # probabilities have their largest value where logits have it
            return self._pixel_logits(model, logits, 0).argmax(1)
        total = torch.zeros(())
        for number in range(len(self._passes)):
            probabilities = self._pixel_logits(model, logits, number).softmax(1)
            total = total.add_(probabilities) if number else probabilities
        return total.argmax(1)

    def _pixel_logits(self, model: PaumerForSemanticSegmentation, logits: Sequence[Tensor], number: int) -> Tensor:
        """Return float32 logits `(images, num_labels, *size)` of one pass, turned back if it was mirrored."""
        part, is_mirrored, windows, image_size = self._passes[number]
        if windows is None:
            pixels = model.upsample_logits(logits[part][0], image_size)
        else:
            pixels = windows.join(logits[part], model.upsample_logits)
        if tuple(pixels.shape[-2:]) != self._size:
            pixels = functional.interpolate(pixels, size=self._size, mode="bilinear", align_corners=False)
        return pixels.flip(-1) if is_mirrored else pixels


__all__ = [
    "MULTI_SCALES",
    "EvaluationSettings",
    "ImagePasses",
    "ModelInput",
    "enlarge_to_window",
    "scaled_pixel_values",
    "scaled_size",
]
