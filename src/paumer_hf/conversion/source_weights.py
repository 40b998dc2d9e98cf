# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What conversion works with: the weights of a source, taken out one by one, and what they become."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD


Channels = tuple[float, float, float]

# Mean and standard deviation of the channels, as most origins have the one or the other.
HALF_NORMALISATION: tuple[Channels, Channels] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
IMAGENET_NORMALISATION: tuple[Channels, Channels] = (tuple(IMAGENET_DEFAULT_MEAN), tuple(IMAGENET_DEFAULT_STD))


class ConversionError(ValueError):
    """A source cannot be converted; the message is one sentence that says what was found and what is needed."""


@dataclasses.dataclass
class ConvertedWeights:
    """Weights of another origin in PAUMER's names.

    Attributes:
        origin: The kind of the source, e.g. `"segmenter"`.
        config: The fields of `PaumerConfig` that the weights determine.
        state_dict: The weights under the names of `PaumerForSemanticSegmentation`.
        image_mean: Mean that the origin normalises each channel with.
        image_std: Standard deviation that the origin normalises each channel with.
        id2label: The names of the classes of the decoder, if the source has them.
        unused: The keys of the source that PAUMER has no use for.
        notes: Sentences on what the source leaves open and how it was filled.
    """

    origin: str
    config: dict[str, Any]
    state_dict: dict[str, torch.Tensor]
    image_mean: Channels
    image_std: Channels
    id2label: dict[int, str] | None = None
    unused: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def has_decoder(self) -> bool:
        """Whether the source has a decoder; if not, PAUMER's is new."""
        return any(name.startswith("decoder.") for name in self.state_dict)


class SourceWeights:
    """The weights of a source, of which each is taken once and none may be left.

    Attributes:
        unused: The keys that were dropped because PAUMER has no use for them.
    """

    def __init__(self, name: str, tensors: Mapping[str, torch.Tensor]) -> None:
        """Begin with all `tensors` of the source `name`."""
        self.name = name
        self.unused: list[str] = []
        self._left = dict(tensors)

    def __contains__(self, key: str) -> bool:
        """Whether `key` is still there."""
        return key in self._left

    def keys(self) -> list[str]:
        """The keys that are still there."""
        return list(self._left)

    def shape(self, key: str, num_dimensions: int) -> tuple[int, ...]:
        """The shape of a weight that is still there.

        Raises:
            ConversionError: If there is none of that name, or it has another number of dimensions, or is empty.
        """
        shape = tuple(self._get(key).shape)
        if len(shape) != num_dimensions or 0 in shape:
            raise ConversionError(
                f"{self.name}: {key!r} has the shape {shape}, but must have {num_dimensions} dimensions; the file is "
                "damaged or of another network."
            )
        return shape

    def pop(self, key: str, *shape: int | None) -> torch.Tensor:
        """Take a weight out.

        Args:
            key: Its name in the source.
            *shape: What its shape must be, None for any length; nothing to accept every shape.

        Raises:
            ConversionError: If it is missing or has another shape.
        """
        tensor = self._get(key)
        if shape and not _matches(tensor.shape, shape):
            expected = ", ".join("any" if length is None else str(length) for length in shape)
            raise ConversionError(
                f"{self.name}: {key!r} has the shape {tuple(tensor.shape)}, but the other weights ask for "
                f"({expected}); the file is damaged or of another network."
            )
        if not tensor.is_floating_point():
            raise ConversionError(
                f"{self.name}: {key!r} holds {tensor.dtype}, but weights are floating-point numbers."
            )
        if not tensor.isfinite().all():
            raise ConversionError(
                f"{self.name}: {key!r} holds values that are no finite numbers; the file is damaged, or the training "
                "that wrote it had failed."
            )
        return self._left.pop(key)

    def drop(self, known: Iterable[str] | Callable[[str], bool]) -> None:
        """Take out the keys that PAUMER has no use for, by name or by a function of the name."""
        matches = known if callable(known) else set(known).__contains__
        dropped = [key for key in self._left if matches(key)]
        for key in dropped:
            del self._left[key]
        self.unused += dropped

    def finish(self) -> None:
        """Check that nothing is left.

        Raises:
            ConversionError: If something is.
        """
        if self._left:
            listed = ", ".join(repr(key) for key in sorted(self._left)[:8])
            more = f" and {len(self._left) - 8} more" if len(self._left) > 8 else ""
            raise ConversionError(
                f"{self.name}: PAUMER has no place for {len(self._left)} of the weights, {listed}{more}; the network "
                "has parts that this conversion does not know."
            )

    def _get(self, key: str) -> torch.Tensor:
        if key not in self._left:
            near = [other for other in sorted(self._left) if other.rpartition(".")[2] == key.rpartition(".")[2]][:3]
            hint = f" (there are {near}, for instance)" if near else ""
            raise ConversionError(
                f"{self.name}: the weight {key!r} is missing{hint}; the file is incomplete or of another network."
            )
        return self._left[key]


def _matches(found: Sequence[int], expected: Sequence[int | None]) -> bool:
    return len(found) == len(expected) and all(
        wanted in (None, length) for wanted, length in zip(expected, found, strict=True)
    )


def read_channels(name: str, file: str, key: str, values: Any) -> Channels:
    """Mean or standard deviation of the three channels, from the field `key` of a `file` of the source `name`.

    Raises:
        ConversionError: If it does not hold three numbers.
    """
    try:
        red, green, blue = (float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise ConversionError(
            f"{name}: `{key}` of {file} must be three numbers, one for each channel, but is {values!r}."
        ) from error
    return red, green, blue


def count_layers(keys: Iterable[str], prefix: str) -> int:
    """How many layers are numbered after `prefix`, as in `blocks.0.norm1.weight` with the prefix `"blocks."`."""
    numbers = {key.removeprefix(prefix).split(".")[0].split("/")[0] for key in keys if key.startswith(prefix)}
    return 1 + max((int(number) for number in numbers if number.isdecimal()), default=-1)


__all__ = [
    "HALF_NORMALISATION",
    "IMAGENET_NORMALISATION",
    "Channels",
    "ConversionError",
    "ConvertedWeights",
    "SourceWeights",
    "count_layers",
    "read_channels",
]
