# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Predicts image files under several pause configurations and writes what comes out as pictures."""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.data.dataset_descriptions import default_palette, get_dataset_description
from paumer_hf.evaluation import table_1
from paumer_hf.model.pausing import entropy
from paumer_hf.model.segmentation_maps import segmentation_map
from paumer_hf.visualization import Colour, FigureRow, compose_figure, label_map_image, save_png


def load_model(
    name_or_path: str, device: str | torch.device | None = None
) -> tuple[PaumerForSemanticSegmentation, PaumerImageProcessor]:
    """The model in eval mode, and its image processor.

    Args:
        name_or_path: Folder or Hub id.
        device: Where the model computes; a GPU where there is one if it is not given.

    Raises:
        ValueError: If they cannot be loaded from there.
    """
    try:
        model = PaumerForSemanticSegmentation.from_pretrained(name_or_path)
        processor = PaumerImageProcessor.from_pretrained(name_or_path)
    except OSError as error:
        raise ValueError(f"`model` cannot be loaded from {name_or_path}: {error}") from error
    try:
        model = model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except (AssertionError, RuntimeError) as error:  # how torch says that there is no such device
        raise ValueError(f"The model cannot be moved to the device {device!r}: {error}") from error
    return model.eval(), processor


def find_images(paths: Sequence[str | os.PathLike]) -> list[Path]:
    """The image files among files and folders, those of a folder sorted by name.

    Raises:
        ValueError: If a path does not exist, a folder holds no image, or a file cannot be read as one.
    """
    suffixes = set(Image.registered_extensions())
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            images = sorted(file for file in path.iterdir() if file.suffix.lower() in suffixes and file.is_file())
            if not images:
                raise ValueError(
                    f"The folder {path} holds no image file. Name another folder or the files themselves."
                )
            found += images
        elif path.is_file():
            found.append(path)
        else:
            raise ValueError(f"{path} does not exist. Name image files or folders of them.")
    if not found:
        raise ValueError("`images` must name at least one image file or folder, but is empty.")
    for path in found:
        try:
            with Image.open(path):
                pass
        except (UnidentifiedImageError, OSError) as error:
            raise ValueError(f"{path} cannot be read as an image: {error}") from error
    return found


def read_pause_config(
    text: str, model: PaumerForSemanticSegmentation, criterion: str = "entropy", seed: int | None = None
) -> PauseConfig:
    """The pause configuration that a word of a command line means.

    Args:
        text: "dense" for none, "default" for the model's own, the name of one of the model's presets, or layers with
            ratios such as "3:0.4,5:0.4".
        model: The model that it is for.
        criterion: For layers with ratios: "entropy" or "random".
        seed: For the random criterion.

    Raises:
        ValueError: If it means nothing, or does not fit the model.
    """
    presets = {**model.pause_presets, "default": model.pause_config}
    return table_1.read_pause_config(text, model.config.num_hidden_layers, presets, criterion, seed)


def read_palette(dataset: str | None, num_labels: int) -> tuple[Colour, ...]:
    """The colours of a data set's classes, or distinct ones where none is named.

    Raises:
        ValueError: If the data set is unknown or has another number of classes than the model.
    """
    if dataset is None:
        return default_palette(num_labels)
    palette = get_dataset_description(dataset).palette
    if len(palette) != num_labels:
        raise ValueError(
            f"`dataset` must have as many classes as the model, {num_labels}, but {dataset!r} has {len(palette)}. "
            "Leave it out to have colours made."
        )
    return palette


@torch.inference_mode()
def predict(
    model: PaumerForSemanticSegmentation,
    processor: PaumerImageProcessor,
    image: Image.Image,
    pause_config: PauseConfig,
) -> FigureRow:
    """The label map, the pause map and the entropy of one image, at its own size, under one pause configuration.

    The entropy is that of the auxiliary prediction, which decides what pauses; without pausing there is none, and the
    entropy is that of the prediction itself.
    """
    inputs = processor(image, do_resize=False, size_divisor=model.config.patch_size, return_tensors="pt")
    outputs = model(inputs.pixel_values.to(model.device), pause_config=pause_config)
    image_size = (image.height, image.width)
    label_map = segmentation_map(outputs.logits[0], image_size, image_size, model.config.patch_size)
    logits = outputs.logits if outputs.auxiliary_logits is None else outputs.auxiliary_logits
    return FigureRow(
        pause_config=pause_config,
        label_map=label_map.cpu().numpy(),
        pause_map=outputs.pause_map[0].cpu().numpy(),
        entropy=entropy(logits[0].permute(1, 2, 0)).cpu().numpy(),
        entropy_title=f"entropy of the {'' if outputs.auxiliary_logits is None else 'auxiliary '}prediction",
    )


