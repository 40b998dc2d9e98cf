# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What PAUMER models return: the outputs of transformers' segmentation models, and what paused where."""

from dataclasses import dataclass

import torch
from transformers.utils import ModelOutput


@dataclass
class PaumerModelOutput(ModelOutput):
    """Output of the encoder with pausing.

    Attributes:
        last_hidden_state: (batch, prefix tokens + patches, hidden size), the assembled tokens after the final layer
            normalisation. A paused patch has the representation of the layer that it paused after.
        auxiliary_logits: (batch, classes, rows, columns), for each patch the auxiliary prediction at the last pause
            layer that saw it active; None without pausing.
        pause_map: (batch, rows, columns), for each patch the layer after which it paused, 0 for never.
        hidden_states: The embeddings and the output of each layer, before any patch pauses after it. After a pause
            there are fewer tokens: (batch, prefix tokens + active patches, hidden size).
        attentions: The attention weights of each layer between the tokens that it processes.
    """

    last_hidden_state: torch.Tensor | None = None
    auxiliary_logits: torch.Tensor | None = None
    pause_map: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


@dataclass
class PaumerSemanticSegmenterOutput(ModelOutput):
    """Output of semantic segmentation with pausing.

    Attributes:
        loss: With labels, the cross-entropy of the logits plus `auxiliary_loss_weight` times that of the auxiliary
            logits.
        logits: (batch, classes, rows, columns), class logits for each patch; rows and columns are height and width
            of the image divided by the patch size, rounded up.
        hidden_states: As in `PaumerModelOutput`.
        attentions: As in `PaumerModelOutput`.
        auxiliary_logits: As in `PaumerModelOutput`.
        pause_map: As in `PaumerModelOutput`.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None
    auxiliary_logits: torch.Tensor | None = None
    pause_map: torch.Tensor | None = None


__all__ = ["PaumerModelOutput", "PaumerSemanticSegmenterOutput"]
