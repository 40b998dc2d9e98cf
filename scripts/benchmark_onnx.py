# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Compare onnxruntime with PyTorch on the images of a data set: images per second, logits and label maps.

    python scripts/benchmark_onnx.py --model FOLDER_OR_HUB_ID --pause_configs dense 3:0.4 PRESET --dataset camvid \
        --dataset_path FOLDER --image_size 360 480 --output benchmark_onnx.json

Writes the results with their conditions as JSON and a Markdown table beside it. As benchmark.py does, it starts itself
again on Linux with glibc told to keep its memory, without which PyTorch would look slower than it is.
"""

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from transformers import HfArgumentParser

from paumer_hf.data import get_dataset_description, load_segmentation_dataset
from paumer_hf.evaluation.results import write_results, write_text
from paumer_hf.evaluation.throughput import restart_with_tuned_malloc
from paumer_hf.export.onnx_benchmark import benchmark_onnx, format_onnx_table
from paumer_hf.prediction import load_model


@dataclass
class Arguments:
    """What to compare, and on what."""

    model: str = field(metadata={"help": "Folder or Hub id of the model."})
    dataset: str = field(metadata={"help": "A registered data set."})
    dataset_path: str | None = field(default=None, metadata={"help": "Folder or Hub id where the data set lies."})
    split: str = field(default="validation", metadata={"help": "Split of the data set."})
    pause_configs: list[str] = field(
        default_factory=lambda: ["dense", "3:0.4", "3:0.4,5:0.4"],
        metadata={"help": "dense, default, presets of the model, or LAYER:RATIO,LAYER:RATIO,..."},
    )
    image_size: list[int] = field(default_factory=lambda: [512], metadata={"help": "Side, or height and width."})
    max_samples: int | None = field(default=None, metadata={"help": "Images to compare, from the first; all if none."})
    threads: int = field(default=1, metadata={"help": "Threads of both."})
    seed: int = field(default=0, metadata={"help": "Of the order in which the variants are timed."})
    tune_malloc: bool = field(default=True, metadata={"help": "Restart with glibc told to keep its memory."})
    output: str | None = field(default=None, metadata={"help": "JSON file to write, with .md beside it."})


def main() -> None:
    """Read the arguments, compare, and write or print the results."""
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    if arguments.tune_malloc:
        restart_with_tuned_malloc()
    try:
        model, processor = load_model(arguments.model, "cpu")
        model = model.float()  # as the exported graph computes
        description = get_dataset_description(arguments.dataset)
        samples = load_segmentation_dataset(description, arguments.split, path=arguments.dataset_path)
        measured = benchmark_onnx(
            model,
            processor,
            (sample.image for sample in itertools.islice(samples, arguments.max_samples)),
            arguments.pause_configs,
            arguments.image_size * (2 if len(arguments.image_size) == 1 else 1),
            num_threads=arguments.threads,
            seed=arguments.seed,
        )
        measured["conditions"] |= {name: getattr(arguments, name) for name in ("model", "dataset", "split")}
        table = format_onnx_table(measured["results"])
        print(table, end="")
        if arguments.output is not None:
            write_text(Path(arguments.output).with_suffix(".md"), table)
            write_results(arguments.output, measured)
    except (ValueError, OSError, ImportError) as error:
        raise SystemExit(f"benchmark_onnx.py: {error}") from error


if __name__ == "__main__":
    main()
