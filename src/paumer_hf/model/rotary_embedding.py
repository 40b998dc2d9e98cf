# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Rotary positions of patches: queries and keys are turned by angles that row and column in the image set."""

import math
from typing import NamedTuple

import torch


class RotaryPositions(NamedTuple):
    """Cosines and sines of the angles of patches, as attention needs them.

    Attributes:
        cos: (1 or batch, 1, patches, size of a head).
        sin: The same shape.
    """

    cos: torch.Tensor
    sin: torch.Tensor


def rotary_positions(
    grid: tuple[int, int], head_dim: int, theta: float, device: torch.device, dtype: torch.dtype
) -> RotaryPositions:
    """The angles of all patches of a grid, as in DINOv3.

    Centres of patches have coordinates from -1 to 1 in each direction, whatever the size of the image. The first
    quarter of a head's dimensions turns by the row, the second by the column, and the other half repeats them.

    Args:
        grid: (rows, columns).
        head_dim: Size of an attention head, a multiple of 4.
        theta: Base of the periods.
        device: Where the result lives.
        dtype: Type of the result; the angles are computed in float32, or float64 if this is.
    """
    precise = torch.float64 if dtype == torch.float64 else torch.float32
    exponents = torch.arange(0, 1, 4 / head_dim, dtype=precise, device=device)
    frequencies = 2 * math.pi / theta**exponents
    centres = [2 * (torch.arange(count, dtype=precise, device=device) + 0.5) / count - 1 for count in grid]
    rows, columns = torch.meshgrid(*centres, indexing="ij")
    angles = torch.cat([rows.flatten()[:, None] * frequencies, columns.flatten()[:, None] * frequencies], dim=1)
    angles = angles.repeat(1, 2)[None, None]
    return RotaryPositions(angles.cos().to(dtype), angles.sin().to(dtype))


def select_positions(rotary: RotaryPositions, positions: torch.Tensor) -> RotaryPositions:
    """The angles of the patches that are still active.

    Args:
        rotary: Those of all patches of the grid, (1, 1, patches, size of a head).
        positions: (batch, tokens), places of the active patches.

    Returns:
        (batch, 1, tokens, size of a head).
    """

    def select(table: torch.Tensor) -> torch.Tensor:
        return table[0, 0].index_select(0, positions.flatten()).unflatten(0, positions.shape).unsqueeze(1)

    return RotaryPositions(select(rotary.cos), select(rotary.sin))


def rotate(tokens: torch.Tensor, rotary: RotaryPositions) -> torch.Tensor:
    """Turn the patches among the tokens; the prefix before them stays as it is.

    Args:
        tokens: Queries or keys, (batch, heads, prefix + patches, size of a head).
        rotary: The angles of the patches.
    """
    num_prefix = tokens.shape[2] - rotary.cos.shape[2]
    prefix, patches = tokens[:, :, :num_prefix], tokens[:, :, num_prefix:]
    first, second = patches.chunk(2, dim=-1)
    turned = patches * rotary.cos + torch.cat([-second, first], dim=-1) * rotary.sin
    return torch.cat([prefix, turned], dim=2)


__all__ = ["RotaryPositions", "rotary_positions", "rotate", "select_positions"]
