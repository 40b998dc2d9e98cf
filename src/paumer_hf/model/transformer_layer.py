# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""One pre-norm transformer layer, attention and MLP, which the encoder and the mask decoder share."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from .configuration_paumer import PaumerConfig
from .rotary_embedding import RotaryPositions, rotate


def eager_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention in plain operations, which returns the attention weights as well.

    No token is ever masked: pausing removes tokens, the same number in each image.
    """
    weights = (query * scaling) @ key.transpose(2, 3)
    weights = weights.softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    weights = nn.functional.dropout(weights, p=dropout, training=module.training)
    return (weights @ value).transpose(1, 2), weights


class PaumerAttention(nn.Module):
    """Multi-head self-attention, computed by the implementation that the configuration names."""

    def __init__(
        self,
        config: PaumerConfig,
        *,
        hidden_size: int,
        num_attention_heads: int,
        qkv_bias: bool,
        key_bias: bool,
        dropout_prob: float,
    ) -> None:
        super().__init__()
        self.config = config
        self.head_dim = hidden_size // num_attention_heads
        self.scaling = self.head_dim**-0.5
        self.attention_dropout = dropout_prob
        self.is_causal = False
        self.q_proj = nn.Linear(hidden_size, hidden_size, bias=qkv_bias)
        self.k_proj = nn.Linear(hidden_size, hidden_size, bias=key_bias)
        self.v_proj = nn.Linear(hidden_size, hidden_size, bias=qkv_bias)
        self.o_proj = nn.Linear(hidden_size, hidden_size)

    def forward(
        self, hidden_states: torch.Tensor, rotary: RotaryPositions | None = None, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """From (batch, tokens, hidden size) to the same shape, and the attention weights if they are computed."""
        query, key, value = (
            projection(hidden_states).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        if rotary is not None:
            query, key = rotate(query, rotary), rotate(key, rotary)
        output, weights = self._attention_function(query)(
            self,
            query,
            key,
            value,
            None,
            scaling=self.scaling,
            dropout=self.attention_dropout if self.training else 0.0,
            **kwargs,
        )
        return self.o_proj(output.flatten(2)), weights

    def _attention_function(self, query: torch.Tensor) -> Callable:
        implementation = self.config._attn_implementation
        # On CPUs torch's fused attention runs bfloat16 at the speed of float32, plain matrix products at twice that.
        if implementation == "sdpa" and query.device.type == "cpu" and query.dtype == torch.bfloat16:
            return eager_attention_forward
        return ALL_ATTENTION_FUNCTIONS.get_interface(implementation, eager_attention_forward)


class PaumerMLP(nn.Module):
    """Two linear maps with an activation between them."""

    def __init__(self, hidden_size: int, intermediate_size: int, hidden_act: str, dropout_prob: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(hidden_size, intermediate_size)
        self.activation = ACT2FN[hidden_act]
        self.fc2 = nn.Linear(intermediate_size, hidden_size)
        self.dropout = nn.Dropout(dropout_prob)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Shape in, shape out."""
        return self.fc2(self.dropout(self.activation(self.fc1(hidden_states))))


class PaumerGatedMLP(nn.Module):
    """Two linear maps side by side, of which the activated one gates the other, and a third back."""

    def __init__(self, hidden_size: int, intermediate_size: int, hidden_act: str, dropout_prob: float) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden_size, intermediate_size)
        self.up_proj = nn.Linear(hidden_size, intermediate_size)
        self.activation = ACT2FN[hidden_act]
        self.down_proj = nn.Linear(intermediate_size, hidden_size)
        self.dropout = nn.Dropout(dropout_prob)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Shape in, shape out."""
        gate = self.activation(self.gate_proj(hidden_states))
        return self.down_proj(self.dropout(gate * self.up_proj(hidden_states)))


class PaumerLayerScale(nn.Module):
    """LayerScale: one learned factor for each channel of a residual branch."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))

    def forward(self, branch: torch.Tensor) -> torch.Tensor:
        """Shape in, shape out."""
        return branch * self.weight


