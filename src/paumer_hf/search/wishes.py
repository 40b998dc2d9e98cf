# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What a search is made for: a speed, an accuracy, or the whole frontier."""

import math
from dataclasses import dataclass

from paumer_hf.model.profile_point import ProfilePoint


# A timing of few rounds is off by some percent.
NEARLY = 0.05


@dataclass(frozen=True)
class Wish:
    """One wish, or none for the whole frontier.

    Attributes:
        min_speedup: Smallest speed-up over the dense model.
        min_throughput: Smallest number of images/s on the device of the search.
        max_drop: Largest loss against the dense model, in points of mean IoU.
    """

    min_speedup: float | None = None
    min_throughput: float | None = None
    max_drop: float | None = None

    def __post_init__(self) -> None:
        """Refuse two wishes at once, and values that mean nothing."""
        if len(self.given) > 1:
            raise ValueError(f"A search takes one wish, got {' and '.join(self.given)}. Leave all but one out.")
        for name, value in self.given.items():
            if not math.isfinite(value) or value < 0 or (value == 0 and name != "max_drop"):
                rule = "0 or more points of mean IoU" if name == "max_drop" else "a positive number"
                raise ValueError(f"{name} must be {rule}, got {value}.")

    @property
    def given(self) -> dict[str, float]:
        """The wish by its name, as `PauseProfile.select` takes it; empty for the whole frontier."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @property
    def is_about_speed(self) -> bool:
        """Whether a speed is asked for."""
        return self.min_speedup is not None or self.min_throughput is not None

    def is_nearly_fast_enough(self, point: ProfilePoint) -> bool:
        """Return whether a configuration lacks so little of the speed that is asked for that it may be chance."""
        if not self.is_about_speed or self.is_fast_enough(point):
            return False
        wished = self.min_throughput or self.min_speedup
        reached = point.images_per_second if self.min_throughput is not None else point.speedup
        return reached is not None and wished is not None and reached >= (1 - NEARLY) * wished

    def is_fast_enough(self, point: ProfilePoint) -> bool:
        """Return whether a configuration has the speed that is asked for; all have where none is."""
        if self.min_throughput is not None:
            return point.images_per_second is not None and point.images_per_second >= self.min_throughput
        return point.speedup >= (self.min_speedup or 0.0)


__all__ = ["Wish"]
