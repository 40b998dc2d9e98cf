# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Pause configurations for training: one random configuration for each batch, so that one network serves them all."""

import random
from typing import Any

from .configuration_paumer import PaumerConfig
from .pause_config import PauseConfig


class PauseSampler:
    """Draws one pause configuration after the other, as the fields `train_pause_*` of a configuration say.

    The n-th draw is a function of the seed and n alone. All processes of a distributed training therefore pause after
    the same layers with the same ratios, whatever else they draw random numbers for, and a training that goes on
    from a checkpoint (`state_dict`, `load_state_dict`) draws what it would have drawn.

    Attributes:
        num_drawn: How many configurations have been drawn.
    """

    def __init__(self, config: PaumerConfig) -> None:
        """Draw as `config` says at the time of each draw."""
        self.config = config
        self.num_drawn = 0

    def draw(self) -> PauseConfig:
        """The next configuration."""
        config = self.config
        generator = random.Random(f"{config.train_pause_seed} {self.num_drawn}")
        self.num_drawn += 1
        # An encoder of one layer has no layer to pause after.
        num_layers = min(generator.choice(list(config.train_num_pause_layers)), len(config.trained_pause_layers))
        layers = sorted(generator.sample(config.trained_pause_layers, num_layers))
        ratios = {layer: generator.uniform(*config.train_pause_ratios) for layer in layers}
        return PauseConfig(ratios, criterion=config.train_pause_criterion)

    def state_dict(self) -> dict[str, Any]:
        """What a training has to keep to go on with the next draw."""
        return {"num_drawn": self.num_drawn}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where `state_dict` was made."""
        self.num_drawn = int(state_dict["num_drawn"])


__all__ = ["PauseSampler"]
