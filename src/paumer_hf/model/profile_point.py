# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What was measured of one pause configuration: a point of a profile."""

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any

from .pause_config import PauseConfig, as_pause_config


# The lowest value of each fraction; the highest is 1.
FRACTIONS = {
    "mean_iou": 0,
    "mean_iou_interval": 0,
    "mean_iou_difference": -1,
    "mean_iou_difference_interval": -1,
}
RATES = ("speedup", "images_per_second", "gigamacs")


@dataclass(frozen=True)
class ProfilePoint:
    """What was measured of one pause configuration. None stands for what was not measured.

    Args:
        pause_config: The configuration, in any form that a call takes except a preset's name; `PauseConfig()` is the
            dense model.
        mean_iou: Fraction in [0, 1].
        mean_iou_interval: (low, high), the interval of confidence of `mean_iou`.
        mean_iou_difference: `mean_iou` less that of the dense model, in [-1, 1]; negative is lost.
        mean_iou_difference_interval: (low, high), the interval of confidence of `mean_iou_difference`.
        images_per_second: On the device of the profile's conditions.
        speedup: How many times as fast as the dense model; always known.
        gigamacs: Multiply-accumulates of an image, in 10^9.

    Raises:
        ValueError: If a value is outside its range, or the configuration is refused.
        TypeError: If a value is of the wrong type.
    """

    pause_config: PauseConfig
    _: KW_ONLY
    mean_iou: float | None = None
    mean_iou_interval: tuple[float, float] | None = None
    mean_iou_difference: float | None = None
    mean_iou_difference_interval: tuple[float, float] | None = None
    images_per_second: float | None = None
    speedup: float
    gigamacs: float | None = None

    def __post_init__(self) -> None:
        """Validate, and bring every value into its plain form."""
        object.__setattr__(self, "pause_config", as_pause_config(self.pause_config))
        for name in (*FRACTIONS, *RATES):
            value = getattr(self, name)
            if value is None and name != "speedup":
                continue
            where = f"`{name}` of {self.name} in a profile"
            if name.endswith("interval"):
                object.__setattr__(self, name, _as_interval(where, value, FRACTIONS[name]))
            else:
                object.__setattr__(self, name, _as_number(where, value, FRACTIONS.get(name)))

    @property
    def name(self) -> str:
        """The configuration as people write it, such as "3:0.4,5:0.4" or "the dense model"."""
        if not self.pause_config:
            return "the dense model"
        criterion = self.pause_config.criterion
        return self.pause_config.to_text() + ("" if criterion == "entropy" else f" ({criterion})")

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary that JSON can hold, without what was not measured; `from_dict` reads it."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values["pause_config"] = self.pause_config.to_dict()
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value is not None
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ProfilePoint":
        """Read the form of `to_dict`.

        Raises:
            ValueError: If a field is unknown or missing, or a value is refused.
            TypeError: If a value is of the wrong type.
        """
        check_fields(cls, "a point of a profile", values, required=("pause_config", "speedup"))
        return cls(**values)


def as_profile_point(value: Any) -> ProfilePoint:
    """Bring a point of any form into one `ProfilePoint`.

    Args:
        value: A `ProfilePoint` (also one of another copy of this module), or a mapping of the form of its `to_dict`.

    Raises:
        ValueError: If a value is refused by `ProfilePoint`.
        TypeError: If `value` is neither.
    """
    if isinstance(value, ProfilePoint):
        return value
    if isinstance(value, Mapping):
        return ProfilePoint.from_dict(value)
    if type(value).__name__ == ProfilePoint.__name__:
        return ProfilePoint.from_dict(value.to_dict())
    raise TypeError(f"`points` of a profile must be ProfilePoint or mappings of its fields, but hold {value!r}.")


def check_fields(kind: type, what: str, values: Any, required: Sequence[str]) -> None:
    """Check that what was read for a dataclass is a mapping with its fields.

    Args:
        kind: The dataclass.
        what: What it is, for messages, such as "a profile".
        values: What was read.
        required: The fields that must be there.

    Raises:
        ValueError: If a field is unknown or missing.
        TypeError: If `values` is no mapping.
    """
    known = [item.name for item in fields(kind)]
    if not isinstance(values, Mapping):
        raise TypeError(f"{what[0].upper()}{what[1:]} must be a mapping with the fields {known}, but is {values!r}.")
    for name in values:
        if name not in known:
            raise ValueError(f"Unknown field {name!r} of {what}; the fields are {known}.")
    for name in required:
        if name not in values:
            raise ValueError(f"The field {name!r} of {what} is missing.")


def _as_number(where: str, value: Any, lowest: int | None) -> float:
    """A fraction from `lowest` to 1, or a number above 0 where `lowest` is None, as a plain float."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{where} must be a number, but is {value!r}.")
    number = float(value)
    in_range = 0 < number < math.inf if lowest is None else lowest <= number <= 1  # NaN fails both
    if not in_range:
        rule = "above 0 and finite" if lowest is None else f"a fraction in [{lowest}, 1]"
        raise ValueError(f"{where} must be {rule}, but is {number}; leave it out if it was not measured.")
    return number


def _as_interval(where: str, value: Any, lowest: int) -> tuple[float, float]:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise TypeError(f"{where} must be a pair (low, high), but is {value!r}.")
    low, high = (_as_number(where, bound, lowest) for bound in value)
    if low > high:
        raise ValueError(f"{where} must have its lower end first, but is {(low, high)}.")
    return low, high


__all__ = ["ProfilePoint", "as_profile_point", "check_fields"]
