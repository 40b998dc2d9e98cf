# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Segment image files and show which patches pause where, under several pause configurations.

    python scripts/predict.py --model FOLDER_OR_HUB_ID --images FILE_OR_FOLDER [...] --output FOLDER \
        [--pause_configs dense 3:0.4 3:0.4,5:0.4 PRESET ...] [--criterion random] [--dataset camvid]

Writes for each image a figure, NAME.png, and for each pause configuration its label map.
"""

from dataclasses import dataclass, field

from transformers import HfArgumentParser

from paumer_hf.prediction import find_images, load_model, predict_files, read_palette, read_pause_config


@dataclass
class Arguments:
    """What to segment, with what, and how."""

    model: str = field(metadata={"help": "Folder or Hub id of the model."})
    images: list[str] = field(metadata={"help": "Image files, and folders of them."})
    output: str = field(metadata={"help": "Folder to write to; files of the same names are replaced."})
    pause_configs: list[str] = field(
        default_factory=lambda: ["dense", "default"],
        metadata={"help": "dense, default (the model's own), presets of the model, or LAYER:RATIO,LAYER:RATIO,..."},
    )
    criterion: str = field(default="entropy", metadata={"help": "Of LAYER:RATIO: entropy or random."})
    seed: int = field(default=0, metadata={"help": "Of the random criterion."})
    dataset: str | None = field(default=None, metadata={"help": "Whose colours to use, such as camvid."})
    short_side: int | None = field(default=None, metadata={"help": "Resize images to this shorter side first."})
    figure_width: int | None = field(default=None, metadata={"help": "Reduce wider figures to this, for documents."})
    device: str | None = field(default=None, metadata={"help": "Such as cpu or cuda; a GPU where there is one."})


def main() -> None:
    """Read the arguments, predict, and print where the figures are."""
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    try:
        paths = find_images(arguments.images)
        model, processor = load_model(arguments.model, arguments.device)
        texts = dict.fromkeys(arguments.pause_configs)
        configs = [read_pause_config(text, model, arguments.criterion, arguments.seed) for text in texts]
        palette = read_palette(arguments.dataset, model.config.num_labels)
        figures = predict_files(
            model,
            processor,
            paths,
            list(dict.fromkeys(configs)),
            arguments.output,
            palette,
            arguments.short_side,
            arguments.figure_width,
        )
    except (ValueError, OSError) as error:
        raise SystemExit(f"predict.py: {error}") from error
    for figure in figures:
        print(figure)


if __name__ == "__main__":
    main()
