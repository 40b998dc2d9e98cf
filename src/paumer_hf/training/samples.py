# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The samples of a training in an order that is a function of the seed, so that a training can go on anywhere.

Every sample of a training has a position, counted from 0 over all steps, processes and epochs. The position decides
the image (each epoch is a permutation of its own) and the augmentation. Nothing else does: not the number of
processes, nor that of loader processes, nor an interruption.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from paumer_hf.data import BadSampleError, SegmentationDataset, SegmentationSample, SegmentationStream
from paumer_hf.training.preemption import obey_parent_only


NUM_NAMED_SAMPLES = 3


class TrainingSamples(Dataset):
    """Augmented samples by position.

    Args:
        dataset: The samples; a stream has an order of its own for each seed and epoch, which is taken.
        transform: A `TrainingTransform`.
        seed: Seed of the order and of the augmentation.
        on_bad_sample: What happens where a sample cannot be read: "stop" raises the `BadSampleError`; "skip" takes
            the next of the same epoch that can be, the first following the last.
    """

    def __init__(
        self,
        dataset: SegmentationDataset | SegmentationStream,
        transform: Callable,
        seed: int,
        on_bad_sample: Literal["stop", "skip"] = "stop",
    ) -> None:
        if len(dataset) == 0:
            raise ValueError("The training split has no samples. Name a split with samples by `train_split`.")
        if on_bad_sample not in ("stop", "skip"):
            raise ValueError(f'`on_bad_sample` must be "stop" or "skip", but is {on_bad_sample!r}.')
        self.dataset = dataset
        self.transform = transform
        self.seed = seed
        self.on_bad_sample = on_bad_sample
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

    def __getitem__(self, position: int) -> dict[str, Any]:
        """The sample at a position.

        Returns:
            `pixel_values` and `labels` as the transform makes them, and `skipped`: the ids of the samples that could
            not be read and were passed over for this one.

        Raises:
            BadSampleError: If the sample cannot be read and `on_bad_sample` is "stop".
            ValueError: If none of the epoch can be read.
        """
        sample, skipped = self._read(*divmod(position, len(self.dataset)))
        generator = np.random.default_rng([self.seed, 1, position])
        pixel_values, labels = self.transform(sample.image, sample.annotation, generator)
        return {"pixel_values": pixel_values, "labels": labels, "skipped": tuple(skipped)}

    def _read(self, epoch: int, place: int) -> tuple[SegmentationSample, list[str]]:
        skipped: list[str] = []
        for next_place in (*range(place, len(self.dataset)), *range(place)):
            try:
                return self._read_place(epoch, next_place), skipped
            except BadSampleError as error:
                if self.on_bad_sample == "stop":
                    raise
                skipped.append(error.sample_id)
                last = error
        raise ValueError(
            f"None of the {len(skipped)} training samples can be read, such as {skipped[:NUM_NAMED_SAMPLES]}. Of the "
            f"last one: {last}"
        ) from last

    def _read_place(self, epoch: int, place: int) -> SegmentationSample:
        if isinstance(self.dataset, SegmentationStream):
            return self.dataset.read(epoch, place, self.seed)
        return self.dataset[int(self._permutation(epoch)[place])]


def collate_samples(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A batch of what `TrainingSamples` returns.

    Returns:
        `pixel_values`, float32 (batch, 3, height, width), and `labels`, int64 (batch, height, width), the arguments of
        the model; and `skipped`, the ids of the samples that were passed over for them, in their order.
    """
    tensors = [{name: sample[name] for name in ("pixel_values", "labels")} for sample in samples]
    skipped = itertools.chain.from_iterable(sample["skipped"] for sample in samples)
    return {**default_collate(tensors), "skipped": tuple(skipped)}


def batches_of_positions(
    first_step: int, last_step: int, batch_size: int, rank: int, world_size: int, accumulation: int
) -> Iterator[list[int]]:
    """The positions of one process's batches in the steps `first_step` to `last_step` - 1.

    A step takes `batch_size` consecutive positions. They are divided into `world_size` times `accumulation`
    consecutive parts of as equal length as can be; each accumulated batch has one part for each process.
    """
    num_parts = world_size * accumulation
    for step, batch in itertools.product(range(first_step, last_step), range(accumulation)):
        part = batch * world_size + rank
        start, stop = (step * batch_size + end * batch_size // num_parts for end in (part, part + 1))
        yield list(range(start, stop))


class _Batches:
    """Batches as a sampler that a data loader can start more than once."""

    def __init__(self, *arguments: int) -> None:
        self._arguments = arguments

    def __iter__(self) -> Iterator[list[int]]:
        return batches_of_positions(*self._arguments)

    def __len__(self) -> int:
        first_step, last_step, *_, accumulation = self._arguments
        return (last_step - first_step) * accumulation


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

    Where the processes and accumulated batches do not divide `batch_size`, batches differ by one sample.

    Raises:
        ValueError: If the batch has fewer samples than there are processes times accumulated batches.
    """
    if batch_size < world_size * accumulation:
        raise ValueError(
            f"`batch_size` must be at least the number of processes times that of accumulated batches, but is "
            f"{batch_size} with {world_size} processes and {accumulation} accumulated batches. Raise it, or use fewer."
        )
    return DataLoader(
        samples,
        batch_sampler=_Batches(first_step, last_step, batch_size, rank, world_size, accumulation),
        collate_fn=collate_samples,
        num_workers=num_workers,
        worker_init_fn=obey_parent_only,
        pin_memory=pin_memory,
        # The loader draws a seed for its processes: from a generator of its own, so that dropout is not affected.
        generator=torch.Generator().manual_seed(samples.seed),
    )


__all__ = ["TrainingSamples", "batches_of_positions", "collate_samples", "make_loader"]
