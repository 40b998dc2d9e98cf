# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The loss of semantic segmentation."""

import torch
from torch import nn


def pixel_cross_entropy(logits: torch.Tensor, labels: torch.Tensor, ignore_index: int) -> torch.Tensor:
    """Mean cross-entropy over the labelled pixels; zero, not NaN, where there are none.

    Args:
        logits: (batch, classes, height, width).
        labels: (batch, height, width), integers.
        ignore_index: The label of pixels without a class.
    """
    labels = labels.long()
    total = nn.functional.cross_entropy(
        logits.permute(0, 2, 3, 1).flatten(0, 2), labels.flatten(), ignore_index=ignore_index, reduction="sum"
    )
    return total / (labels != ignore_index).sum().clamp(min=1)


__all__ = ["pixel_cross_entropy"]
