# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The patch assembler: active and paused tokens back at their places in the image."""

import torch

from .pausing import PatchTokens, select_tokens


def assemble_tokens(*groups: PatchTokens) -> PatchTokens:
    """Join groups of tokens that together cover every patch once, in the order of the patches.

    The inverse of `pause_tokens`, for any number of groups in any order.

    Args:
        *groups: The active tokens and each paused group. Either all have auxiliary logits, or none.

    Returns:
        All tokens; `positions` is then 0, 1, 2, ... in each image.
    """
    if len(groups) == 1:
        return groups[0]
    positions = torch.cat([group.positions for group in groups], dim=1)
    # Each position occurs once, so sorting the positions inverts the permutation that pausing made.
    order = positions.argsort(dim=1)
    hidden_states = select_tokens(torch.cat([group.hidden_states for group in groups], dim=1), order)
    auxiliary_logits = None
    if groups[0].auxiliary_logits is not None:
        joined = torch.cat([group.auxiliary_logits for group in groups], dim=1)
        auxiliary_logits = select_tokens(joined, order)
    return PatchTokens(hidden_states, positions.gather(1, order), auxiliary_logits)


def pause_map(active: PatchTokens, paused: dict[int, PatchTokens]) -> torch.Tensor:
    """For each patch the layer after which it paused, 0 for never: (batch, patches), int64.

    Args:
        active: The tokens that stayed active to the end.
        paused: From pause layer to the tokens that paused there.
    """
    num_patches = active.positions.shape[1] + sum(group.positions.shape[1] for group in paused.values())
    layers = active.positions.new_zeros(active.positions.shape[0], num_patches)
    for layer, group in paused.items():
        layers = layers.scatter(1, group.positions, layer)
    return layers


def to_image(values: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """From (batch, patches, channels) to (batch, channels, rows, columns).

    The result is a view with the channels last in memory, in which upsampling and argmax are several times as fast.
    """
    return values.unflatten(1, grid).permute(0, 3, 1, 2)


__all__ = ["assemble_tokens", "pause_map", "to_image"]
