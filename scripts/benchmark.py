# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Time a model under many pause configurations against itself without pausing, all in one run.

    python scripts/benchmark.py --model FOLDER_OR_HUB_ID --pause_configs table_1 --evaluation evaluation.json \
        --output benchmark.json
    python scripts/benchmark.py --size tiny --num_labels 150 --threads 1

Writes the results with their conditions as JSON, a Markdown table beside it and, with the results of evaluate.py, a
plot of mIoU against images/s. On Linux the program starts itself again with glibc told to keep its memory: by default
large buffers go back to the kernel, which slows the dense model most and makes pausing look better than it is.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from transformers import HfArgumentParser

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation
from paumer_hf.evaluation.plots import plot_trade_off
from paumer_hf.evaluation.results import format_table, join_results, read_results, write_results, write_text
from paumer_hf.evaluation.table_1 import select_pause_configs
from paumer_hf.evaluation.throughput import measure_throughput, restart_with_tuned_malloc


@dataclass
class Arguments:
    """What to time, and how."""

    model: str | None = field(default=None, metadata={"help": "Folder or Hub id of the model."})
    size: str | None = field(default=None, metadata={"help": "tiny, small, base or large: random weights instead."})
    num_labels: int = field(default=150, metadata={"help": "Classes of a model of --size."})
    image_size: list[int] = field(default_factory=lambda: [512], metadata={"help": "Side, or height and width."})
    pause_configs: list[str] = field(
        default_factory=lambda: ["table_1"],
        metadata={"help": "default, table_1, presets of the model, or LAYER:RATIO,LAYER:RATIO,..."},
    )
    criteria: list[str] = field(default_factory=lambda: ["entropy"], metadata={"help": "entropy, random, or both."})
    batch_size: int = field(default=1, metadata={"help": "Images in a call."})
    rounds: int = field(default=7, metadata={"help": "How often each configuration is timed."})
    calls_per_round: int = field(default=1, metadata={"help": "Calls in a timing; more on fast devices."})
    threads: int | None = field(default=None, metadata={"help": "Threads of torch on the CPU."})
    dtype: Literal["float32", "bfloat16", "float16"] = field(default="float32", metadata={"help": "Of the model."})
    attn_implementation: str | None = field(default=None, metadata={"help": "sdpa, eager, flash_attention_2, ..."})
    compile: bool = field(default=False, metadata={"help": "Compile the model, once for each configuration."})
    device: str = field(default="cuda" if torch.cuda.is_available() else "cpu", metadata={"help": "cpu, cuda, ..."})
    seed: int = field(default=0, metadata={"help": "Of the images and of the order in each round."})
    tune_malloc: bool = field(default=True, metadata={"help": "Restart with glibc told to keep its memory."})
    evaluation: str | None = field(default=None, metadata={"help": "Results of evaluate.py to join."})
    output: str | None = field(default=None, metadata={"help": "JSON file to write, with .md and .png beside it."})


def load(arguments: Arguments) -> PaumerForSemanticSegmentation:
    """Load the model, or make one of a standard size."""
    if (arguments.model is None) == (arguments.size is None):
        raise ValueError("Give either --model or --size.")
    attention = {"attn_implementation": arguments.attn_implementation} if arguments.attn_implementation else {}
    if arguments.model is not None:
        model = PaumerForSemanticSegmentation.from_pretrained(arguments.model, **attention)
    else:
        config = PaumerConfig.from_size(arguments.size, num_labels=arguments.num_labels, **attention)
        model = PaumerForSemanticSegmentation(config)
    try:
        return model.to(arguments.device, getattr(torch, arguments.dtype))
    except (AssertionError, RuntimeError) as error:  # how torch says that there is no such device
        raise ValueError(f"The model cannot be moved to --device {arguments.device}: {error}") from error


def main() -> None:
    """Read the arguments, time, and write or print the results."""
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    if arguments.tune_malloc:
        restart_with_tuned_malloc()
    try:
        evaluations = read_results(arguments.evaluation)["results"] if arguments.evaluation else []
        model = load(arguments)
        presets = {**model.pause_presets, "default": model.pause_config}
        measured = measure_throughput(
            model,
            select_pause_configs(arguments.pause_configs, model.config.num_hidden_layers, presets, arguments.criteria),
            image_size=arguments.image_size * (2 if len(arguments.image_size) == 1 else 1),
            **{"num_threads": arguments.threads, "num_rounds": arguments.rounds},
            **{name: getattr(arguments, name) for name in ("batch_size", "calls_per_round", "compile", "seed")},
        )
        measured["conditions"] |= {"model": arguments.model or arguments.size}
        rows = join_results(evaluations, measured["results"]) or measured["results"]
        print(format_table(rows), end="")
        if arguments.output is not None:
            write_text(Path(arguments.output).with_suffix(".md"), format_table(rows, markdown=True))
            if evaluations:
                plot_trade_off(rows, Path(arguments.output).with_suffix(".png"))
            write_results(arguments.output, {**measured, "joined": rows} if evaluations else measured)
    except (ValueError, OSError, ImportError) as error:
        raise SystemExit(f"benchmark.py: {error}") from error


if __name__ == "__main__":
    main()