def predict_files(
    model: PaumerForSemanticSegmentation,
    processor: PaumerImageProcessor,
    paths: Sequence[Path],
    pause_configs: Sequence[PauseConfig],
    output_dir: str | os.PathLike,
    palette: Sequence[Colour],
    short_side: int | None = None,
    figure_width: int | None = None,
) -> list[Path]:
    """Write a figure for each image, and a label map for each image and pause configuration.

    Args:
        model: The model, in eval mode.
        processor: Its image processor, for mean and standard deviation.
        paths: The image files.
        pause_configs: The pause configurations, one row of the figure each.
        output_dir: Folder for `NAME.png` and `NAME_labels_CONFIGURATION.png`; files of these names are replaced.
        palette: Colour of each class.
        short_side: Shorter side in pixels that images are resized to first. None keeps their size.
        figure_width: Figures that are wider are reduced to this width in pixels and to 256 colours, for documents.
            None keeps them.

    Returns:
        The paths of the figures.

    Raises:
        ValueError: If an image cannot be read, or lies in the folder to write to.
    """
    if Path(output_dir).resolve() in {path.parent.resolve() for path in paths}:
        raise ValueError(f"`output_dir` must be another folder than that of the images, {output_dir}. Name a new one.")
    if short_side is not None and short_side < 1:
        raise ValueError(f"`short_side` must be at least 1 pixel, but is {short_side}.")
    if figure_width is not None and figure_width < 1:
        raise ValueError(f"`figure_width` must be at least 1 pixel, but is {figure_width}.")
    class_names = [model.config.id2label[label] for label in range(model.config.num_labels)]
    figures = []
    for path, name in zip(tqdm(paths, desc="predicting", disable=None), _output_names(paths), strict=True):
        image = _read_image(path, short_side)
        rows = [predict(model, processor, image, pause_config) for pause_config in pause_configs]
        title = f"{path.name}, {image.width} x {image.height} pixels"
        figure = compose_figure(title, image, rows, model.config.patch_size, palette, class_names)
        figures.append(Path(output_dir) / f"{name}.png")
        save_png(figure if figure_width is None else _reduce(figure, figure_width), figures[-1])
        for row in rows:
            labels = label_map_image(row.label_map, palette)
            save_png(labels, Path(output_dir) / f"{name}_labels_{_file_name(row.pause_config)}.png")
    return figures


def _reduce(figure: Image.Image, width: int) -> Image.Image:
    if figure.width <= width:
        return figure
    height = round(figure.height * width / figure.width)
    smaller = figure.resize((width, height), Image.Resampling.LANCZOS)
    return smaller.quantize(256, dither=Image.Dither.NONE)


def _read_image(path: Path, short_side: int | None) -> Image.Image:
    try:
        with Image.open(path) as file:
            array = PaumerImageProcessor().process_image(ImageOps.exif_transpose(file), do_convert_rgb=True)
    except OSError as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from error
    image = Image.fromarray(np.moveaxis(array, 0, -1).round().astype(np.uint8))
    if short_side is not None:
        scale = short_side / min(image.size)
        image = image.resize(
            (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.BILINEAR
        )
    return image


def _output_names(paths: Sequence[Path]) -> list[str]:
    """A name for each file: its stem; with a number behind where several files would have the same."""
    names: list[str] = []
    for path in paths:
        candidates = itertools.chain([path.stem], (f"{path.stem}-{number}" for number in itertools.count(2)))
        names.append(next(name for name in candidates if name not in names))
    return names


def _file_name(pause_config: PauseConfig) -> str:
    """The configuration in characters that every file system takes."""
    if not pause_config:
        return "dense"
    name = pause_config.to_text().replace(":", "-").replace(",", "_")
    if pause_config.criterion == "entropy":
        return name
    return f"{name}_{pause_config.criterion}" + ("" if pause_config.seed is None else f"_{pause_config.seed}")


__all__ = ["find_images", "load_model", "predict", "predict_files", "read_palette", "read_pause_config"]
