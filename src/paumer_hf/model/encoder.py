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


class EncoderState(NamedTuple):
    """All tokens on their way through the layers. A step returns a new state and leaves the old one as it is.

    Attributes:
        hidden_states: (batch, prefix + active patches, hidden size), what the next layer processes.
        active: The patches among them.
        paused: From pause layer to the patches that paused after it, as that layer left them.
        rotary: The rotary positions of all patches, or None.
        active_rotary: Those of the active patches, or None.
    """

    hidden_states: torch.Tensor
    active: PatchTokens
    paused: dict[int, PatchTokens]
    rotary: RotaryPositions | None = None
    active_rotary: RotaryPositions | None = None

    @property
    def prefix(self) -> torch.Tensor:
        """(batch, prefix tokens, hidden size), which never pause."""
        return self.hidden_states[:, : self.hidden_states.shape[1] - self.active.positions.shape[1]]


class PaumerEncoder(nn.Module):
    """The layers of the ViT. A paused token is neither updated nor attended to by later layers."""

    def __init__(self, config: PaumerConfig) -> None:
        super().__init__()
        self.num_prefix_tokens = config.num_prefix_tokens
        self.layers = nn.ModuleList(PaumerLayer(config, index) for index in range(config.num_hidden_layers))

    def forward(
        self,
        state: EncoderState,
        pause_config: PauseConfig,
        auxiliary_head: Callable[[torch.Tensor], torch.Tensor],
        **kwargs: Any,
    ) -> EncoderState:
        """Run the layers.

        Args:
            state: The state before the first layer.
            pause_config: Which patches pause where; validated against the number of layers.
            auxiliary_head: From tokens to class logits, whose entropy says which patches are done.
            **kwargs: For the attention implementation.
        """
        for layer_number in range(1, len(self.layers) + 1):
            state = self.run_layer(state, layer_number, **kwargs)
            if layer_number in pause_config.pause_ratios:
                state = self.pause(predict_classes(state, auxiliary_head), pause_config, layer_number)
        return state

    def start(self, hidden_states: torch.Tensor, rotary: RotaryPositions | None = None) -> EncoderState:
        """The state before the first layer, in which every patch is active.

        Args:
            hidden_states: (batch, prefix + patches, hidden size).
            rotary: The rotary positions of all patches.
        """
        batch_size, num_tokens = hidden_states.shape[:2]
        num_prefix = self.num_prefix_tokens
        positions = torch.arange(num_tokens - num_prefix, device=hidden_states.device).expand(batch_size, -1)
        active = PatchTokens(hidden_states[:, num_prefix:], positions)
        return EncoderState(hidden_states, active, {}, rotary, rotary)

    def run_layer(self, state: EncoderState, layer_number: int, **kwargs: Any) -> EncoderState:
        """The state after the layer of this number, from 1."""
        hidden_states = self.layers[layer_number - 1](state.hidden_states, state.active_rotary, **kwargs)
        active = state.active._replace(hidden_states=hidden_states[:, self.num_prefix_tokens :])
        return state._replace(hidden_states=hidden_states, active=active)

    def pause(self, state: EncoderState, pause_config: PauseConfig, layer_number: int) -> EncoderState:
        """The state in which the patches that pause after the layer are no longer active.

        Args:
            state: The state after the layer, with auxiliary logits: see `predict_classes`.
            pause_config: Names the layer.
            layer_number: The layer.
        """
        # A Python integer before any tensor work: shapes are known when a graph is traced.
        count = num_paused(state.active.positions.shape[1], pause_config.pause_ratios[layer_number])
        scores = pause_scores(state.active, pause_config, layer_number)
        active, paused = pause_tokens(state.active, scores, count)
        return EncoderState(
            hidden_states=torch.cat([state.prefix, active.hidden_states], dim=1),
            active=active,
            paused={**state.paused, layer_number: paused},
            rotary=state.rotary,
            active_rotary=None if state.rotary is None else select_positions(state.rotary, active.positions),
        )


def predict_classes(state: EncoderState, auxiliary_head: Callable[[torch.Tensor], torch.Tensor]) -> EncoderState:
    """The state with the auxiliary logits of the active patches."""
    logits = auxiliary_head(state.active.hidden_states)
    return state._replace(active=state.active._replace(auxiliary_logits=logits))


def pause_scores(active: PatchTokens, pause_config: PauseConfig, layer_number: int) -> torch.Tensor:
    """The scores (batch, tokens) by which patches pause after a layer; the lowest do.

    Choosing is not differentiable: the auxiliary head learns from its own loss alone.
    """
    if pause_config.criterion == "random":
        return random_scores(active.positions, layer_number, pause_config.seed)
    return entropy(active.auxiliary_logits.detach())


__all__ = ["EncoderState", "PaumerEncoder", "pause_scores", "predict_classes"]
