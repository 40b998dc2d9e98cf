# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From the logits of one image, on the grid of patches, to its label map in pixels."""

import torch
from torch.nn import functional as F


# Cells of fewer pixels than this along a side are interpolated with all others: the shortcut would not pay.
MIN_CELL_SIZE = 4

# With more disagreement than this among neighbouring patches the shortcut would not pay either.
MAX_MIXED_SHARE = 0.8

# Pixels interpolated at once by the shortcut, few enough for their scores to stay in the processor's cache.
CHUNK_PIXELS = 4096


def segmentation_scores(
    logits: torch.Tensor,
    target_size: tuple[int, int],
    image_size: tuple[int, int] | None = None,
    patch_size: int = 16,
) -> torch.Tensor:
    """Logits of one image, interpolated bilinearly to the size of the original image.

    Args:
        logits: (classes, rows, columns); fast where the classes are last in memory, as the model returns them.
        target_size: (height, width) of the original image.
        image_size: (height, width) of the image within the padded pixels that the logits cover. The logits are then
            interpolated by the patch size first and what lies over padding is cut off. None where they cover just the
            image.
        patch_size: Pixels along a side of a patch.

    Returns:
        (classes, height, width) in float32; not interpolated where the target is the size of the logits.
    """
    # The classes last in memory make interpolation and argmax several times as fast. The batch dimension comes before
    # the permutation: added after it, its stride would make torch take the logits for ones with the classes first.
    scores = _classes_last(logits)[None].permute(0, 3, 1, 2)
    if image_size is not None:
        rows, columns = (-(-side // patch_size) + 1 for side in image_size)
        scores = F.interpolate(scores[:, :, :rows, :columns], scale_factor=patch_size, mode="bilinear")
        scores = scores[:, :, : image_size[0], : image_size[1]]
    if scores.shape[-2:] != target_size:
        scores = F.interpolate(scores, size=target_size, mode="bilinear")
    return scores[0]


def segmentation_map(
    logits: torch.Tensor,
    target_size: tuple[int, int],
    image_size: tuple[int, int] | None = None,
    patch_size: int = 16,
) -> torch.Tensor:
    """The class with the highest of `segmentation_scores` for each pixel: (height, width), int64.

    Between four neighbouring patches every score is a weighted mean of theirs. Where all four have the same best class
    it is therefore the best of all pixels between them, and only the other cells are interpolated. The result is the
    same up to ties. The shortcut needs a whole number of pixels between patches, and is for CPUs.
    """
    scale, grid = None, logits
    if image_size is None:
        if target_size[0] % logits.shape[1] == 0 and target_size[1] % logits.shape[2] == 0:
            scale = (target_size[0] // logits.shape[1], target_size[1] // logits.shape[2])
    elif image_size == target_size:
        rows, columns = (-(-side // patch_size) + 1 for side in image_size)
        scale, grid = (patch_size, patch_size), logits[:, :rows, :columns]
    pixels = None
    if scale is not None and min(scale) >= MIN_CELL_SIZE and logits.device.type == "cpu":
        pixels = _map_by_cells(_classes_last(grid), scale)
    if pixels is None:
        return segmentation_scores(logits, target_size, image_size, patch_size).argmax(dim=0)
    return pixels[: target_size[0], : target_size[1]]


def _classes_last(logits: torch.Tensor) -> torch.Tensor:
    """(classes, rows, columns) to a contiguous (rows, columns, classes) in float32."""
    return logits.float().permute(1, 2, 0).contiguous()


def _map_by_cells(logits: torch.Tensor, scale: tuple[int, int]) -> torch.Tensor | None:
    """The classes of all pixels from (rows, columns, classes), interpolating only where neighbours disagree.

    None where too many of them disagree.
    """
    rows, columns = logits.shape[:2]
    height, width = scale
    # A cell lies between the centres of 2 x 2 patches. Repeating the outermost patches gives the rim cells as well.
    top = torch.arange(-1, rows).clamp(min=0)
    bottom = torch.arange(0, rows + 1).clamp(max=rows - 1)
    left = torch.arange(-1, columns).clamp(min=0)
    right = torch.arange(0, columns + 1).clamp(max=columns - 1)
    corners = [(y[:, None] * columns + x[None, :]) for y in (top, bottom) for x in (left, right)]

    patches = logits.flatten(0, 1)
    classes = patches.argmax(dim=-1)
    corner_classes = [classes[corner] for corner in corners]
    first = corner_classes[0]
    mixed = (corner_classes[1] != first) | (corner_classes[2] != first) | (corner_classes[3] != first)
    if mixed.sum() > MAX_MIXED_SHARE * mixed.numel():
        return None
    cells = first[:, :, None, None].repeat(1, 1, height, width)

    cell_rows, cell_columns = mixed.nonzero(as_tuple=True)
    corner_indices = torch.stack([corner[cell_rows, cell_columns] for corner in corners], dim=-1)
    weights = _corner_weights(scale).to(logits.dtype)
    num_cells = max(1, CHUNK_PIXELS // (height * width))
    for start in range(0, len(cell_rows), num_cells):
        part = slice(start, start + num_cells)
        scores = weights @ patches[corner_indices[part]]
        cells[cell_rows[part], cell_columns[part]] = scores.argmax(dim=-1).unflatten(1, scale)

    # The centre of the first patch is half a cell inside the image.
    pixels = cells.permute(0, 2, 1, 3).flatten(2).flatten(0, 1)
    y, x = height - height // 2, width - width // 2
    return pixels[y : y + rows * height, x : x + columns * width]


def _corner_weights(scale: tuple[int, int]) -> torch.Tensor:
    """Shares of the four corners in each pixel of a cell: (pixels, 4), in the order of `corners`."""
    # With an even number of pixels none lies on the centre of a patch, with an odd number the first of a cell does.
    down, right = ((torch.arange(side) + (0.0 if side % 2 else 0.5)) / side for side in scale)
    vertical, horizontal = torch.stack([1 - down, down], dim=-1), torch.stack([1 - right, right], dim=-1)
    return (vertical[:, None, :, None] * horizontal[None, :, None, :]).flatten(2).flatten(0, 1)


__all__ = ["segmentation_map", "segmentation_scores"]
