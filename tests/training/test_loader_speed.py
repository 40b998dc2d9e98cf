# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The speed of a loader: what is counted, and that nothing is left of the measurement."""

import multiprocessing
import random
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from paumer_hf.training.loader_speed import measure_loader


class Clock:
    """Time that passes only where a loader says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def batches(self, *durations: float, size: int = 4) -> Iterator[dict]:
        for duration in durations:
            self.now += duration
            yield {"pixel_values": torch.zeros(size, 1)}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_first_batch_is_start_up_and_the_last_ends_after_the_seconds(clock: Clock) -> None:
    speed = measure_loader(lambda: clock.batches(30, 0.5, 0.5, 0.5, 0.75, 9, 9), seconds=2.0)
    assert speed == {"images_per_second": 16 / 2.25, "images": 16, "seconds": 2.25, "startup_seconds": 30}


def test_a_loader_that_ends_early_is_measured_by_what_it_has(clock: Clock) -> None:
    speed = measure_loader(lambda: clock.batches(3, 0.5, 0.5), seconds=2.0)
    assert speed == {"images_per_second": 8.0, "images": 8, "seconds": 1.0, "startup_seconds": 3}
    speed = measure_loader(lambda: clock.batches(2), seconds=2.0)
    assert speed == {"images_per_second": 2.0, "images": 4, "seconds": 2.0, "startup_seconds": 2}
    with pytest.raises(ValueError, match="The data loader has no batch"):
        measure_loader(lambda: clock.batches())


def test_each_loader_process_delivers_once_before_it_counts(clock: Clock) -> None:
    """What they prepared while they started would be delivered at once, as if the loader were that fast."""

    class Loader:
        num_workers = 3

        def __iter__(self) -> Iterator[dict]:
            return clock.batches(10, 0, 0, 1, 1, 1)

    speed = measure_loader(Loader, seconds=2.0)
    assert speed == {"images_per_second": 4.0, "images": 8, "seconds": 2.0, "startup_seconds": 10}


class Draws(Dataset):
    """Samples that draw from every generator."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails

    def __len__(self) -> int:
        return 10_000

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if self.fails and index == 3:
            raise ValueError("the data is broken")
        return {"pixel_values": torch.rand(1) + random.random() + np.random.rand()}


def draw() -> tuple[float, float, float]:
    return torch.rand(1).item(), random.random(), np.random.rand()


def seed() -> None:
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_random_states_and_processes_are_as_before(num_workers: int) -> None:
    seed()
    expected = draw()
    seed()
    processes = set(multiprocessing.active_children())
    # Without a generator of its own, which the loader of a training has, the loader draws from the global one.
    speed = measure_loader(lambda: DataLoader(Draws(), 4, shuffle=True, num_workers=num_workers), seconds=0.05)
    assert draw() == expected
    assert speed["images_per_second"] > 0
    assert set(multiprocessing.active_children()) <= processes


def test_a_failing_loader_fails_the_measurement_and_leaves_the_random_states() -> None:
    seed()
    expected = draw()
    seed()
    with pytest.raises(ValueError, match="the data is broken"):
        measure_loader(lambda: DataLoader(Draws(fails=True), 4))
    assert draw() == expected
