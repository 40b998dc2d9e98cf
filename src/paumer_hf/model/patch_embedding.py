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
    """The prefix and patch tokens of an image, with learned position embeddings interpolated to its patch grid."""

    def __init__(self, config: PaumerConfig) -> None:
        super().__init__()
        self.config = config
        hidden_size = config.hidden_size
        self.patch_embeddings = PaumerPatchEmbeddings(config)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, hidden_size))
        self.distillation_token = (
            nn.Parameter(torch.zeros(1, 1, hidden_size)) if config.use_distillation_token else None
        )
        self.register_tokens = (
            nn.Parameter(torch.zeros(1, config.num_register_tokens, hidden_size))
            if config.num_register_tokens
            else None
        )
        self.position_embeddings = None
        if config.position_embedding_type == "learned":
            num_positions = config.num_prefix_positions + config.patch_grid[0] * config.patch_grid[1]
            self.position_embeddings = nn.Parameter(torch.zeros(1, num_positions, hidden_size))
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def prefix_tokens(self) -> torch.Tensor:
        """The tokens before the patches: (1, prefix, hidden size)."""
        tokens = (self.cls_token, self.distillation_token, self.register_tokens)
        return torch.cat([token for token in tokens if token is not None], dim=1)

    def interpolate_position_embeddings(self, grid: tuple[int, int]) -> torch.Tensor:
        """The learned position embeddings for a grid of patches: (1, positions, hidden size)."""
        if grid == self.config.patch_grid:
            return self.position_embeddings
        num_prefix = self.config.num_prefix_positions
        prefix, patches = self.position_embeddings[:, :num_prefix], self.position_embeddings[:, num_prefix:]
        resized = resize_position_embeddings(
            patches,
            self.config.patch_grid,
            grid,
            mode=self.config.position_interpolation_mode,
            antialias=self.config.position_interpolation_antialias,
        )
        return torch.cat([prefix, resized], dim=1)

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        """From pixels to (batch, prefix + patches, hidden size), and the (rows, columns) of the patch grid."""
        patches = self.patch_embeddings(pixel_values)
        grid = (patches.shape[2], patches.shape[3])
        patches = patches.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.prefix_tokens().expand(patches.shape[0], -1, -1).to(patches.dtype), patches], dim=1)
        if self.position_embeddings is not None:
            positions = self.interpolate_position_embeddings(grid)
            without = tokens.shape[1] - positions.shape[1]
            if without:
                # Those of the prefix that have no position embedding stand between those that have and the patches.
                num_prefix = self.config.num_prefix_positions
                zeros = positions.new_zeros(1, without, positions.shape[2])
                positions = torch.cat([positions[:, :num_prefix], zeros, positions[:, num_prefix:]], dim=1)
            tokens = tokens + positions
        return self.dropout(tokens), grid


def resize_position_embeddings(
    positions: torch.Tensor, from_grid: tuple[int, int], to_grid: tuple[int, int], *, mode: str, antialias: bool
) -> torch.Tensor:
    """Position embeddings of patches for another grid.

    Args:
        positions: (1, rows * columns, hidden size) of `from_grid`.
        from_grid: (rows, columns).
        to_grid: (rows, columns).
        mode: `"bilinear"` or `"bicubic"`.
        antialias: Whether to use antialiasing.

    Returns:
        (1, rows * columns, hidden size) of `to_grid`; interpolated in float32, or float64 if they are.
    """
    image = positions.unflatten(1, from_grid).permute(0, 3, 1, 2)
    image = image if image.dtype == torch.float64 else image.float()
    resized = nn.functional.interpolate(image, size=to_grid, mode=mode, align_corners=False, antialias=antialias)
    return resized.to(positions.dtype).flatten(2).transpose(1, 2)


__all__ = ["PaumerEmbeddings", "PaumerPatchEmbeddings", "resize_position_embeddings"]
