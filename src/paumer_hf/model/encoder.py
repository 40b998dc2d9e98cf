# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The encoder: a plain stack of layers, in which patches pause after the layers of a pause configuration."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from .configuration_paumer import PaumerConfig
from .pause_config import PauseConfig, num_paused
from .pausing import PatchTokens, entropy, pause_tokens, random_scores
from .rotary_embedding import RotaryPositions, select_positions
from .transformer_layer import PaumerLayer


class EncoderOutput(NamedTuple):
    """What leaves the encoder.

    Attributes:
        prefix: (batch, prefix tokens, hidden size).
        active: The patches that went through all layers.
        paused: From pause layer to the patches that paused after it, as that layer left them.
    """

    prefix: torch.Tensor
    active: PatchTokens
    paused: dict[int, PatchTokens]


class PaumerEncoder(nn.Module):
    """The layers of the ViT. A paused token is neither updated nor attended to by later layers."""

    def __init__(self, config: PaumerConfig) -> None:
        super().__init__()
        self.num_prefix_tokens = config.num_prefix_tokens
        self.layers = nn.ModuleList(PaumerLayer(config, index) for index in range(config.num_hidden_layers))

    def forward(
        self,
        hidden_states: torch.Tensor,
        pause_config: PauseConfig,
        auxiliary_head: Callable[[torch.Tensor], torch.Tensor],
        rotary: RotaryPositions | None = None,
        **kwargs: Any,
    ) -> EncoderOutput:
        """Run the layers.

        Args:
            hidden_states: (batch, prefix + patches, hidden size).
            pause_config: Which patches pause where; validated against the number of layers.
            auxiliary_head: From tokens to class logits, whose entropy says which patches are done.
            rotary: The rotary positions of all patches; those of the active ones follow them.
            **kwargs: For the attention implementation.
        """
        batch_size, num_tokens = hidden_states.shape[:2]
        num_prefix = self.num_prefix_tokens
        positions = torch.arange(num_tokens - num_prefix, device=hidden_states.device).expand(batch_size, -1)
        active = PatchTokens(hidden_states[:, num_prefix:], positions)
        paused: dict[int, PatchTokens] = {}
        active_rotary = rotary

        for layer_number, layer in enumerate(self.layers, start=1):
            hidden_states = layer(hidden_states, active_rotary, **kwargs)
            active = active._replace(hidden_states=hidden_states[:, num_prefix:])
            if layer_number in pause_config.pause_ratios:
                # A Python integer before any tensor work: shapes are known when a graph is traced.
                count = num_paused(active.positions.shape[1], pause_config.pause_ratios[layer_number])
                active = active._replace(auxiliary_logits=auxiliary_head(active.hidden_states))
                scores = pause_scores(active, pause_config, layer_number)
                active, paused[layer_number] = pause_tokens(active, scores, count)
                hidden_states = torch.cat([hidden_states[:, :num_prefix], active.hidden_states], dim=1)
                if rotary is not None:
                    active_rotary = select_positions(rotary, active.positions)

        return EncoderOutput(hidden_states[:, :num_prefix], active, paused)


def pause_scores(active: PatchTokens, pause_config: PauseConfig, layer_number: int) -> torch.Tensor:
    """The scores (batch, tokens) by which patches pause after a layer; the lowest do.

    Choosing is not differentiable: the auxiliary head learns from its own loss alone.
    """
    if pause_config.criterion == "random":
        return random_scores(active.positions, layer_number, pause_config.seed)
    return entropy(active.auxiliary_logits.detach())


__all__ = ["EncoderOutput", "PaumerEncoder", "pause_scores"]
