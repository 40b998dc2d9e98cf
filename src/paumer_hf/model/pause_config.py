# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The run-time argument of PAUMER: after which layers patches pause, and which share of them."""

import math
import numbers
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


CRITERIA = ("entropy", "random")


class PauseRatios(Mapping[int, float]):
    """An immutable, hashable mapping from pause layer to pause ratio, in ascending order of the layers."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: tuple[tuple[int, float], ...]) -> None:
        """Keep `pairs` of (layer, ratio), which the caller has validated, in ascending order."""
        self._pairs = tuple(sorted(pairs))

    def __getitem__(self, layer: int) -> float:
        for key, ratio in self._pairs:
            if key == layer:
                return ratio
        raise KeyError(layer)

    def __iter__(self) -> Iterator[int]:
        return (layer for layer, _ in self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return repr(dict(self._pairs))


@dataclass(frozen=True, repr=False)
class PauseConfig:
    """After which layers patches pause, how many of them, and by which criterion.

    A pause configuration is given to the model call, as a generation configuration is given to `generate`. It is
    immutable, hashable and comparable, so that it can key a table of results and stay a constant of a compiled graph.

    Args:
        pause_ratios: From pause layer to pause ratio. Layers count from 1: layer `l` means "after the l-th layer".
            The ratio, in [0, 1), is the share of the patches **still active** there that pause. A ratio of 0 is the
            same as leaving the layer out.
        criterion: `"entropy"` pauses the patches whose auxiliary prediction has the lowest entropy; `"random"` is the
            baseline, which pauses patches drawn uniformly.
        seed: For the random criterion: the same seed pauses the same patches at the same place in a batch, and others
            at other places. None draws from torch's generator.

    Raises:
        ValueError: If a layer, a ratio, the criterion or the seed is outside its range.
        TypeError: If `pause_ratios` is no mapping, or a layer, ratio or seed is of the wrong type.

    Example:
        >>> PauseConfig({3: 0.4, 5: 0.4})
        PauseConfig({3: 0.4, 5: 0.4})
        >>> PauseConfig.from_text("3:0.4,5:0.4", criterion="random", seed=0)
        PauseConfig({3: 0.4, 5: 0.4}, criterion='random', seed=0)
    """

    pause_ratios: Mapping[int, float] = field(default_factory=dict)
    criterion: str = "entropy"
    seed: int | None = None

    def __post_init__(self) -> None:
        """Validate what does not depend on a model, and bring the mapping into its canonical form."""
        if not isinstance(self.pause_ratios, Mapping):
            raise TypeError(
                f"`pause_ratios` must be a mapping from layer to ratio, but is {self.pause_ratios!r}: "
                "write PauseConfig({3: 0.4, 5: 0.4}), or PauseConfig.from_text('3:0.4,5:0.4')."
            )
        pairs = tuple((_as_layer(layer), _as_ratio(layer, ratio)) for layer, ratio in self.pause_ratios.items())
        layers = [layer for layer, _ in pairs]
        if len(set(layers)) != len(layers):
            raise ValueError(f"`pause_ratios` names a layer more than once: {dict(self.pause_ratios)!r}.")
        if not isinstance(self.criterion, str) or self.criterion not in CRITERIA:
            raise ValueError(f"`criterion` must be one of {list(CRITERIA)}, but is {self.criterion!r}.")
        if self.seed is not None and (isinstance(self.seed, bool) or not isinstance(self.seed, numbers.Integral)):
            raise TypeError(f"`seed` must be an integer or None, but is {self.seed!r}.")
        if self.seed is not None and not 0 <= self.seed < 2**31:
            raise ValueError(f"`seed` must lie in [0, 2**31), but is {self.seed}.")
        if self.seed is not None:
            object.__setattr__(self, "seed", int(self.seed))
        # A ratio of 0 pauses nothing: without it, equal pauses mean equal configurations.
        object.__setattr__(self, "pause_ratios", PauseRatios(tuple(pair for pair in pairs if pair[1] > 0)))

    def __bool__(self) -> bool:
        """Whether anything pauses."""
        return len(self.pause_ratios) > 0

    def __repr__(self) -> str:
        arguments = [repr(self.pause_ratios)] if self else []
        if self.criterion != "entropy":
            arguments.append(f"criterion={self.criterion!r}")
        if self.seed is not None:
            arguments.append(f"seed={self.seed}")
        return f"PauseConfig({', '.join(arguments)})"

    def to_text(self) -> str:
        """The pause ratios as command lines write them, such as `"3:0.4,5:0.4"`; empty if nothing pauses."""
        return ",".join(f"{layer}:{ratio!r}" for layer, ratio in self.pause_ratios.items())

    @classmethod
    def from_text(cls, text: str, criterion: str = "entropy", seed: int | None = None) -> "PauseConfig":
        """Read the form of `to_text`.

        Raises:
            ValueError: If the text is not `LAYER:RATIO` pairs separated by commas.
        """
        pause_ratios: dict[int, float] = {}
        for item in filter(None, (part.strip() for part in text.split(","))):
            layer, separator, ratio = item.partition(":")
            try:
                key, value = int(layer), float(ratio)
            except ValueError:
                separator = ""
            if not separator:
                raise ValueError(
                    "A pause configuration is written LAYER:RATIO,LAYER:RATIO such as '3:0.4,5:0.4', but "
                    f"{text!r} has the part {item!r}."
                )
            if key in pause_ratios:
                raise ValueError(f"The pause configuration {text!r} names layer {key} more than once.")
            pause_ratios[key] = value
        return cls(pause_ratios, criterion=criterion, seed=seed)

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary that JSON can hold; `from_dict` reads it."""
        ratios = {str(layer): ratio for layer, ratio in self.pause_ratios.items()}
        return {"pause_ratios": ratios, "criterion": self.criterion, "seed": self.seed}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "PauseConfig":
        """Read the form of `to_dict`.

        Raises:
            ValueError: If there is an unknown field, or a value is refused by `PauseConfig`.
        """
        known = ("pause_ratios", "criterion", "seed")
        unknown = [name for name in values if name not in known]
        if unknown:
            raise ValueError(f"Unknown field {unknown[0]!r} of a pause configuration; the fields are {list(known)}.")
        return cls(**values)

    def num_active(self, num_patches: int, num_layers: int) -> list[int]:
        """How many patches each of the layers 1 to `num_layers` processes, of `num_patches` in the image."""
        counts, active = [], num_patches
        for layer in range(1, num_layers + 1):
            counts.append(active)
            active -= num_paused(active, self.pause_ratios.get(layer, 0.0))
        return counts

    def validate(self, num_layers: int) -> None:
        """Check the configuration against a model of `num_layers` layers.

        Raises:
            ValueError: If a pause layer is not one of 1 to `num_layers` - 1.
        """
        for layer in self.pause_ratios:
            if layer >= num_layers:
                remedy = f"Name layers from 1 to {num_layers - 1}" if num_layers > 1 else "Use PauseConfig()"
                raise ValueError(
                    f"`pause_ratios` names layer {layer}, but the model has {num_layers} layers and pausing after the "
                    f"last one or later saves nothing. {remedy}."
                )


