# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The samples of a training in an order that is a function of the seed, so that a training can go on anywhere.

Every sample of a training has a position, counted from 0 over all steps, processes and epochs. The position decides
the image (each epoch is a permutation of its own) and the augmentation. Nothing else does: not the number of
processes, nor that of loader processes, nor an interruption.
"""

import itertools
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


class TrainingSamples(Dataset):
    """Augmented samples by position.

    Args:
        dataset: A `SegmentationDataset`.
        transform: A `TrainingTransform`.
        seed: Seed of the order and of the augmentation.
    """

    def __init__(self, dataset: Any, transform: Callable, seed: int) -> None:
        if len(dataset) == 0:
            raise ValueError("The training split has no samples. Name a split with samples by `train_split`.")
        self.dataset = dataset
        self.transform = transform
        self.seed = seed
        self._permutation = lru_cache(maxsize=2)(self._make_permutation)

    def _make_permutation(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.dataset))

    def __getstate__(self) -> dict[str, Any]:
        """A cached method cannot be sent to a loader process; the receiver makes its own."""
        return {name: value for name, value in vars(self).items() if name != "_permutation"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore, with an empty cache."""
        self.__dict__.update(state)
        self._permutation = lru_cache(maxsize=2)(self._make_permutation)

    def __getitem__(self, position: int) -> dict[str, torch.Tensor]:
        """The sample at a position, as keyword arguments of the model."""
        epoch, place = divmod(position, len(self.dataset))
        sample = self.dataset[int(self._permutation(epoch)[place])]
        generator = np.random.default_rng([self.seed, 1, position])
        pixel_values, labels = self.transform(sample.image, sample.annotation, generator)
        return {"pixel_values": pixel_values, "labels": labels}


def positions(
    first_step: int, last_step: int, batch_size: int, rank: int, world_size: int, accumulation: int
) -> Iterator[int]:
    """The positions of one process's samples in the steps `first_step` to `last_step` - 1.

    A step takes `batch_size` consecutive positions; each accumulated batch a stretch of them, of which each process
    has an equal part.
    """
    part = batch_size // (world_size * accumulation)
    for step, batch in itertools.product(range(first_step, last_step), range(accumulation)):
        start = step * batch_size + (batch * world_size + rank) * part
        yield from range(start, start + part)


class _Positions:
    """Positions as a sampler that a data loader can start more than once."""

    def __init__(self, *arguments: int) -> None:
        self._arguments = arguments

    def __iter__(self) -> Iterator[int]:
        return positions(*self._arguments)

    def __len__(self) -> int:
        first_step, last_step, batch_size, _, world_size, _ = self._arguments
        return (last_step - first_step) * batch_size // world_size


def make_loader(
    samples: TrainingSamples,
    first_step: int,
    last_step: int,
    batch_size: int,
    *,
    rank: int = 0,
    world_size: int = 1,
    accumulation: int = 1,
    num_workers: int = 0,
    pin_memory: bool = False,
) -> DataLoader:
    """The batches of one process, `accumulation` for each step from `first_step` to `last_step` - 1.

    Raises:
        ValueError: If the processes and accumulated batches do not divide the batch evenly.
    """
    if batch_size % (world_size * accumulation):
        raise ValueError(
            f"`batch_size` must be a multiple of the number of processes times `gradient_accumulation_steps`, but is "
            f"{batch_size} with {world_size} processes and {accumulation} accumulated batches."
        )
    return DataLoader(
        samples,
        batch_size=batch_size // (world_size * accumulation),
        sampler=_Positions(first_step, last_step, batch_size, rank, world_size, accumulation),
        num_workers=num_workers,
        pin_memory=pin_memory,
        # The loader draws a seed for its processes: from a generator of its own, so that dropout is not affected.
        generator=torch.Generator().manual_seed(samples.seed),
    )


__all__ = ["TrainingSamples", "make_loader", "positions"]
