# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Draw a figure of the paper from results files or a checkpoint, as a PNG.

    python scripts/draw_figure.py pause_map --model MODEL --image street.png --pause_config 3:0.4,5:0.4 --output F.png
    python scripts/draw_figure.py entropy_violins --model MODEL --dataset camvid --dataset_path FOLDER --output F.png
    python scripts/draw_figure.py trade_off --results benchmark.json [...] --output F.png
    python scripts/draw_figure.py architectures --results benchmark.json --dataset camvid --output F.png
    python scripts/draw_figure.py single_layer_sweep --results search.json --output F.png
    python scripts/draw_figure.py two_layer_sweep --results search.json --first 3:0.4 --output F.png
    python scripts/draw_figure.py first_correct_layer --model MODEL --dataset camvid --dataset_path FOLDER --sample 0 \
        --output F.png

`python scripts/draw_figure.py FIGURE --help` lists the options of each. The two figures that measure a model over a
data set write what they measured beside the picture, as JSON, from which `entropy_violins --results` draws again.
"""

from paumer_hf.figures.commands import build_parser, draw


def main() -> None:
    """Read the arguments, draw, and print what was written."""
    arguments = build_parser().parse_args()
    try:
        paths = draw(arguments)
    except (ValueError, TypeError, OSError, ImportError) as error:
        raise SystemExit(f"draw_figure.py: {error}") from error
    for path in paths:
        print(path)


if __name__ == "__main__":
    main()
