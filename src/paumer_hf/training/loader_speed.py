# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""How fast a data loader is alone: a training that is slower waits for the model, one that is as fast for the data."""

import random
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch


def measure_loader(make_loader: Callable[[], Iterable[dict[str, Any]]], seconds: float = 2.0) -> dict[str, float]:
    """Measure the images per second of a loader that nothing else waits for.

    The loader is made for this and ends with it, its processes too. Random states are left as they were.

    Args:
        make_loader: Makes the loader, whose batches have the images in `pixel_values`.
        seconds: How long to measure once it runs. A batch that is being waited for is still counted.

    Returns:
        `images_per_second`; the `images` and the `seconds` that it was found from; and `startup_seconds`, from the
        making to the batch after which each loader process has delivered one. What a loader delivers before is not
        counted, unless it ends there: then everything is counted.

    Raises:
        ValueError: If the loader has no batch.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            return _measure(make_loader, seconds)
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def _measure(make_loader: Callable[[], Iterable[dict[str, Any]]], seconds: float) -> dict[str, float]:
    begin = time.perf_counter()
    loader = make_loader()
    num_processes = max(1, getattr(loader, "num_workers", 0))
    ends, sizes = [begin], [0]
    batches = iter(loader)
    try:
        for batch in batches:
            ends.append(time.perf_counter())
            sizes.append(len(batch["pixel_values"]))
            if len(ends) > num_processes and ends[-1] - ends[num_processes] >= seconds:
                break
    finally:
        # A loader ends its processes when nothing refers to the iterator any more.
        del batches
    if len(ends) == 1:
        raise ValueError("The data loader has no batch, so its speed cannot be measured. Give it at least one sample.")
    first = num_processes if len(ends) > num_processes + 1 else 0
    images, measured = sum(sizes[first + 1 :]), ends[-1] - ends[first]
    return {
        "images_per_second": images / measured,
        "images": images,
        "seconds": measured,
        "startup_seconds": ends[min(num_processes, len(ends) - 1)] - begin,
    }


__all__ = ["measure_loader"]
