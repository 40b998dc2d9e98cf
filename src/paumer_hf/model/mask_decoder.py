# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The decoders of Segmenter: from patch tokens to class logits for each patch."""

import torch
from torch import nn

from .configuration_paumer import PaumerConfig
from .transformer_layer import PaumerDecoderLayer


class PaumerMaskDecoder(nn.Module):
    """The mask transformer: patches and class embeddings attend to each other; their products are the masks."""

    def __init__(self, config: PaumerConfig) -> None:
        super().__init__()
        hidden_size = config.decoder_hidden_size
        self.num_labels = config.num_labels
        self.input_projection = nn.Linear(config.hidden_size, hidden_size)
        self.class_embeddings = nn.Parameter(torch.zeros(1, config.num_labels, hidden_size))
        self.layers = nn.ModuleList(PaumerDecoderLayer(config) for _ in range(config.decoder_num_hidden_layers))
        self.layernorm = nn.LayerNorm(hidden_size, eps=config.decoder_layer_norm_eps)
        self.patch_projection = nn.Linear(hidden_size, hidden_size, bias=False)
        self.class_projection = nn.Linear(hidden_size, hidden_size, bias=False)
        self.mask_layernorm = nn.LayerNorm(config.num_labels, eps=config.decoder_layer_norm_eps)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """From (batch, patches, encoder hidden size) to (batch, patches, classes)."""
        patches = self.input_projection(patches)
        classes = self.class_embeddings.expand(patches.shape[0], -1, -1).to(patches.dtype)
        hidden_states = torch.cat([patches, classes], dim=1)
        for layer in self.layers:
            hidden_states = layer(hidden_states)
        hidden_states = self.layernorm(hidden_states)
        patches = self.patch_projection(hidden_states[:, : -self.num_labels])
        classes = self.class_projection(hidden_states[:, -self.num_labels :])
        patches = nn.functional.normalize(patches, dim=-1)
        classes = nn.functional.normalize(classes, dim=-1)
        return self.mask_layernorm(patches @ classes.transpose(1, 2))


class PaumerLinearDecoder(nn.Module):
    """One linear layer for each patch."""

    def __init__(self, config: PaumerConfig) -> None:
        super().__init__()
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """From (batch, patches, encoder hidden size) to (batch, patches, classes)."""
        return self.classifier(patches)


__all__ = ["PaumerLinearDecoder", "PaumerMaskDecoder"]
