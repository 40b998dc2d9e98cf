# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What the auxiliary head says of each patch after each layer, and when it is first right."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.model.pausing import entropy
from paumer_hf.model.segmentation_maps import segmentation_map


NO_LABEL = -1
"""Label of a patch most of whose pixels have none, and its first correct layer."""

NEVER = 0
"""First correct layer of a patch that no layer classifies correctly."""


class LayerPredictions(NamedTuple):
    """The auxiliary predictions of one image, none of whose patches pauses.

    Attributes:
        entropy: (layers, rows, columns), in nats; the first is that after layer 1.
        labels: (layers, rows, columns), the class of highest score.
    """

    entropy: np.ndarray
    labels: np.ndarray


class PausedImage(NamedTuple):
    """What a pause configuration did to one image.

    Attributes:
        pause_map: (rows, columns), the layer after which each patch paused, 0 for never.
        entropies: From pause layer to the entropy (rows, columns) of the auxiliary prediction there in nats, nan
            where a patch was no longer active.
        label_map: (height, width) of the image, class indices.
    """

    pause_map: np.ndarray
    entropies: dict[int, np.ndarray]
    label_map: np.ndarray


def patch_labels(annotation: np.ndarray, patch_size: int, num_labels: int) -> np.ndarray:
    """The most frequent class among the labelled pixels of each patch; of equally frequent ones the first.

    Args:
        annotation: (height, width), class of each pixel. Values outside of [0, num_labels) are no label.
        patch_size: Pixels along a side of a patch. Patches at the lower and right edge may reach over the image; what
            lies outside does not count.
        num_labels: Number of classes.

    Returns:
        (rows, columns), int64; `NO_LABEL` where fewer than half of a patch's pixels are labelled.
    """
    height, width = annotation.shape
    rows, columns = -(-height // patch_size), -(-width // patch_size)
    y, x = np.arange(height) // patch_size, np.arange(width) // patch_size
    patches = y[:, None] * columns + x[None, :]
    values = annotation.astype(np.int64)
    # The place behind the last class counts the pixels without a label.
    values = np.where((values >= 0) & (values < num_labels), values, num_labels)
    places = patches * (num_labels + 1) + values
    counts = np.bincount(places.ravel(), minlength=rows * columns * (num_labels + 1))
    counts = counts.reshape(rows, columns, num_labels + 1)
    labelled = counts[..., :num_labels]
    is_labelled = 2 * labelled.sum(axis=-1) >= counts.sum(axis=-1)
    return np.where(is_labelled, labelled.argmax(axis=-1), NO_LABEL)


def first_correct_layer(labels: np.ndarray, references: np.ndarray) -> np.ndarray:
    """The first layer after which each patch is classified correctly, whatever later layers make of it.

    Args:
        labels: (layers, rows, columns), predicted classes.
        references: (rows, columns), as of `patch_labels`.

    Returns:
        (rows, columns): layers from 1, `NEVER`, or `NO_LABEL` where the reference has none.
    """
    correct = labels == references
    first = np.where(correct.any(axis=0), correct.argmax(axis=0) + 1, NEVER)
    return np.where(references == NO_LABEL, NO_LABEL, first)


@torch.inference_mode()
def predict_layers(
    model: PaumerForSemanticSegmentation,
    processor: PaumerImageProcessor,
    image: Image.Image,
    window_size: Sequence[int] | None = None,
) -> LayerPredictions:
    """The auxiliary prediction of every patch of an image after every layer; nothing pauses.

    Args:
        model: The model, in eval mode.
        processor: Its image processor, for mean and standard deviation. The image keeps its size.
        image: The image.
        window_size: Height and width in pixels of the windows that the model sees, multiples of the patch size; where
            windows overlap, the first counts. None means the whole image at once.

    Raises:
        ValueError: If the window has no whole number of patches.
    """
    pixel_values = _pixel_values(model, processor, image)
    logits: torch.Tensor | None = None
    for pixels, patches, grid in _windows(pixel_values, window_size, model.config.patch_size):
        part = _layer_logits(model, pixel_values[pixels])
        logits = part.new_zeros(part.shape[0], *grid, part.shape[3]) if logits is None else logits
        logits[:, *patches] = part
    assert logits is not None
    return LayerPredictions(entropy(logits).cpu().numpy(), logits.argmax(dim=-1).cpu().numpy())


def check_window(window_size: Sequence[int] | None, patch_size: int) -> tuple[int, int] | None:
    """Height and width of a window, or None.

    Raises:
        ValueError: If these are not two multiples of the patch size.
    """
    if window_size is None:
        return None
    if len(window_size) != 2 or any(side < patch_size or side % patch_size for side in window_size):
        raise ValueError(
            f"`window_size` must be a height and a width that are multiples of the patch size, {patch_size}, but is "
            f"{list(window_size)}."
        )
    return window_size[0], window_size[1]


def _windows(
    pixel_values: torch.Tensor, window_size: Sequence[int] | None, patch_size: int
) -> Iterator[tuple[tuple[Any, ...], tuple[slice, slice], tuple[int, int]]]:
    """Windows over (1, channels, height, width): where in the pixels, where in the patches, and rows and columns.

    They come from the last to the first, so that the first overwrites the others.
    """
    height, width = pixel_values.shape[-2:]
    window = check_window(window_size, patch_size) or (height, width)
    for top in reversed(_window_starts(height, window[0])):
        for left in reversed(_window_starts(width, window[1])):
            edges = ((top, min(top + window[0], height)), (left, min(left + window[1], width)))
            rows, columns = (slice(*edge) for edge in edges)
            patch_rows, patch_columns = (slice(start // patch_size, end // patch_size) for start, end in edges)
            grid = (height // patch_size, width // patch_size)
            yield (..., rows, columns), (patch_rows, patch_columns), grid


def _window_starts(length: int, window: int) -> list[int]:
    """Where windows begin; the last ends with the image, which overlaps where they do not divide it."""
    return sorted({min(start, max(0, length - window)) for start in range(0, length, window)})


def _layer_logits(model: PaumerForSemanticSegmentation, pixel_values: torch.Tensor) -> torch.Tensor:
    """The auxiliary logits (layers, rows, columns, classes) of one image."""
    outputs = model(pixel_values, pause_config=PauseConfig(), output_hidden_states=True)
    rows, columns = outputs.pause_map.shape[1:]
    patches = torch.cat(outputs.hidden_states[1:])[:, model.config.num_prefix_tokens :]
    return model.paumer.auxiliary_head(patches).unflatten(1, (rows, columns))


@torch.inference_mode()
def pause_image(
    model: PaumerForSemanticSegmentation,
    processor: PaumerImageProcessor,
    image: Image.Image,
    pause_config: PauseConfig,
    window_size: Sequence[int] | None = None,
) -> PausedImage:
    """Segment an image, and say what paused where and how sure the auxiliary prediction was at each pause layer.

    Args:
        model: The model, in eval mode.
        processor: Its image processor, for mean and standard deviation. The image keeps its size.
        image: The image.
        pause_config: Which patches pause after which layers.
        window_size: As of `predict_layers`; each window pauses its share of patches.

    Raises:
        ValueError: If the configuration pauses nothing or does not fit the model, or the window does not.
    """
    if not pause_config:
        raise ValueError("`pause_config` must pause patches after one layer or more, but is dense. Name e.g. 3:0.4.")
    pause_config.validate(model.config.num_hidden_layers)
    pixel_values = _pixel_values(model, processor, image)
    whole: dict[Any, torch.Tensor] = {}
    for pixels, patches, grid in _windows(pixel_values, window_size, model.config.patch_size):
        for name, part in _pause_window(model, pixel_values[pixels], pause_config).items():
            whole.setdefault(name, part.new_zeros(*grid, *part.shape[2:]))[patches] = part
    size = (image.height, image.width)
    label_map = segmentation_map(whole["logits"].permute(2, 0, 1), size, size, model.config.patch_size)
    entropies = {layer: whole[layer].cpu().numpy() for layer in pause_config.pause_ratios}
    return PausedImage(whole["pause_map"].cpu().numpy(), entropies, label_map.cpu().numpy())


def _pause_window(
    model: PaumerForSemanticSegmentation, pixel_values: torch.Tensor, pause_config: PauseConfig
) -> dict[Any, torch.Tensor]:
    """Of one window `logits` (rows, columns, classes), `pause_map` and, by pause layer, entropy (rows, columns)."""
    outputs = model(pixel_values, pause_config=pause_config, output_hidden_states=True)
    pause_map = outputs.pause_map[0]
    parts: dict[Any, torch.Tensor] = {"logits": outputs.logits[0].permute(1, 2, 0), "pause_map": pause_map}
    for layer in pause_config.pause_ratios:
        # The tokens of a pause layer are those of the patches active in it, in the order of their places.
        active = outputs.hidden_states[layer][0, model.config.num_prefix_tokens :]
        parts[layer] = torch.full(pause_map.shape, float("nan"), device=active.device)
        parts[layer][(pause_map == 0) | (pause_map >= layer)] = entropy(model.paumer.auxiliary_head(active))
    return parts


def _pixel_values(
    model: PaumerForSemanticSegmentation, processor: PaumerImageProcessor, image: Image.Image
) -> torch.Tensor:
    inputs = processor(image, do_resize=False, size_divisor=model.config.patch_size, return_tensors="pt")
    return inputs.pixel_values.to(model.device)


__all__ = [
    "NEVER",
    "NO_LABEL",
    "LayerPredictions",
    "PausedImage",
    "check_window",
    "first_correct_layer",
    "patch_labels",
    "pause_image",
    "predict_layers",
]