class PaumerDropPath(nn.Module):
    """Stochastic depth: in training drops a residual branch of an image with probability `drop_prob`."""

    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, branch: torch.Tensor) -> torch.Tensor:
        """Zero for the images that drop the branch; the others are scaled so that the expectation stays."""
        if not self.training or self.drop_prob == 0.0:
            return branch
        keep_prob = 1.0 - self.drop_prob
        keep = torch.rand(branch.shape[0], 1, 1, device=branch.device) < keep_prob
        return branch * keep.to(branch.dtype) / keep_prob

    def extra_repr(self) -> str:
        """The probability, for the printed model."""
        return f"drop_prob={self.drop_prob:g}"


class PaumerBlock(GradientCheckpointingLayer):
    """Attention and MLP, each on normalised tokens, scaled where there is LayerScale, and added to its input."""

    def __init__(
        self,
        config: PaumerConfig,
        *,
        hidden_size: int,
        num_attention_heads: int,
        intermediate_size: int,
        hidden_act: str,
        layer_norm_eps: float,
        qkv_bias: bool = True,
        key_bias: bool = True,
        use_layer_scale: bool = False,
        use_gated_mlp: bool = False,
        dropout_prob: float,
        attention_dropout_prob: float,
        drop_path_prob: float = 0.0,
    ) -> None:
        super().__init__()
        self.layernorm_before = nn.LayerNorm(hidden_size, eps=layer_norm_eps)
        self.attention = PaumerAttention(
            config,
            hidden_size=hidden_size,
            num_attention_heads=num_attention_heads,
            qkv_bias=qkv_bias,
            key_bias=key_bias,
            dropout_prob=attention_dropout_prob,
        )
        self.layer_scale_attention = PaumerLayerScale(hidden_size) if use_layer_scale else nn.Identity()
        self.layernorm_after = nn.LayerNorm(hidden_size, eps=layer_norm_eps)
        mlp_class = PaumerGatedMLP if use_gated_mlp else PaumerMLP
        self.mlp = mlp_class(hidden_size, intermediate_size, hidden_act, dropout_prob)
        self.layer_scale_mlp = PaumerLayerScale(hidden_size) if use_layer_scale else nn.Identity()
        self.dropout = nn.Dropout(dropout_prob)
        self.drop_path = PaumerDropPath(drop_path_prob)

    def forward(
        self, hidden_states: torch.Tensor, rotary: RotaryPositions | None = None, **kwargs: Any
    ) -> torch.Tensor:
        """From (batch, tokens, hidden size) to the same shape; `rotary` has the angles of the patches among them."""
        attended, _ = self.attention(self.layernorm_before(hidden_states), rotary, **kwargs)
        hidden_states = hidden_states + self.drop_path(self.layer_scale_attention(self.dropout(attended)))
        mapped = self.mlp(self.layernorm_after(hidden_states))
        return hidden_states + self.drop_path(self.layer_scale_mlp(self.dropout(mapped)))


class PaumerLayer(PaumerBlock):
    """A layer of the encoder."""

    def __init__(self, config: PaumerConfig, layer_index: int) -> None:
        """Make layer `layer_index`, counted from 0, whose depth sets the share of dropped paths."""
        super().__init__(
            config,
            hidden_size=config.hidden_size,
            num_attention_heads=config.num_attention_heads,
            intermediate_size=config.intermediate_size,
            hidden_act=config.hidden_act,
            layer_norm_eps=config.layer_norm_eps,
            qkv_bias=config.qkv_bias,
            key_bias=config.qkv_bias if config.key_bias is None else config.key_bias,
            use_layer_scale=config.layer_scale_init_value is not None,
            use_gated_mlp=config.use_gated_mlp,
            dropout_prob=config.hidden_dropout_prob,
            attention_dropout_prob=config.attention_probs_dropout_prob,
            drop_path_prob=config.drop_path_rate * layer_index / max(1, config.num_hidden_layers - 1),
        )


class PaumerDecoderLayer(PaumerBlock):
    """A layer of the mask decoder; a class of its own, so that encoder outputs are recorded without it."""

    def __init__(self, config: PaumerConfig) -> None:
        super().__init__(
            config,
            hidden_size=config.decoder_hidden_size,
            num_attention_heads=config.decoder_num_attention_heads,
            intermediate_size=config.decoder_intermediate_size,
            hidden_act=config.decoder_hidden_act,
            layer_norm_eps=config.decoder_layer_norm_eps,
            dropout_prob=config.decoder_dropout_prob,
            attention_dropout_prob=config.decoder_dropout_prob,
        )


__all__ = ["PaumerAttention", "PaumerDecoderLayer", "PaumerLayer", "PaumerLayerScale"]
