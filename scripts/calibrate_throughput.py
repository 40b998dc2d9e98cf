# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Time the presets and the profile of a checkpoint on this device, beside what the profile says.

    python scripts/calibrate_throughput.py --model FOLDER_OR_HUB_ID --image_size 512 512 --batch_size 1
    python scripts/calibrate_throughput.py --model FOLDER --pause_configs 3:0.4 3:0.4,5:0.4 --save

Prints a table and whether the order has changed. With --save the speeds measured here replace those of the profile in
the checkpoint's `pause_config.json`; its configurations and their mean IoU stay. The program times as your own program
would run: unlike benchmark.py it leaves the memory allocator alone.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from transformers import HfArgumentParser

from paumer_hf import PaumerForSemanticSegmentation
from paumer_hf.evaluation import calibrate_throughput
from paumer_hf.evaluation.table_1 import select_pause_configs
from paumer_hf.model.pause_config_file import write_pause_config_file


@dataclass
class Arguments:
    """What to time, and how."""

    model: str = field(metadata={"help": "Folder or Hub id of the checkpoint."})
    image_size: list[int] = field(
        default_factory=list, metadata={"help": "Side, or height and width, in pixels; the model's own by default."}
    )
    batch_size: int = field(default=1, metadata={"help": "Images in a call."})
    pause_configs: list[str] = field(
        default_factory=list,
        metadata={"help": "Presets, default, table_1 or LAYER:RATIO,...; all presets and the profile if left out."},
    )
    seconds: float = field(default=20.0, metadata={"help": "How long the timing should last, about."})
    threads: int | None = field(default=None, metadata={"help": "Threads of torch on the CPU."})
    dtype: Literal["float32", "bfloat16", "float16"] = field(default="float32", metadata={"help": "Of the model."})
    compile: bool = field(default=False, metadata={"help": "Compile the model, once for each configuration."})
    device: str = field(default="cuda" if torch.cuda.is_available() else "cpu", metadata={"help": "cpu, cuda, ..."})
    save: bool = field(default=False, metadata={"help": "Write the speeds into the folder of the checkpoint."})


def load(arguments: Arguments) -> PaumerForSemanticSegmentation:
    """Load the model on the device and in the data type."""
    if arguments.save and not Path(arguments.model).is_dir():
        raise ValueError(f"--save needs a checkpoint in a local folder, but --model {arguments.model} is none.")
    try:
        model = PaumerForSemanticSegmentation.from_pretrained(arguments.model)
    except OSError as error:
        raise ValueError(f"--model cannot be loaded from {arguments.model}: {error}") from error
    try:
        return model.to(arguments.device, getattr(torch, arguments.dtype))
    except (AssertionError, RuntimeError) as error:  # how torch says that there is no such device
        raise ValueError(f"The model cannot be moved to --device {arguments.device}: {error}") from error


def main() -> None:
    """Read the arguments, time, print, and save if asked to."""
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    try:
        model = load(arguments)
        size = arguments.image_size or model.config.image_size
        size = [size] if isinstance(size, int) else list(size)
        presets = {**model.pause_presets, "default": model.pause_config}
        chosen = select_pause_configs(arguments.pause_configs, model.config.num_hidden_layers, presets)
        if arguments.save and chosen and model.pause_profile is not None:  # or they would be lost
            chosen += [point.pause_config for point in model.pause_profile.points]
        calibration = calibrate_throughput(
            model,
            size * (2 if len(size) == 1 else 1),
            arguments.batch_size,
            pause_configs=chosen or None,
            seconds=arguments.seconds,
            num_threads=arguments.threads,
            compile=arguments.compile,
        )
        print(calibration, end="")
        if arguments.save:
            path = write_pause_config_file(
                arguments.model, model.pause_config, model.pause_presets, calibration.profile
            )
            print(f"Wrote {path}.")
    except (ValueError, OSError) as error:
        raise SystemExit(f"calibrate_throughput.py: {error}") from error


if __name__ == "__main__":
    main()
