# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The pause configurations that a search chooses among, and which of them pauses less than which."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paumer_hf import PauseConfig


# Enough patches for ratios to differ as they do, whatever the image.
_NUM_PATCHES = 10_000


@dataclass(frozen=True)
class CandidateGrid:
    """The dense model, and all configurations of some layers and ratios up to a number of pause layers.

    Args:
        layers: Layers after which patches may pause.
        ratios: Ratios that they may pause with, each in (0, 1).
        max_pause_layers: Largest number of pause layers in a configuration.
        num_layers: Number of encoder layers of the model.
        criterion: `"entropy"` or `"random"`.
        seed: Seed of random pausing.

    Raises:
        ValueError: If there is nothing to choose among, or a layer or ratio is outside its range.
    """

    layers: Sequence[int]
    ratios: Sequence[float]
    max_pause_layers: int
    num_layers: int
    criterion: str = "entropy"
    seed: int = 0

    def __post_init__(self) -> None:
        """Bring layers and ratios into ascending order, each once, and check them."""
        object.__setattr__(self, "layers", tuple(sorted(set(self.layers))))
        object.__setattr__(self, "ratios", tuple(sorted(set(self.ratios))))
        if not self.layers or not self.ratios:
            raise ValueError(
                "A search needs at least one layer and one ratio to choose among, got "
                f"layers={list(self.layers)}, ratios={list(self.ratios)}."
            )
        if self.max_pause_layers < 1:
            raise ValueError(f"max_pause_layers must be at least 1, got {self.max_pause_layers}.")
        outside = [ratio for ratio in self.ratios if not 0 < ratio < 1]  # nan as well
        if outside:
            raise ValueError(
                f"ratios must lie in (0, 1), got {outside[0]}. The dense model is always among the candidates."
            )
        for layer in self.layers:
            self._make({layer: self.ratios[0]}).validate(self.num_layers)

    def list_all(self) -> list[PauseConfig]:
        """List the dense model, then the configurations, those of few pause layers first."""
        found = [PauseConfig()]
        for count in range(1, self.max_pause_layers + 1):
            for layers in itertools.combinations(self.layers, count):
                shares = itertools.product(self.ratios, repeat=count)
                found += [self._make(dict(zip(layers, ratios, strict=True))) for ratios in shares]
        return found

    def list_extensions(self, pause_config: PauseConfig) -> list[PauseConfig]:
        """List the configurations that pause after one layer more than another; none beyond `max_pause_layers`."""
        kept = dict(pause_config.pause_ratios)
        if len(kept) >= self.max_pause_layers:
            return []
        free = [layer for layer in self.layers if layer not in kept]
        return [self._make({**kept, layer: ratio}) for layer in free for ratio in self.ratios]

    def _make(self, pause_ratios: dict[int, float]) -> PauseConfig:
        seed = self.seed if self.criterion == "random" else None
        return PauseConfig.from_dict({"pause_ratios": pause_ratios, "criterion": self.criterion, "seed": seed})


class PauseOrder:
    """Which configuration is gentler than which: processes at least as many patches in every layer.

    Args:
        pause_configs: The configurations.
        num_layers: Number of encoder layers.
    """

    def __init__(self, pause_configs: Sequence[PauseConfig], num_layers: int) -> None:
        self._active = np.array([config.num_active(_NUM_PATCHES, num_layers) for config in pause_configs])

    def is_gentler(self, place: int) -> np.ndarray:
        """Return than which of the configurations the one at a place is gentler, itself among them: bool `(n,)`."""
        return (self._active[place] >= self._active).all(axis=1)


__all__ = ["CandidateGrid", "PauseOrder"]
