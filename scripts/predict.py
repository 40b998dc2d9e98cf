# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Segment images and videos, and show which patches pause where and how fast that is.

    python scripts/predict.py --model FOLDER_OR_HUB_ID --inputs IMAGE_VIDEO_OR_FOLDER [...] --output FOLDER \
        [--pause_configs dense PRESET 3:0.4,5:0.4 ... | --target_speedup 1.5 | --target_throughput 20 | --max_drop 0.7]
    python scripts/predict.py --model MODEL --inputs drive.mp4 --output FOLDER --format gif --every_nth 3
    python scripts/predict.py --model MODEL --inputs FRAMES --as_video --frame_rate 15 --output FOLDER

Writes for each image a figure, NAME.png, and for each pause configuration its label map; for each video NAME.mp4,
NAME.gif or the folder NAME_frames, with the configurations side by side; and for each the numbers, NAME.json. On Linux
the program starts itself again with glibc told to keep its memory, as benchmark.py does and for the same reason.
"""

import sys
from pathlib import Path

from transformers import HfArgumentParser

from paumer_hf.evaluation.throughput import restart_with_tuned_malloc
from paumer_hf.prediction import (
    PredictionArguments,
    TimedPredictor,
    check_outputs,
    choose_pause_configs,
    find_inputs,
    load_model,
    output_names,
    predict_files,
    predict_videos,
    read_palette,
)


def predict(arguments: PredictionArguments) -> list[Path]:
    """Predict everything, and return the paths of the figures and videos."""
    images, videos = find_inputs(arguments.inputs, arguments.as_video, arguments.frame_rate)
    if not videos and arguments.format in ("gif", "mp4"):
        raise ValueError(f"`format` {arguments.format} is for videos, and there are only images. Add --as_video.")
    options = arguments.video_options
    if videos and arguments.format is None:
        print(f"Videos are written as {options.format}; --format chooses another.", file=sys.stderr)
    model, processor = load_model(arguments.model, arguments.device)
    configs = choose_pause_configs(
        model, arguments.pause_configs, arguments.criterion, arguments.seed, **arguments.targets
    )
    if any(target is not None for target in arguments.targets.values()):
        print(f"The target is met by {next(iter(configs)).to_text() or 'dense'}.", file=sys.stderr)
    palette = read_palette(arguments.dataset, model.config.num_labels)
    paths = [*images, *(video.path for video in videos)]
    names = output_names(paths)
    check_outputs(paths, arguments.output, names, configs)
    written: list[Path] = []
    if images:
        looks = (arguments.output, palette, arguments.short_side, arguments.figure_width)
        more = {"model_name": arguments.model, "num_timed_calls": arguments.timed_calls}
        written += predict_files(model, processor, images, configs, *looks, names=names[: len(images)], **more)
    if videos:
        predictor = TimedPredictor(model, processor, configs)
        more = {"names": names[len(images) :], "model_name": arguments.model}
        written += predict_videos(predictor, videos, arguments.output, palette, options, **more)
    return written


def main() -> None:
    """Read the arguments, predict, and print where the figures and videos are."""
    (arguments,) = HfArgumentParser(PredictionArguments).parse_args_into_dataclasses()
    if arguments.tune_malloc:
        restart_with_tuned_malloc()
    try:
        print(*predict(arguments), sep="\n")
    except (ValueError, OSError, ImportError) as error:
        raise SystemExit(f"predict.py: {error}") from error
    except KeyboardInterrupt:
        print("predict.py: interrupted; nothing is left half written.", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
