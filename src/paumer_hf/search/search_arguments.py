# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The command line of a search: one dataclass whose field names are the flags of `scripts/search_pause_config.py`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from paumer_hf import PaumerConfig
from paumer_hf.evaluation.evaluation_arguments import DatasetArguments
from paumer_hf.search.candidates import CandidateGrid
from paumer_hf.search.presets import PRESET_DROPS
from paumer_hf.search.speed import SpeedSettings
from paumer_hf.search.wishes import Wish


# What command lines call something else.
_TAKEN_NAMES = ("", "dense", "default", "table_1")


@dataclass
class SearchArguments(DatasetArguments):
    """What to search for, among what, and how."""

    target_speedup: float | None = field(default=None, metadata={"help": "Find the most accurate so fast or faster."})
    target_throughput: float | None = field(default=None, metadata={"help": "The same, in images/s on this machine."})
    max_drop: float | None = field(default=None, metadata={"help": "Find the fastest that loses so many points."})
    procedure: Literal["exhaustive", "greedy"] = field(
        default="exhaustive", metadata={"help": "Among all configurations, or layer by layer from the best."}
    )
    layers: list[int] | None = field(
        default=None, metadata={"help": "Layers to pause after; from a quarter to three quarters of them by default."}
    )
    ratios: list[float] = field(default_factory=lambda: [0.2, 0.4, 0.6, 0.8], metadata={"help": "Pause ratios."})
    max_pause_layers: int = field(default=2, metadata={"help": "Pause layers of a configuration at most."})
    criterion: Literal["entropy", "random"] = field(default="entropy", metadata={"help": "What pauses."})
    max_gain: float = field(
        default=0.3, metadata={"help": "Points that pausing more may gain at most; what then cannot win is left out."}
    )
    points_per_doubling: float = field(
        default=4.0, metadata={"help": "Of the greedy procedure: points of mIoU that twice the speed is worth."}
    )
    speed: Literal["measured", "macs"] = field(
        default="measured", metadata={"help": "Speed by timing, or by the multiply-accumulates."}
    )
    image_size: list[int] | None = field(
        default=None, metadata={"help": "Side, or height and width, of the timed images; by default the model's."}
    )
    batch_size: int = field(default=1, metadata={"help": "Images in a timed call."})
    threads: int | None = field(default=None, metadata={"help": "Threads of torch on the CPU."})
    sweep_rounds: int = field(default=5, metadata={"help": "How often each configuration is timed."})
    confirmation_rounds: int = field(default=15, metadata={"help": "How often what is found or in doubt is timed."})
    preset_drops: list[float] = field(
        default_factory=lambda: list(PRESET_DROPS.values()),
        metadata={"help": f"Points that the presets {', '.join(PRESET_DROPS)} lose at most."},
    )
    write_presets: bool = field(
        default=True,
        metadata={"help": "Write presets and profile, or the choice as --save_as, into the model."},
    )
    replace_profile: bool = field(
        default=False,
        metadata={"help": "Also over a profile of more images, or a measured one where these speeds are not."},
    )
    save_as: str | None = field(default=None, metadata={"help": "Name of the preset that the choice becomes."})
    tune_malloc: bool = field(default=True, metadata={"help": "Restart with glibc told to keep its memory."})
    output: str = field(default="runs/search", metadata={"help": "Folder for search.json, .md, .png and .sqlite."})

    def check(self) -> None:
        """Refuse what contradicts itself, before anything is loaded.

        Raises:
            ValueError: If flags contradict each other, or a number is outside its range.
        """
        wish = self.wish().given
        self.drops()
        if self.speed == "macs" and self.target_throughput is not None:
            raise ValueError("--target_throughput needs measured images/s. Leave --speed macs out.")
        if self.save_as is not None and not (wish and self.write_presets):
            raise ValueError(
                "--save_as names the preset of a choice. Ask for one by --target_speedup, --target_throughput or "
                "--max_drop, without --write_presets false."
            )
        if self.save_as in _TAKEN_NAMES:
            raise ValueError(f"--save_as must be a name other than {', '.join(map(repr, _TAKEN_NAMES))}.")
        for name in ("max_gain", "points_per_doubling", "num_resamples"):
            if not getattr(self, name) >= 0:  # nan is not
                raise ValueError(f"--{name} must be at least 0, got {getattr(self, name)}.")

    def wish(self) -> Wish:
        """Return what is searched for.

        Raises:
            ValueError: If there are two wishes, or one means nothing.
        """
        names = ("target_speedup", "target_throughput", "max_drop")
        given = [f"--{name}" for name in names if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"A search takes one wish, got {' and '.join(given)}. Leave all but one out.")
        return Wish(min_speedup=self.target_speedup, min_throughput=self.target_throughput, max_drop=self.max_drop)

    def search_layers(self, config: PaumerConfig) -> Sequence[int]:
        """Return the layers to pause after: for 12 layers 3 to 9, as in the paper."""
        if self.layers is not None:
            return self.layers
        num_layers = config.num_hidden_layers
        return range(max(1, num_layers // 4), max(1, min(3 * num_layers // 4, num_layers - 1)) + 1)

    def speed_settings(self, config: PaumerConfig) -> SpeedSettings:
        """Return how speed is measured.

        Raises:
            ValueError: If it cannot be measured so.
        """
        size = self.image_size or config.image_size
        sides = [size] if isinstance(size, int) else list(size)
        return SpeedSettings(
            source=self.speed,
            image_size=tuple(sides * 2 if len(sides) == 1 else sides),  # type: ignore[arg-type]
            batch_size=self.batch_size,
            sweep_rounds=self.sweep_rounds,
            confirmation_rounds=self.confirmation_rounds,
            num_threads=self.threads,
        )

    def grid(self, config: PaumerConfig) -> CandidateGrid:
        """Return what is searched among.

        Raises:
            ValueError: If there is nothing to choose among, or a layer or ratio is outside its range.
        """
        return CandidateGrid(
            layers=self.search_layers(config),
            ratios=self.ratios,
            max_pause_layers=self.max_pause_layers,
            num_layers=config.num_hidden_layers,
            criterion=self.criterion,
            seed=self.seed,
        )

    def drops(self) -> dict[str, float]:
        """Return the points that each preset loses at most.

        Raises:
            ValueError: If they are not as many as the presets, or one means nothing.
        """
        if len(self.preset_drops) != len(PRESET_DROPS) or not all(0 <= drop < math.inf for drop in self.preset_drops):
            raise ValueError(
                f"--preset_drops must be {len(PRESET_DROPS)} numbers of at least 0, for {', '.join(PRESET_DROPS)}, "
                f"got {self.preset_drops}."
            )
        return dict(zip(PRESET_DROPS, self.preset_drops, strict=True))


__all__ = ["SearchArguments"]
