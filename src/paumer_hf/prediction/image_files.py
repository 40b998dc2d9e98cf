# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Predicts image files and writes what comes out as figures, label maps and JSON."""

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.evaluation.results import write_results
from paumer_hf.prediction.images import read_image, resize_short_side
from paumer_hf.prediction.reports import PredictionTotals, prediction_conditions, result_row
from paumer_hf.prediction.timed_prediction import TimedPredictor
from paumer_hf.visualization import Colour, compose_figure, label_map_image, save_png


def predict_files(
    model: PaumerForSemanticSegmentation,
    processor: PaumerImageProcessor,
    paths: Sequence[Path],
    pause_configs: Mapping[PauseConfig, str] | Iterable[PauseConfig],
    output_dir: str | os.PathLike,
    palette: Sequence[Colour],
    short_side: int | None = None,
    figure_width: int | None = None,
    *,
    names: Sequence[str] | None = None,
    model_name: str = "",
    num_timed_calls: int = 3,
) -> list[Path]:
    """Write a figure and the numbers of each image, and a label map for each image and pause configuration.

    Args:
        model: The model, in eval mode.
        processor: Its image processor, for mean and standard deviation.
        paths: The image files.
        pause_configs: The pause configurations, one row of the figure each; a mapping gives their names.
        output_dir: Folder for `NAME.png`, `NAME.json` and `NAME_labels_CONFIGURATION.png`; files of these names are
            replaced.
        palette: Colour of each class.
        short_side: Shorter side in pixels that images are resized to first. None keeps their size.
        figure_width: Figures that are wider are reduced to this width in pixels and to 256 colours, for documents.
            None keeps them.
        names: The NAME of each image; made from the names of the files if they are not given.
        model_name: Where the model comes from, for the JSON files.
        num_timed_calls: How often each image is predicted under each configuration; the speed is by the median.

    Returns:
        The paths of the figures.

    Raises:
        ValueError: If an image cannot be read, lies in the folder to write to, or two would be written to one file.
    """
    configs = {config: pause_configs[config] if isinstance(pause_configs, Mapping) else "" for config in pause_configs}
    names = output_names(paths) if names is None else names
    check_outputs(paths, output_dir, names, configs)
    resize_short_side(Image.new("RGB", (1, 1)), short_side)
    if figure_width is not None and figure_width < 1:
        raise ValueError(f"`figure_width` must be at least 1 pixel, but is {figure_width}.")
    class_names = [model.config.id2label[label] for label in range(model.config.num_labels)]
    predictor = TimedPredictor(model, processor, configs)
    conditions = prediction_conditions(model, model_name)
    folder, figures = Path(output_dir), []
    for path, name in zip(tqdm(paths, desc="predicting", unit="image", disable=None), names, strict=True):
        image = resize_short_side(read_image(path), short_side)
        rows, results = [], []
        for prediction in predictor.predict(image, num_timed_calls):
            totals = PredictionTotals(class_names)
            totals.add(prediction)
            rows.append(prediction.row.timed(totals.images_per_second))
            label_map = f"{name}_labels_{file_name(prediction.row.pause_config)}.png"
            save_png(label_map_image(prediction.row.label_map, palette), folder / label_map)
            results.append(result_row(prediction, totals, {"label_map": label_map}))
        title = f"{path.name}, {image.width} x {image.height} pixels"
        figure = compose_figure(title, image, rows, model.config.patch_size, palette, class_names)
        figures.append(folder / f"{name}.png")
        save_png(figure if figure_width is None else _reduce(figure, figure_width), figures[-1])
        about = {"image": str(path), "width": image.width, "height": image.height, "figure": figures[-1].name}
        write_results(folder / f"{name}.json", {**about, "conditions": conditions, "results": results})
    return figures


def check_outputs(
    paths: Iterable[Path], output_dir: str | os.PathLike, names: Sequence[str], pause_configs: Iterable[PauseConfig]
) -> None:
    """Check that nothing that is read or was just written would be overwritten.

    Args:
        paths: What is read; of a folder everything in it.
        output_dir: Where is written to.
        names: What the files that are written begin with.
        pause_configs: What the label maps are named after.

    Raises:
        ValueError: If a path lies in the folder to write to, or two would be written to one file.
    """
    output = Path(output_dir).resolve()
    if any(output in (path.resolve(), path.parent.resolve()) for path in paths):
        raise ValueError(f"`output_dir` must be another folder than that of the images, {output_dir}. Name a new one.")
    if output.exists() and not output.is_dir():
        raise ValueError(f"`output_dir` must be a folder, but {output_dir} is a file. Name a folder.")
    label_maps = {f"{name}_labels_{file_name(config)}" for name in names for config in pause_configs}
    twice = label_maps & set(names)
    if twice:
        raise ValueError(
            f"Two files would be written to {sorted(twice)[0]}: label maps are named NAME_labels_CONFIGURATION. Leave "
            "out the input of this name, or predict it into another folder."
        )


def _reduce(figure: Image.Image, width: int) -> Image.Image:
    if figure.width <= width:
        return figure
    height = round(figure.height * width / figure.width)
    smaller = figure.resize((width, height), Image.Resampling.LANCZOS)
    return smaller.quantize(256, dither=Image.Dither.NONE)


def output_names(paths: Sequence[Path]) -> list[str]:
    """A name for each file, its stem, or for a folder; with a number behind where several would have the same."""
    names: list[str] = []
    for path in paths:
        stem = path.resolve().name if path.is_dir() else path.stem
        candidates = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        names.append(next(name for name in candidates if name not in names))
    return names


def file_name(pause_config: PauseConfig) -> str:
    """The configuration in characters that every file system takes."""
    if not pause_config:
        return "dense"
    name = pause_config.to_text().replace(":", "-").replace(",", "_")
    if pause_config.criterion == "entropy":
        return name
    return f"{name}_{pause_config.criterion}" + ("" if pause_config.seed is None else f"_{pause_config.seed}")


__all__ = ["check_outputs", "file_name", "output_names", "predict_files"]
