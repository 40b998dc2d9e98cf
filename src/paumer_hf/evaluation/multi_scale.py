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

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.data import image_to_tensor
from paumer_hf.evaluation.sliding_window import derive_seed, sliding_window_logits


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


def predict_labels(
    model: PaumerForSemanticSegmentation,
    scaled_images: Sequence[Tensor],
    pause_config: PauseConfig,
    settings: EvaluationSettings,
    size: tuple[int, int],
) -> Tensor:
    """Predict the classes of images from all of their scales, and from their mirror images if the settings say so.

    Logits exist for one scale at a time. Each scale and mirror image pauses on its own; where random pausing has a
    seed, each has another one derived from it.

    Args:
        model: A segmentation model.
        scaled_images: The pixel values at each scale, each `(batch, 3, height, width)`.
        pause_config: What the model pauses.
        settings: Windows and mirror images; the scales are those of `scaled_images`.
        size: Height and width of the label maps.

    Returns:
        Label maps `(batch, *size)`.
    """
    passes = list(itertools.product(scaled_images, (False, True) if settings.flip else (False,)))
    if len(passes) == 1:  # probabilities have their largest value where logits have it
        return _pixel_logits(model, scaled_images[0], pause_config, settings, size).argmax(1)
    total = torch.zeros(())
    for number, (pixel_values, is_mirrored) in enumerate(passes):
        seeded = derive_seed(pause_config, number) if number else pause_config
        image = pixel_values.flip(-1) if is_mirrored else pixel_values
        logits = _pixel_logits(model, image, seeded, settings, size)
        probabilities = (logits.flip(-1) if is_mirrored else logits).softmax(1)
        total = total.add_(probabilities) if number else probabilities
    return total.argmax(1)


def _pixel_logits(
    model: PaumerForSemanticSegmentation,
    pixel_values: Tensor,
    pause_config: PauseConfig,
    settings: EvaluationSettings,
    size: tuple[int, int],
) -> Tensor:
    """Return float32 logits `(batch, num_labels, *size)` of images, whole or by sliding windows."""
    if settings.window_size is None:
        patch_logits = model(pixel_values, pause_config=pause_config).logits
        logits = model.upsample_logits(patch_logits, tuple(pixel_values.shape[-2:]))
    else:
        logits = sliding_window_logits(
            model,
            enlarge_to_window(pixel_values, settings.window_size),
            settings.window_size,
            settings.stride or settings.window_size,
            pause_config,
            settings.window_batch_size,
        )
    if tuple(logits.shape[-2:]) != size:
        logits = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    return logits


__all__ = [
    "MULTI_SCALES",
    "EvaluationSettings",
    "enlarge_to_window",
    "predict_labels",
    "scaled_pixel_values",
    "scaled_size",
]
