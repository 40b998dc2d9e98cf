# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Multiply-accumulates (MACs) of a PAUMER model, counted by formula.

One MAC is two floating-point operations. As is usual, only convolutions, linear layers and products of matrices count.
Counting by formula sees fused attention, which `torch.utils.flop_counter` leaves out on CPUs.
"""

from collections.abc import Sequence

from paumer_hf import PaumerConfig, PauseConfig


def count_macs_by_part(
    config: PaumerConfig, image_size: Sequence[int], pause_config: PauseConfig | None = None
) -> dict[str, int]:
    """Count the MACs of one image, by part of the model.

    Args:
        config: The architecture.
        image_size: Height and width of the image in pixels.
        pause_config: What pauses; `None` is the dense model.

    Returns:
        MACs of `patch_embedding`, `encoder`, `auxiliary_head` and `decoder`.
    """
    pause_config = PauseConfig() if pause_config is None else pause_config
    pause_config.validate(config.num_hidden_layers)
    rows, columns = (-(-side // config.patch_size) for side in image_size)
    num_patches = rows * columns
    num_active = pause_config.num_active(num_patches, config.num_hidden_layers)
    # The configuration fills in sizes that are None, which its annotations cannot say.
    intermediate_size = config.intermediate_size or 4 * config.hidden_size
    num_values = config.num_channels * config.patch_size**2
    return {
        "patch_embedding": num_patches * num_values * config.hidden_size,
        "encoder": sum(
            _layer_macs(
                config.num_prefix_tokens + active,
                config.hidden_size,
                intermediate_size,
                num_mlp_maps=3 if config.use_gated_mlp else 2,
            )
            for active in num_active
        ),
        # The head predicts for the patches that the pause layer has just processed.
        "auxiliary_head": sum(
            num_active[layer - 1] * config.hidden_size * config.num_labels for layer in pause_config.pause_ratios
        ),
        "decoder": _decoder_macs(config, num_patches),
    }


def count_macs(config: PaumerConfig, image_size: Sequence[int], pause_config: PauseConfig | None = None) -> int:
    """Count the MACs of one image.

    Args:
        config: The architecture.
        image_size: Height and width of the image in pixels.
        pause_config: What pauses; `None` is the dense model.
    """
    return sum(count_macs_by_part(config, image_size, pause_config).values())


def predict_speedup(config: PaumerConfig, image_size: Sequence[int], pause_config: PauseConfig) -> float:
    """Return how many times as fast as the dense model a pause configuration would be if only MACs took time."""
    return count_macs(config, image_size) / count_macs(config, image_size, pause_config)


def _layer_macs(num_tokens: int, hidden_size: int, intermediate_size: int, num_mlp_maps: int = 2) -> int:
    projections = 4 * num_tokens * hidden_size**2
    attention = 2 * num_tokens**2 * hidden_size
    mlp = num_mlp_maps * num_tokens * hidden_size * intermediate_size
    return projections + attention + mlp


def _decoder_macs(config: PaumerConfig, num_patches: int) -> int:
    if config.decoder_type == "linear":
        return num_patches * config.hidden_size * config.num_labels
    num_labels = config.num_labels
    hidden_size = config.decoder_hidden_size or config.hidden_size
    intermediate_size = config.decoder_intermediate_size or 4 * hidden_size
    num_tokens = num_patches + num_labels
    layer = _layer_macs(num_tokens, hidden_size, intermediate_size)
    output_projections = num_tokens * hidden_size**2
    masks = num_patches * hidden_size * num_labels
    input_projection = num_patches * config.hidden_size * hidden_size
    return input_projection + config.decoder_num_hidden_layers * layer + output_projections + masks


__all__ = ["count_macs", "count_macs_by_part", "predict_speedup"]