def num_paused(num_active: int, ratio: float) -> int:
    """How many of `num_active` patches a ratio pauses: floor(ratio * num_active).

    The product is rounded to nine digits first, since 0.29 * 100 is 28.999999999999996 in binary floating point; at
    least one patch stays active even where a ratio just below 1 rounds up.
    """
    return min(math.floor(round(ratio * num_active, 9)), num_active - 1)


def _as_layer(layer: Any) -> int:
    """A layer as an integer from 1; JSON writes the keys of a mapping as text."""
    if isinstance(layer, str) and layer.strip().isdecimal():
        layer = int(layer)
    if isinstance(layer, bool) or not isinstance(layer, numbers.Integral):
        raise TypeError(f"`pause_ratios` must have integer layers as keys, but has {layer!r}.")
    if layer < 1:
        raise ValueError(
            f"`pause_ratios` names layer {layer}, but layers count from 1: patches pause after the first layer at the "
            "earliest."
        )
    return int(layer)


def _as_ratio(layer: Any, ratio: Any) -> float:
    """A ratio as a number in [0, 1)."""
    if isinstance(ratio, bool) or not isinstance(ratio, numbers.Real):
        raise TypeError(f"`pause_ratios` must have numbers as ratios, but layer {layer} has {ratio!r}.")
    number = float(ratio)
    if not 0 <= number < 1:  # NaN fails the comparison as well
        raise ValueError(
            f"`pause_ratios` must have ratios in [0, 1), the share of the still active patches that pause, but layer "
            f"{layer} has {ratio}; at least one patch must stay active."
        )
    return number


def as_pause_config(value: Any, presets: Mapping[str, Any] | None = None) -> PauseConfig:
    """Bring everything that a model call accepts into one `PauseConfig`.

    Args:
        value: A `PauseConfig` (also one of another copy of this module, as code from the Hub brings along), a mapping
            from layer to ratio, a mapping of the form of `PauseConfig.to_dict`, or the name of a preset.
        presets: The presets that a name may refer to.

    Raises:
        ValueError: If the preset is unknown, or a value is refused by `PauseConfig`.
        TypeError: If `value` is none of the above.
    """
    if isinstance(value, PauseConfig):
        return value
    if isinstance(value, str):
        presets = presets or {}
        if value not in presets:
            known = f"the presets are {sorted(presets)}" if presets else "the model has no presets"
            raise ValueError(
                f"Unknown pause preset {value!r}: {known}. Name one of `model.pause_presets`, or pass "
                "PauseConfig.from_text('3:0.4,5:0.4')."
            )
        return as_pause_config(presets[value])
    if isinstance(value, Mapping):
        # Field names are text that is no number; everything else is a layer.
        has_fields = any(isinstance(key, str) and not key.strip().isdecimal() for key in value)
        return PauseConfig.from_dict(value) if has_fields else PauseConfig(value)
    if type(value).__name__ == PauseConfig.__name__:
        return PauseConfig.from_dict(value.to_dict())
    raise TypeError(
        "`pause_config` must be None, a PauseConfig, a mapping from layer to ratio or the name of a preset, but is "
        f"{value!r}."
    )


__all__ = ["CRITERIA", "PauseConfig", "PauseRatios", "as_pause_config", "num_paused"]
