# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The measured profile of a checkpoint: what pause configurations cost and save, and the choice among them."""

import json
import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .pause_config import PauseConfig
from .profile_point import ProfilePoint, as_profile_point, check_fields


@dataclass(frozen=True)
class PauseProfile:
    """What was measured of pause configurations of one model on one device, among them the dense model.

    Args:
        points: The measured configurations, each once, one of them the dense model with the speed-up 1. Objects of
            another copy of this module and dictionaries of the form of `ProfilePoint.to_dict` are taken as well.
        conditions: Under which the numbers hold, in plain JSON: data set, split, device, threads, versions, ...

    Raises:
        ValueError: If the dense model is missing, a configuration stands twice, or a value is refused.
        TypeError: If a value is of the wrong type.

    Example:
        >>> dense = ProfilePoint(PauseConfig(), speedup=1.0, mean_iou=0.412)
        >>> profile = PauseProfile((dense, ProfilePoint(PauseConfig({3: 0.5}), speedup=1.4, mean_iou=0.405)))
        >>> profile.select(max_drop=0.7).pause_config
        PauseConfig({3: 0.5})
    """

    points: tuple[ProfilePoint, ...]
    conditions: dict[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Validate, and bring points and conditions into their plain form."""
        if isinstance(self.points, (str, Mapping)) or not isinstance(self.points, Sequence):
            raise TypeError(f"`points` of a profile must be a sequence of ProfilePoint, but is {self.points!r}.")
        object.__setattr__(self, "points", tuple(as_profile_point(point) for point in self.points))
        object.__setattr__(self, "conditions", _as_plain_json(self.conditions))
        configs = [point.pause_config or PauseConfig() for point in self.points]
        repeated = [point.name for number, point in enumerate(self.points) if configs[number] in configs[:number]]
        if repeated:
            raise ValueError(f"`points` of a profile must hold each configuration once, but hold {repeated[0]} again.")
        if PauseConfig() not in configs:
            raise ValueError(
                "`points` of a profile must hold the dense model, to which speed-ups refer, but do not: add "
                "ProfilePoint(PauseConfig(), speedup=1.0, ...)."
            )
        if not math.isclose(self.dense.speedup, 1):
            raise ValueError(f"`speedup` of the dense model in a profile must be 1, but is {self.dense.speedup}.")
        for point in self.points:
            if point.mean_iou is not None and self.drop(point) is None:
                raise ValueError(
                    f"`mean_iou` of {point.name} in a profile means something only beside that of the dense model, "
                    "which is missing: give it, or `mean_iou_difference`."
                )

    @property
    def dense(self) -> ProfilePoint:
        """The point of the dense model."""
        return next(point for point in self.points if not point.pause_config)

    def drop(self, point: ProfilePoint) -> float | None:
        """How much mean IoU a point loses against the dense model, in percentage points; negative is a gain.

        None where it was not measured.
        """
        if not point.pause_config:
            return 0.0
        difference = point.mean_iou_difference
        if difference is None and point.mean_iou is not None and self.dense.mean_iou is not None:
            difference = point.mean_iou - self.dense.mean_iou
        # Without the digits that binary fractions add, a wish for 0.7 points takes what has lost exactly these.
        return None if difference is None else 0.0 - round(100 * difference, 9)

    def select(
        self, min_speedup: float | None = None, max_drop: float | None = None, min_throughput: float | None = None
    ) -> ProfilePoint:
        """The best point, or the dense model, that fulfils all wishes.

        With a wish for speed it is the most accurate one, and the fastest of these; where no mean IoU was measured,
        the slowest one, which pauses least. With `max_drop` alone it is the fastest one, and the most accurate of
        these.

        Args:
            min_speedup: At least so many times as fast as the dense model.
            max_drop: At most so many points of mIoU (percentage points, 0.7 is 41.2 % to 40.5 %) below the dense
                model.
            min_throughput: At least so many images per second, on the device and under the conditions of the profile.

        Raises:
            ValueError: If there is no wish, one is out of range or about what was not measured, or nothing fulfils
                them all: it says which wish fails and what comes nearest.
            TypeError: If a wish is no number.
        """
        wishes = {"min_speedup": min_speedup, "max_drop": max_drop, "min_throughput": min_throughput}
        checked = {name: _as_wish(name, value) for name, value in wishes.items() if value is not None}
        if not checked:
            raise ValueError(
                "Nothing is wished for: give at least one of `min_speedup` (a factor), `max_drop` (points of mIoU) "
                "and `min_throughput` (images/s)."
            )
        self._check_measured(checked)
        found = self._fulfilling(checked)
        if not found:
            raise ValueError(self._refusal(checked))
        return min(found, key=self._by_speed if set(checked) == {"max_drop"} else self._by_accuracy)

    def validate(self, num_layers: int) -> None:
        """Check every point against a model of `num_layers` layers.

        Raises:
            ValueError: If a point does not fit, by its name.
        """
        for point in self.points:
            try:
                point.pause_config.validate(num_layers)
            except ValueError as error:
                raise ValueError(f"The point {point.name} of the profile does not fit the model: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary that JSON can hold; `from_dict` reads it."""
        return {"conditions": _as_plain_json(self.conditions), "points": [point.to_dict() for point in self.points]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "PauseProfile":
        """Read the form of `to_dict`.

        Raises:
            ValueError: If a field is unknown or missing, or a value is refused.
            TypeError: If a value is of the wrong type.
        """
        check_fields(cls, "a profile", values, required=("points",))
        return cls(**values)

    def _value(self, wish: str, point: ProfilePoint) -> float | None:
        """What a wish is about; None where it was not measured."""
        if wish == "max_drop":
            return self.drop(point)
        return point.speedup if wish == "min_speedup" else point.images_per_second

    def _check_measured(self, wishes: Mapping[str, float]) -> None:
        paused = [point for point in self.points if point.pause_config]
        if "max_drop" in wishes and paused and all(self.drop(point) is None for point in paused):
            raise ValueError(
                "`max_drop` needs the mean IoU of the configurations, which the profile does not hold: wish for "
                "`min_speedup`, or measure it with scripts/search_pause_config.py."
            )
        if "min_throughput" in wishes and all(point.images_per_second is None for point in self.points):
            raise ValueError(
                "`min_throughput` needs the images per second of the configurations, which the profile does not hold: "
                "wish for `min_speedup`, or measure them with scripts/calibrate_throughput.py."
            )

    def _fulfilling(self, wishes: Mapping[str, float]) -> list[ProfilePoint]:
        def fulfils(point: ProfilePoint, wish: str, bound: float) -> bool:
            value = self._value(wish, point)
            return value is not None and (value <= bound if wish == "max_drop" else value >= bound)

        return [point for point in self.points if all(fulfils(point, *wish) for wish in wishes.items())]

    def _by_accuracy(self, point: ProfilePoint) -> tuple[float, ...]:
        drop = self.drop(point)
        return (1, point.speedup, 0) if drop is None else (0, drop, -point.speedup)

    def _by_speed(self, point: ProfilePoint) -> tuple[float, ...]:
        drop = self.drop(point)
        return -point.speedup, math.inf if drop is None else drop

    def _best(self, wish: str, points: Sequence[ProfilePoint]) -> ProfilePoint:
        """The point that comes nearest to a wish."""
        if wish == "max_drop":
            return min(points, key=self._by_accuracy)
        return max(points, key=lambda point: self._value(wish, point) or 0)

    def _refusal(self, wishes: Mapping[str, float]) -> str:
        """Why nothing fulfils the wishes, and what comes nearest."""
        impossible = [name for name, bound in wishes.items() if not self._fulfilling({name: bound})]
        if impossible:
            return " ".join(self._too_much(name, wishes[name]) for name in impossible)
        sentences = [f"No configuration of the profile fulfils {_in_words(wishes)} together, though each alone."]
        for name in wishes:
            others = {other: bound for other, bound in wishes.items() if other != name}
            pool = self._fulfilling(others)
            if pool:
                best = self._best(name, pool)
                which = "most accurate" if name == "max_drop" else "fastest"
                sentences.append(f"With {_in_words(others)} the {which}, {best.name}, {self._describe(best, wishes)}.")
        return " ".join(sentences)

    def _too_much(self, wish: str, bound: float) -> str:
        """The refusal of a wish that nothing fulfils; `max_drop` is none, since the dense model loses nothing."""
        best = self._best(wish, self.points)
        wanted = f"at least {_exact(bound)} times as fast as the dense model"
        if wish == "min_throughput":
            device = self.conditions.get("device")
            wanted = f"as fast as {_exact(bound)} images/s on the profile's device" + (f", {device}" if device else "")
        nearest = f"the fastest, {best.name}, {self._describe(best, [wish])}"
        return f"No configuration of the profile is {wanted}; {nearest}."

    def _describe(self, point: ProfilePoint, wishes: Sequence[str] | Mapping[str, float]) -> str:
        """Numbers of a point that can be wished for as they stand: speeds are rounded down, losses up."""
        parts = []
        if "min_throughput" in wishes and point.images_per_second is not None:
            parts.append(f"reaches {_exact(_floor(point.images_per_second))} images/s")
        if "min_speedup" in wishes or not parts:
            parts.append(f"is {_exact(_floor(point.speedup))} times as fast")
        drop = self.drop(point)
        if drop is None:
            parts.append("has no measured mIoU")
        elif drop == 0:
            parts.append("loses no mIoU")
        elif drop < 0:
            parts.append(f"gains {_exact(_floor(-drop))} points of mIoU")
        else:
            parts.append(f"loses {_exact(-_floor(-drop))} points of mIoU")
        return ", ".join(parts[:-1]) + f" and {parts[-1]}"


def as_pause_profile(value: Any) -> PauseProfile:
    """Bring a profile of any form into one `PauseProfile`.

    Args:
        value: A `PauseProfile` (also one of another copy of this module, as code from the Hub brings along), or a
            mapping of the form of `PauseProfile.to_dict`.

    Raises:
        ValueError: If a value is refused by `PauseProfile`.
        TypeError: If `value` is neither.
    """
    if isinstance(value, PauseProfile):
        return value
    if isinstance(value, Mapping):
        return PauseProfile.from_dict(value)
    if type(value).__name__ == PauseProfile.__name__:
        return PauseProfile.from_dict(value.to_dict())
    raise TypeError(f"A profile must be a PauseProfile or a mapping of the form of its to_dict(), but is {value!r}.")


def _as_plain_json(conditions: Any) -> dict[str, Any]:
    """A deep copy as reading the file would give it."""
    if not isinstance(conditions, Mapping):
        raise TypeError(f"`conditions` of a profile must be a mapping, but is {conditions!r}.")
    try:
        return json.loads(json.dumps(dict(conditions), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"`conditions` of a profile must be what JSON can hold, but are not: {error}.") from error


def _as_wish(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"`{name}` must be a number or None, but is {value!r}.")
    number = float(value)
    if not math.isfinite(number) or number < 0 or (number == 0 and name != "max_drop"):
        rule = "at least 0, in points of mIoU (0.7 for 0.7 percentage points)" if name == "max_drop" else "above 0"
        raise ValueError(f"`{name}` must be finite and {rule}, but is {number}.")
    return number


def _in_words(wishes: Mapping[str, float]) -> str:
    return " and ".join(f"{name}={_exact(bound)}" for name, bound in wishes.items())


def _floor(value: float) -> float:
    """Rounded down to three decimals, but not for what binary fractions miss."""
    return math.floor(round(value * 1000, 6)) / 1000


def _exact(value: float) -> str:
    """All digits of a number, and none for a whole one."""
    return str(int(value)) if value == int(value) else repr(value)


__all__ = ["PauseProfile", "ProfilePoint", "as_pause_profile"]
