# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From pixels to tokens: prefix and patch tokens with their position embeddings, for images of any size."""

import torch
from torch import nn

from .configuration_paumer import PaumerConfig


class PaumerPatchEmbeddings(nn.Module):
    """Cuts an image into patches and projects each to a token; pads with zeros to whole patches."""

    def __init__(self, config: PaumerConfig) -> None:
        super().__init__()
        self.patch_size = config.patch_size
        self.num_channels = config.num_channels
        self.projection = nn.Conv2d(
            config.num_channels, config.hidden_size, kernel_size=config.patch_size, stride=config.patch_size
        )

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """From (batch, channels, height, width) to (batch, hidden size, rows, columns) of patches.

        Raises:
            ValueError: If the pixel values have another number of dimensions or channels.
        """
        if pixel_values.ndim != 4 or pixel_values.shape[1] != self.num_channels:
            raise ValueError(
                f"`pixel_values` must have the shape (batch, {self.num_channels}, height, width), but has "
                f"{tuple(pixel_values.shape)}."
            )
        height, width = pixel_values.shape[-2:]
        padding = (0, -width % self.patch_size, 0, -height % self.patch_size)
        if any(padding):
            pixel_values = nn.functional.pad(pixel_values, padding)
        return self.projection(pixel_values.to(self.projection.weight.dtype))


class PaumerEmbeddings(nn.Module):
    """The `[CLS]` token and the patch tokens of an image, with position embeddings interpolated to its patch grid."""

    def __init__(self, config: PaumerConfig) -> None:
        super().__init__()
        self.patch_grid = config.patch_grid
        num_positions = config.num_prefix_tokens + self.patch_grid[0] * self.patch_grid[1]
        self.num_prefix_tokens = config.num_prefix_tokens
        self.patch_embeddings = PaumerPatchEmbeddings(config)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.position_embeddings = nn.Parameter(torch.zeros(1, num_positions, config.hidden_size))
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def interpolate_position_embeddings(self, grid: tuple[int, int]) -> torch.Tensor:
        """The position embeddings for a grid of patches: bilinear, as Segmenter does it; (1, tokens, hidden size)."""
        if grid == self.patch_grid:
            return self.position_embeddings
        prefix = self.position_embeddings[:, : self.num_prefix_tokens]
        patches = self.position_embeddings[:, self.num_prefix_tokens :]
        patches = patches.unflatten(1, self.patch_grid).permute(0, 3, 1, 2)
        patches = patches if patches.dtype == torch.float64 else patches.float()
        resized = nn.functional.interpolate(patches, size=grid, mode="bilinear", align_corners=False)
        return torch.cat([prefix, resized.to(prefix.dtype).flatten(2).transpose(1, 2)], dim=1)

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        """From pixels to (batch, prefix + patches, hidden size), and the (rows, columns) of the patch grid."""
        patches = self.patch_embeddings(pixel_values)
        grid = (patches.shape[2], patches.shape[3])
        patches = patches.flatten(2).transpose(1, 2)
        prefix = self.cls_token.expand(patches.shape[0], -1, -1).to(patches.dtype)
        tokens = torch.cat([prefix, patches], dim=1) + self.interpolate_position_embeddings(grid)
        return self.dropout(tokens), grid


__all__ = ["PaumerEmbeddings", "PaumerPatchEmbeddings"]
