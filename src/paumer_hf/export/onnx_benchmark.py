# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""onnxruntime beside PyTorch on the same images: how fast each is, and by how much the results differ.

Everything is timed in one run, interleaved: each image is segmented by every variant in both runtimes, in random
order. A machine that slows down for a while slows all of them, and the ratios, taken image by image, keep their
meaning.
"""

import contextlib
import copy
import dataclasses
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tqdm import tqdm

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.evaluation.results import environment_conditions
from paumer_hf.export.agreement import Agreement
from paumer_hf.export.export_check import LOGIT_TOLERANCE
from paumer_hf.export.onnx_export import OPSET, export_onnx
from paumer_hf.export.onnx_paumer import OnnxPaumer, onnxruntime_version


# Key, heading, and form of a number in the table, in the order of the columns.
_COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("pause_config", "pause configuration", lambda text: text or "dense"),
    ("images_per_second", "onnxruntime images/s", lambda value: f"{value:.4g}"),
    ("pytorch_images_per_second", "PyTorch images/s", lambda value: f"{value:.4g}"),
    ("speedup_over_pytorch", "ratio", lambda value: f"{value:.2f}"),
    ("largest_logit_difference", "largest logit difference", lambda value: f"{value:.1e}"),
    ("num_different_patches", "patches of another class", str),
    ("num_different_labels", "pixels of another class", str),
    ("num_label_differences_beyond_ties", "of these no ties", str),
    ("num_labels_other_than_float64", "onnxruntime against float64", str),
    ("num_pytorch_labels_other_than_float64", "PyTorch against float64", str),
)


@dataclasses.dataclass
class _Variant:
    """One pause configuration in both runtimes, with what was measured of it."""

    pause_config: PauseConfig
    exported: OnnxPaumer
    agreement: Agreement
    seconds: list[float] = dataclasses.field(default_factory=list)
    pytorch_seconds: list[float] = dataclasses.field(default_factory=list)


def benchmark_onnx(
    model: PaumerForSemanticSegmentation,
    processor: PaumerImageProcessor,
    images: Iterable[Image.Image],
    pause_configs: Sequence[PauseConfig | Mapping | str],
    image_size: Sequence[int],
    *,
    num_threads: int = 1,
    seed: int = 0,
) -> dict[str, Any]:
    """Export a model under several pause configurations and compare each file with PyTorch on images.

    Timed is a call with one image, from pixel values to logits. Label maps are those that the image processor makes of
    the logits, at `image_size`.

    Args:
        model: The model in float32 on the CPU, in evaluation mode.
        processor: Its image processor.
        images: The images, of any size; they are resized to `image_size`.
        pause_configs: What to compare, each as `export_onnx` reads it.
        image_size: (height, width).
        num_threads: Threads of both.
        seed: Of the order in which the variants are timed.

    Returns:
        `conditions`, and `results`: for each configuration `pause_config` (text form), `pause_preset`, `criterion`,
        `num_images`, `images_per_second` of onnxruntime and `pytorch_images_per_second` (by the median time),
        `speedup_over_pytorch` (median over the images of the ratio of times), `file_bytes`, and how far both agree:
        the keys of `Agreement.summary`.

    Raises:
        ImportError: If the extra `onnx` is not installed.
        ValueError: If there is no image or no configuration, or one is refused.
    """
    order = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, _one_setting(num_threads):
        exact_model = copy.deepcopy(model).double()
        variants = []
        for index, pause_config in enumerate(tqdm(pause_configs, desc="Exporting", unit="file", disable=None)):
            path = Path(folder) / f"{index}.onnx"
            export_onnx(model, path, pause_config, image_size, processor)
            exported = OnnxPaumer(path, num_threads=num_threads)
            variants.append(_Variant(exported.pause_config, exported, Agreement(model, exact_model, exported)))
        for image in tqdm(images, desc="Comparing", unit="image", disable=None):
            pixel_values = variants[0].exported.processor(image, return_tensors="pt").pixel_values
            if not variants[0].seconds:
                _warm_up(model, variants, pixel_values)
            outputs = _time_image(model, variants, pixel_values, order)
            for variant, (expected, found) in zip(variants, outputs, strict=True):
                variant.agreement.add(pixel_values, expected, found)
        if not variants or not variants[0].seconds:
            raise ValueError("`images` and `pause_configs` must not be empty.")
        conditions = environment_conditions("cpu")
        results = [_summarise(variant) for variant in variants]
    conditions |= {
        "onnxruntime": onnxruntime_version(),
        "versions_of_export": variants[0].exported.metadata["versions"],
        "opset": OPSET,
        "graph_optimization": "all",
        "execution_provider": "CPUExecutionProvider",
        "image_size": list(image_size),
        "batch_size": 1,
        "dtype": "float32",
        "attention": model.config._attn_implementation,
        "num_warmups": 1,
        "measured": "one image at a time, pixel values to logits at the patch grid; PyTorch eager, in inference mode",
        "logit_tolerance": LOGIT_TOLERANCE,
        "seed": seed,
    }
    return {"conditions": conditions, "results": results}


def format_onnx_table(results: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table of the results of `benchmark_onnx`, with aligned columns."""
    cells = [[heading for _, heading, _ in _COLUMNS]]
    cells += [[form(result[key]) for key, _, form in _COLUMNS] for result in results]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        for line in (cells[0], rule, *cells[1:])
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _warm_up(model: PaumerForSemanticSegmentation, variants: Sequence[_Variant], pixel_values: torch.Tensor) -> None:
    for variant in variants:
        model(pixel_values, pause_config=variant.pause_config)
        variant.exported(pixel_values)


def _time_image(
    model: PaumerForSemanticSegmentation,
    variants: Sequence[_Variant],
    pixel_values: torch.Tensor,
    order: random.Random,
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Run every variant in both runtimes; the logits of each, PyTorch's first."""
    logits: dict[tuple[int, bool], torch.Tensor] = {}
    calls = [(index, in_pytorch) for index in range(len(variants)) for in_pytorch in (False, True)]
    for index, in_pytorch in order.sample(calls, len(calls)):
        variant = variants[index]
        start = time.perf_counter()
        if in_pytorch:
            outputs = model(pixel_values, pause_config=variant.pause_config)
        else:
            outputs = variant.exported(pixel_values)
        (variant.pytorch_seconds if in_pytorch else variant.seconds).append(time.perf_counter() - start)
        logits[index, in_pytorch] = outputs.logits
    return [(logits[index, True], logits[index, False]) for index in range(len(variants))]


def _summarise(variant: _Variant) -> dict[str, Any]:
    ratios = [pytorch / onnx for pytorch, onnx in zip(variant.pytorch_seconds, variant.seconds, strict=True)]
    return {
        "pause_config": variant.pause_config.to_text(),
        "pause_preset": variant.exported.pause_preset,
        "criterion": variant.pause_config.criterion,
        "num_images": len(variant.seconds),
        "images_per_second": 1 / statistics.median(variant.seconds),
        "pytorch_images_per_second": 1 / statistics.median(variant.pytorch_seconds),
        "speedup_over_pytorch": statistics.median(ratios),
        **variant.agreement.summary(),
        "file_bytes": variant.exported.path.stat().st_size,
    }


@contextlib.contextmanager
def _one_setting(num_threads: int) -> Iterator[None]:
    """No gradients, and the number of torch's threads, which is restored afterwards."""
    threads_before = torch.get_num_threads()
    try:
        torch.set_num_threads(num_threads)
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads_before)


__all__ = ["benchmark_onnx", "format_onnx_table"]
