# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Export a model under one pause configuration as an ONNX file, which is checked against PyTorch before it is kept.

    python scripts/export_onnx.py --model FOLDER_OR_HUB_ID --pause_config fast --image_size 512 1024 \
        --output fast.onnx [--label_map]

The file takes any number of images of that size and says in its metadata what it holds; `paumer_hf.export.OnnxPaumer`
runs it with onnxruntime. With an --output that ends in .pt2 it is a program of torch.export instead.
"""

from dataclasses import dataclass, field
from pathlib import Path

from transformers import HfArgumentParser

from paumer_hf.evaluation.table_1 import read_pause_config
from paumer_hf.export import export_onnx, export_program
from paumer_hf.prediction import load_model


@dataclass
class Arguments:
    """What to export, and where to."""

    model: str = field(metadata={"help": "Folder or Hub id of the model."})
    output: str = field(metadata={"help": "The file to write: .onnx, or .pt2 for torch.export."})
    pause_config: str = field(
        default="default",
        metadata={"help": "dense, default (the model's own), a preset of the model, or LAYER:RATIO,LAYER:RATIO,..."},
    )
    criterion: str = field(default="entropy", metadata={"help": "Of LAYER:RATIO: entropy or random."})
    seed: int | None = field(default=None, metadata={"help": "Of the random criterion."})
    image_size: list[int] | None = field(
        default=None, metadata={"help": "Height and width, or one side; the size of the training if none."}
    )
    label_map: bool = field(default=False, metadata={"help": "Also return the class of each pixel."})
    tolerance: float = field(default=1e-4, metadata={"help": "By how much logits may differ from PyTorch's."})


def main() -> None:
    """Read the arguments, export, and print by how much the file and PyTorch differ."""
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    is_program = Path(arguments.output).suffix == ".pt2"
    try:
        model, processor = load_model(arguments.model, "cpu")
        pause_config = arguments.pause_config
        if ":" in pause_config and pause_config not in model.pause_presets:
            layers = model.config.num_hidden_layers
            pause_config = read_pause_config(pause_config, layers, None, arguments.criterion, arguments.seed)
        size = arguments.image_size
        report = (export_program if is_program else export_onnx)(
            model,
            arguments.output,
            pause_config,
            size * 2 if size is not None and len(size) == 1 else size,
            processor,
            arguments.label_map,
            tolerance=arguments.tolerance,
        )
    except (ValueError, OSError, ImportError) as error:
        raise SystemExit(f"export_onnx.py: {' '.join(str(error).split())}") from error
    print(f"{arguments.output}: on {report.num_images} images the logits differ from PyTorch's by at most", end=" ")
    print(f"{report.largest_logit_difference:.1e}", end="")
    if report.num_pixels:
        print(f", and {report.num_label_ties} of {report.num_pixels} pixels have another class, all ties", end="")
    print("." if not report.num_pause_ties else f"; in {report.num_pause_ties} a tie let another patch pause.")


if __name__ == "__main__":
    main()
