# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Images per second of a model under several pause configurations, beside what the MACs predict.

All variants are timed in one run, interleaved: each round times every variant once, in random order. A machine that
slows down for a while slows all of them, and the speed-up, taken round by round, keeps its meaning.
"""

import contextlib
import functools
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.evaluation.macs import count_macs, predict_speedup
from paumer_hf.evaluation.results import environment_conditions


TUNED_MALLOC = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "500000000",
}
"""Environment that makes glibc keep its memory.

By default glibc returns every large buffer to the kernel, and the next one is cleared page by page. This costs up to
half of the time and shrinks with the number of tokens squared, so speed-ups by pausing look better than they are.
"""


def restart_with_tuned_malloc() -> None:
    """Start the running program again with `TUNED_MALLOC`, if it runs on glibc and these variables are not set.

    glibc reads them only when a process starts. Variables that are set already keep their values.
    """
    missing = {name: value for name, value in TUNED_MALLOC.items() if name not in os.environ}
    if missing and platform.libc_ver()[0] == "glibc":
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **missing})


def measure_throughput(
    model: PaumerForSemanticSegmentation,
    pause_configs: Sequence[PauseConfig],
    *,
    image_size: Sequence[int] = (512, 512),
    batch_size: int = 1,
    num_rounds: int = 7,
    num_warmups: int = 1,
    calls_per_round: int = 1,
    num_threads: int | None = None,
    compile: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Time a model, dense and under each pause configuration, from pixel values to logits at the patch grid.

    Args:
        model: The model, on the device and in the data type in which it is to be timed.
        pause_configs: What to time beside the dense model.
        image_size: Height and width of the random images.
        batch_size: Number of images in a call.
        num_rounds: How often each variant is timed.
        num_warmups: Calls of each variant before the first round; with `compile` the first one compiles.
        calls_per_round: Calls in one timing; more than one where a call takes less than some milliseconds.
        num_threads: Threads of torch on the CPU during the measurement; `None` keeps their number.
        compile: Whether to compile the model, once for each variant.
        seed: Seed of the images and of the order of the variants.
        progress: Whether to show a progress bar where there is a terminal.

    Returns:
        `conditions`, and `results`: for the dense model and each configuration `pause_config` (text form),
        `criterion`, `images_per_second`, the median and the interquartile range of the seconds of a call, `speedup`
        over the dense model (median over the rounds of the ratio of times, and as a check `speedup_of_fastest`),
        `predicted_speedup` by MACs, their ratio `efficiency`, and `gigamacs` of an image.
    """
    if len(image_size) != 2 or min(image_size) < 1:
        raise ValueError(f"image_size must be a height and a width of at least 1, got {tuple(image_size)}.")
    _check_counts(batch_size=batch_size, num_rounds=num_rounds, calls_per_round=calls_per_round)
    if num_threads is not None:
        _check_counts(num_threads=num_threads)
    variants = list(dict.fromkeys([PauseConfig(), *(pause_config for pause_config in pause_configs if pause_config)]))
    device, dtype = next(model.parameters()).device, next(model.parameters()).dtype
    generator = torch.Generator().manual_seed(seed)
    shape = (batch_size, model.config.num_channels, *image_size)
    pixel_values = torch.randn(shape, generator=generator).to(device, dtype)

    with _measuring(model, num_threads, num_graphs=len(variants) if compile else 0):
        calls = [_make_call(model, pixel_values, variant, compile) for variant in variants]
        seconds = _time_rounds(calls, device, num_rounds, num_warmups, calls_per_round, random.Random(seed), progress)
        conditions = environment_conditions(device)
    conditions |= {
        "image_size": list(image_size),
        "batch_size": batch_size,
        "num_labels": model.config.num_labels,
        "dtype": str(dtype).removeprefix("torch."),
        "attention": model.config._attn_implementation,
        "compiled": compile,
        "measured": "pixel values to logits at the patch grid, without reading images and without upsampling",
        "num_rounds": num_rounds,
        "num_warmups": num_warmups,
        "calls_per_round": calls_per_round,
        "seed": seed,
    }
    results = [
        _summarise(model, variant, image_size, batch_size, times, seconds[0])
        for variant, times in zip(variants, seconds, strict=True)
    ]
    return {"conditions": conditions, "results": results}


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}.")


def _make_call(
    model: PaumerForSemanticSegmentation, pixel_values: Tensor, pause_config: PauseConfig, compile: bool
) -> Callable[[], Tensor]:
    def forward(pixel_values: Tensor) -> Tensor:
        return model(pixel_values, pause_config=pause_config).logits

    return functools.partial(torch.compile(forward, dynamic=False) if compile else forward, pixel_values)


def _time_rounds(
    calls: Sequence[Callable[[], Tensor]],
    device: torch.device,
    num_rounds: int,
    num_warmups: int,
    calls_per_round: int,
    order: random.Random,
    progress: bool,
) -> list[list[float]]:
    """Return for each variant the seconds of a call in each round."""
    seconds: list[list[float]] = [[] for _ in calls]
    disable = None if progress else True
    for call in tqdm(calls, desc="Warming up", unit="variant", disable=disable):
        for _ in range(num_warmups):
            call()
    for _ in tqdm(range(num_rounds), desc="Timing", unit="round", disable=disable):
        for variant in order.sample(range(len(calls)), len(calls)):
            _synchronise(device)
            start = time.perf_counter()
            for _ in range(calls_per_round):
                calls[variant]()
            _synchronise(device)
            seconds[variant].append((time.perf_counter() - start) / calls_per_round)
    return seconds


def _synchronise(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _summarise(
    model: PaumerForSemanticSegmentation,
    pause_config: PauseConfig,
    image_size: Sequence[int],
    batch_size: int,
    seconds: Sequence[float],
    dense_seconds: Sequence[float],
) -> dict[str, Any]:
    speedup = statistics.median(dense / paused for dense, paused in zip(dense_seconds, seconds, strict=True))
    predicted = predict_speedup(model.config, image_size, pause_config)
    median = statistics.median(seconds)
    return {
        "pause_config": pause_config.to_text(),
        "criterion": pause_config.criterion,
        "images_per_second": batch_size / median,
        "seconds_median": median,
        "seconds_interquartile_range": _interquartile_range(seconds),
        "speedup": speedup,
        "speedup_of_fastest": min(dense_seconds) / min(seconds),
        "predicted_speedup": predicted,
        "efficiency": speedup / predicted,
        "gigamacs": count_macs(model.config, image_size, pause_config) / 1e9,
    }


def _interquartile_range(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return upper - lower


@contextlib.contextmanager
def _measuring(model: torch.nn.Module, num_threads: int | None, num_graphs: int) -> Iterator[None]:
    """Evaluation mode, no gradients, the number of threads and room for compiled graphs; all restored afterwards."""
    was_training, threads_before = model.training, torch.get_num_threads()
    compiler: contextlib.AbstractContextManager = contextlib.nullcontext()
    if num_graphs:
        # Past its limit torch.compile runs a variant uncompiled without an error.
        compiler = torch._dynamo.config.patch(recompile_limit=max(8, num_graphs), fail_on_recompile_limit_hit=True)
    model.eval()
    try:
        if num_threads is not None:
            torch.set_num_threads(num_threads)
        with torch.inference_mode(), compiler:
            yield
    finally:
        torch.set_num_threads(threads_before)
        model.train(was_training)


__all__ = ["TUNED_MALLOC", "measure_throughput", "restart_with_tuned_malloc"]
