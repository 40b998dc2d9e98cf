# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Sliding windows: an image is cut into overlapping windows and their logits are averaged."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paumer_hf import PaumerForSemanticSegmentation


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Return where windows start along one side; the last one is shifted back to end at the border.

    A side shorter than the window is covered by one window of the side's own length, because the model takes any
    size: padding would only add pixels that no reference label covers.
    """
    if not 0 < stride <= window:
        raise ValueError(
            f"stride must lie in 1 .. {window} (the window size), got {stride}. "
            "A larger stride would leave pixels out."
        )
    last = max(length - window, 0)
    return [*range(0, last, stride), last]


def derive_seed(pause_config: Any, *positions: int) -> Any:
    """Return the pause configuration with a seed of its own for one place in a data set.

    Random pausing with one seed would pause the same places in every image. The derived seed depends on the seed and
    on the positions only, so an evaluation is reproducible however its images are spread over processes. Anything
    that does not pause at random with a seed is returned as it is.

    Args:
        pause_config: A `PauseConfig` or whatever else a model takes.
        *positions: Index of the image, of the window, and so on.
    """
    if getattr(pause_config, "criterion", None) != "random" or pause_config.seed is None:
        return pause_config
    # A sum of seed and index would make image 1 of seed 0 the same as image 0 of seed 1.
    state = np.random.SeedSequence([pause_config.seed, *positions]).generate_state(1)[0]
    return dataclasses.replace(pause_config, seed=int(state) % 2**31)


class Windows:
    """The windows of images of one size: cuts images into batches of windows, and joins the logits of the batches.

    Args:
        image_size: Height and width of the images in pixels.
        window_size: Height and width of a window; a shorter side of the image is one window long.
        stride: Vertical and horizontal step from window to window, at most the window size.
        batch_size: Number of windows that pass the model together.

    Attributes:
        size: Height and width of every window.
    """

    def __init__(
        self, image_size: Sequence[int], window_size: Sequence[int], stride: Sequence[int], batch_size: int = 4
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
        self._image_size = tuple(image_size)
        self._starts = [window_starts(*sides) for sides in zip(image_size, window_size, stride, strict=True)]
        height, width = (min(sides) for sides in zip(image_size, window_size, strict=True))
        self.size = (height, width)
        corners = itertools.product(*self._starts)
        windows = [(slice(top, top + height), slice(left, left + width)) for top, left in corners]
        self._batches = [windows[first : first + batch_size] for first in range(0, len(windows), batch_size)]

    def cut(self, pixel_values: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield for each batch the number of its first window and its pixels.

        Args:
            pixel_values: Images `(images, channels, height, width)`.

        Yields:
            A number, and `(windows x images, channels, *self.size)`: all images of a window before the next window.
        """
        first = 0
        for batch in self._batches:
            yield first, torch.cat([pixel_values[:, :, rows, columns] for rows, columns in batch])
            first += len(batch)

    def join(self, batches: Sequence[Tensor], upsample: Callable[[Tensor, tuple[int, int]], Tensor]) -> Tensor:
        """Average logits where windows overlap. Only one window's logits are held in pixels beside the sum.

        Args:
            batches: The logits of each batch, `(windows x images, num_labels, rows, columns)` each.
            upsample: `upsample_logits` of the model.

        Returns:
            Logits `(images, num_labels, height, width)` in float32.
        """
        num_images = batches[0].shape[0] // len(self._batches[0])
        # The classes last in memory make the argmax that follows four times as fast.
        shape = (num_images, *self._image_size, batches[0].shape[1])
        total = batches[0].new_zeros(shape, dtype=torch.float32).permute(0, 3, 1, 2)
        for windows, logits in zip(self._batches, batches, strict=True):
            for (rows, columns), window_logits in zip(windows, logits.split(num_images), strict=True):
                total[:, :, rows, columns] += upsample(window_logits, self.size)
        return total.div_(_overlaps(self._image_size, self._starts, self.size).to(total.device))


def sliding_window_logits(
    model: PaumerForSemanticSegmentation,
    pixel_values: Tensor,
    window_size: Sequence[int],
    stride: Sequence[int],
    pause_config: Any = None,
    batch_size: int = 4,
) -> Tensor:
    """Return pixel logits of an image from overlapping windows, averaged where windows overlap.

    Each window pauses on its own.

    Args:
        model: A segmentation model with `upsample_logits`.
        pixel_values: Images `(batch, channels, height, width)`.
        window_size: Height and width of a window in pixels; a shorter side of the image is one window long.
        stride: Vertical and horizontal step from window to window, at most the window size.
        pause_config: What the model pauses in each window; `None` is the model's own default.
        batch_size: Number of windows that pass the model together.

    Returns:
        Logits `(batch, num_labels, height, width)` in float32.
    """
    windows = Windows(pixel_values.shape[-2:], window_size, stride, batch_size)
    batches = [
        model(crops, pause_config=derive_seed(pause_config, first)).logits
        for first, crops in windows.cut(pixel_values)
    ]
    return windows.join(batches, model.upsample_logits)


def _overlaps(image_size: Sequence[int], starts: Sequence[Sequence[int]], window_size: Sequence[int]) -> Tensor:
    """Count the windows that cover each pixel, `(height, width)`."""
    sides = []
    for length, side_starts, window in zip(image_size, starts, window_size, strict=True):
        side = torch.zeros(length)
        for start in side_starts:
            side[start : start + window] += 1
        sides.append(side)
    return torch.outer(*sides)


__all__ = ["Windows", "derive_seed", "sliding_window_logits", "window_starts"]
