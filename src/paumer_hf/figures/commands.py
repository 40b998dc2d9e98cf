# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The sub-commands of `scripts/draw_figure.py`: the arguments of each figure, and what they draw."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from paumer_hf.data import SegmentationDataset, get_dataset_description, load_segmentation_dataset
from paumer_hf.data.dataset_descriptions import DATASET_DESCRIPTIONS
from paumer_hf.data.hub_datasets import HUB_DATASETS
from paumer_hf.evaluation.results import read_results, write_results
from paumer_hf.figures.architectures import draw_absolute_groups, draw_architectures
from paumer_hf.figures.drawing import check_path
from paumer_hf.figures.entropy_violins import draw_entropy_violins
from paumer_hf.figures.first_correct_layer import draw_first_correct_layer
from paumer_hf.figures.patch_predictions import first_correct_layer, patch_labels, pause_image, predict_layers
from paumer_hf.figures.patch_statistics import check_classes, check_patch_results, measure_patches
from paumer_hf.figures.pause_map import draw_pause_figure
from paumer_hf.figures.published_results import read_published_results
from paumer_hf.figures.result_rows import paused_pairs, read_rows
from paumer_hf.figures.sweeps import draw_single_layer_sweep, draw_two_layer_sweep
from paumer_hf.figures.trade_off import draw_trade_off
from paumer_hf.prediction import find_images, load_model, read_palette, read_pause_config
from paumer_hf.prediction.images import read_image


def build_parser() -> argparse.ArgumentParser:
    """The command line: one sub-command for each figure."""
    parser = argparse.ArgumentParser(description="Draw a figure of the paper from results files or a checkpoint.")
    figures = parser.add_subparsers(dest="figure", required=True, metavar="FIGURE", help=", ".join(FIGURES))
    for name, (function, add_arguments) in FIGURES.items():
        text = (function.__doc__ or "").partition("\n")[0]
        figure = figures.add_parser(name, help=text, description=text)
        figure.add_argument("--output", required=True, help="PNG file to write; its folder is made.")
        add_arguments(figure)
    return parser


def draw(arguments: argparse.Namespace) -> list[Path]:
    """Draw the figure that the command line names, and return the files that were written.

    Raises:
        ValueError: If an argument or a file does not do for the figure.
        OSError: If a file cannot be read or written.
        ImportError: If matplotlib is not installed.
    """
    check_path(arguments.output)
    FIGURES[arguments.figure][0](arguments)
    written = [Path(arguments.output)]
    measured = getattr(arguments, "share", None) is not None and not getattr(arguments, "results", None)
    return [*written, *([_json_path(arguments)] if measured else [])]


def read_sample(dataset: SegmentationDataset, name: str) -> Any:
    """The sample of this number, counted from 0, or id.

    Raises:
        ValueError: If there is none.
    """
    if name.isdecimal() and int(name) < len(dataset):
        return dataset[int(name)]
    found = next((sample for sample in dataset if sample.id == name), None)
    if found is None:
        raise ValueError(f"`sample` must be a number below {len(dataset)} or an id of the split, but is {name!r}.")
    return found


def timing_caption(conditions: Mapping[str, Any]) -> str:
    """Where and how speeds were measured, as far as the conditions of a results file say so."""
    size, threads = conditions.get("image_size"), conditions.get("num_threads")
    words = [
        conditions.get("device"),
        None if threads is None else f"{threads} thread{'s' * (threads != 1)}",
        None if not isinstance(size, list) else f"{size[1]} x {size[0]} pixels",
        None if conditions.get("batch_size") is None else f"batch {conditions['batch_size']}",
        conditions.get("dtype"),
    ]
    known = ", ".join(str(word) for word in words if word)
    return f"Speed: {known}." if known else ""


def _draw_pause_map(arguments: argparse.Namespace) -> None:
    """What paused after each pause layer of an image, and the entropy that decided it (figure 1)."""
    if (arguments.image is None) == (arguments.sample is None):
        raise ValueError("Name either --image, a file, or --sample of a --dataset.")
    model, processor = load_model(arguments.model, arguments.device)
    pause_config = read_pause_config(arguments.pause_config, model)
    if arguments.image is None:
        dataset = _load_dataset(arguments, model)
        sample = read_sample(dataset, arguments.sample)
        image, title, palette = sample.image, sample.id, dataset.description.palette
    else:
        path = find_images([arguments.image])[0]
        image, title = read_image(path), path.name
        palette = read_palette(arguments.dataset, model.config.num_labels)
    paused = pause_image(model, processor, image, pause_config, arguments.window_size)
    class_names = _class_names(model)
    output, patch_size = arguments.output, model.config.patch_size
    draw_pause_figure(image, paused, pause_config, patch_size, palette, class_names, output, title)


def _draw_entropy_violins(arguments: argparse.Namespace) -> None:
    """The entropy of the auxiliary prediction after each layer, of patches right and wrong (figure 3)."""
    if (arguments.results is None) == (arguments.model is None):
        raise ValueError("Name either --model and --dataset to measure, or --results to draw again.")
    if arguments.results is not None:
        contents = read_results(arguments.results)
        check_patch_results(contents, arguments.results)
    else:
        contents = _measure(arguments, *_load(arguments))
    draw_entropy_violins(contents, arguments.output)


def _draw_trade_off(arguments: argparse.Namespace) -> None:
    """Mean IoU against images/s, pausing by entropy and at random (figure 4)."""
    titles = arguments.titles or [Path(path).parent.name or Path(path).stem for path in arguments.results]
    if len(titles) != len(arguments.results) or len(set(titles)) != len(titles):
        raise ValueError(
            f"`titles` must be a different one for each of the {len(arguments.results)} results, but is {titles}."
        )
    rows = {title: read_rows(path) for title, path in zip(titles, arguments.results, strict=True)}
    captions = [_caption_of(path) for path in arguments.results]
    if len(set(captions)) > 1:
        captions = [f"{title}: {caption}" for title, caption in zip(titles, captions, strict=True)]
    draw_trade_off(rows, arguments.output, " ".join(dict.fromkeys(captions)))


def _draw_architectures(arguments: argparse.Namespace) -> None:
    """Our frontier among other architectures, each over its own dense model (figure 5)."""
    groups = read_published_results(arguments.published)
    conditions = read_results(arguments.results).get("conditions") or {}
    dataset = arguments.dataset or conditions.get("dataset")
    if not isinstance(dataset, str):
        raise ValueError(f"{arguments.results} does not say of which data set its mIoU is. Name it by --dataset.")
    function = draw_absolute_groups if arguments.absolute else draw_architectures
    caption = f"This model: {timing_caption(conditions).removeprefix('Speed: ')}"
    function(groups, read_rows(arguments.results), dataset, arguments.output, caption)


def _draw_single_layer_sweep(arguments: argparse.Namespace) -> None:
    """Mean IoU and images/s against the ratio, a line for each pause layer (figure 9)."""
    draw_single_layer_sweep(_sweep_rows(arguments), arguments.output, _caption_of(arguments.results))


def _draw_two_layer_sweep(arguments: argparse.Namespace) -> None:
    """Mean IoU and images/s with a first pause layer fixed, a line for each second one (figure 10)."""
    fixed = None
    if arguments.first is not None:
        pairs = paused_pairs({"pause_config": arguments.first})
        if len(pairs) != 1:
            raise ValueError(f"`first` must be one LAYER:RATIO such as 3:0.4, but is {arguments.first!r}.")
        fixed = pairs[0]
    draw_two_layer_sweep(_sweep_rows(arguments), arguments.output, fixed, _caption_of(arguments.results))


def _draw_first_correct_layer(arguments: argparse.Namespace) -> None:
    """After how many layers each patch of an image is first classified correctly (the poster's)."""
    model, processor, dataset = _load(arguments)
    sample = read_sample(dataset, arguments.sample)
    references = patch_labels(sample.annotation, model.config.patch_size, model.config.num_labels)
    predictions = predict_layers(model, processor, sample.image, arguments.window_size)
    first = first_correct_layer(predictions.labels, references)
    contents = _measure(arguments, model, processor, dataset)
    draw_first_correct_layer(sample.image, first, model.config.patch_size, contents, arguments.output, sample.id)


def _load(arguments: argparse.Namespace) -> tuple[Any, Any, SegmentationDataset]:
    model, processor = load_model(arguments.model, arguments.device)
    return model, processor, _load_dataset(arguments, model)


def _load_dataset(arguments: argparse.Namespace, model: Any) -> SegmentationDataset:
    if arguments.dataset is None:
        raise ValueError("Name the data set by --dataset, such as camvid, and where it lies by --dataset_path.")
    is_known = arguments.dataset in {*DATASET_DESCRIPTIONS, *HUB_DATASETS}
    overrides = {} if is_known else {"class_names": _class_names(model)}
    description = get_dataset_description(arguments.dataset, **overrides)
    dataset = load_segmentation_dataset(description, arguments.split, arguments.dataset_path)
    assert isinstance(dataset, SegmentationDataset)
    check_classes(model, dataset)
    return dataset


def _measure(arguments: argparse.Namespace, model: Any, processor: Any, dataset: SegmentationDataset) -> dict:
    _check_json(_json_path(arguments))
    contents = measure_patches(model, processor, dataset, arguments.share, arguments.window_size)
    contents["conditions"] = {"model": arguments.model, "split": arguments.split, **contents["conditions"]}
    write_results(_json_path(arguments), contents)
    return contents


def _json_path(arguments: argparse.Namespace) -> Path:
    return Path(arguments.output).with_suffix(".json")


def _check_json(path: Path) -> None:
    """Refuse to replace a file that is no earlier measurement, such as the results of a search."""
    if path.exists():
        try:
            check_patch_results(read_results(path), str(path))
        except ValueError as error:
            raise ValueError(
                f"{path} is there and is no earlier measurement of this figure. Give --output another name."
            ) from error


def _class_names(model: Any) -> list[str]:
    return [model.config.id2label[label] for label in range(model.config.num_labels)]


def _sweep_rows(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    rows = read_rows(arguments.results, ["images_per_second"])
    return [row for row in rows if not row["pause_config"] or row["criterion"] == arguments.criterion]


def _caption_of(path: str) -> str:
    return timing_caption(read_results(path).get("conditions") or {})


PUBLISHED = Path(__file__).parents[3] / "model_cards" / "published_results.yaml"

Options = Iterable[tuple[str, dict[str, Any]]]

_MODEL: Options = (
    ("--model", {"help": "Folder or Hub id of the model."}),
    ("--device", {"help": "Such as cpu or cuda; a GPU where there is one."}),
    ("--dataset", {"help": "A registered data set such as camvid, or a folder or Hub id with the model's classes."}),
    ("--dataset_path", {"help": "Folder or Hub id where the data set lies."}),
    ("--split", {"default": "validation", "help": "Split of the data set."}),
    ("--window_size", {"type": int, "nargs": 2, "help": "Height and width of the windows that the model sees."}),
)
_SHARE = ("--share", {"type": float, "default": 0.1, "help": "Share of the images to measure, 0.1 if not given."})
_SWEEP: Options = (
    ("--results", {"required": True, "help": "File of a search, or of benchmark.py --evaluation."}),
    ("--criterion", {"default": "entropy", "choices": ["entropy", "random"], "help": "Which rows to draw."}),
)
_OPTIONS: dict[str, Options] = {
    "pause_map": (
        *_MODEL,
        ("--image", {"help": "Image file."}),
        ("--sample", {"help": "Number or id of an image of the data set, instead of --image."}),
        ("--pause_config", {"required": True, "help": "LAYER:RATIO,LAYER:RATIO,... or a preset of the model."}),
    ),
    "entropy_violins": (*_MODEL, _SHARE, ("--results", {"help": "JSON file of an earlier run to draw again."})),
    "trade_off": (
        ("--results", {"required": True, "nargs": "+", "help": "Files of benchmark.py --evaluation or a search."}),
        ("--titles", {"nargs": "+", "help": "What each file is called; its folder's name if not given."}),
    ),
    "architectures": (
        ("--results", {"required": True, "help": "File of benchmark.py --evaluation or a search."}),
        ("--dataset", {"help": "Data set of the results, such as camvid, where the file does not say it."}),
        ("--published", {"default": str(PUBLISHED), "help": "Numbers of other publications."}),
        ("--absolute", {"action": "store_true", "help": "mIoU against images/s, a panel for each source."}),
    ),
    "single_layer_sweep": _SWEEP,
    "two_layer_sweep": (*_SWEEP, ("--first", {"help": "LAYER:RATIO that is fixed; the most frequent if not given."})),
    "first_correct_layer": (
        *_MODEL,
        _SHARE,
        ("--sample", {"required": True, "help": "Number or id of an image of the data set."}),
    ),
}
_NEED_MODEL = ("pause_map", "first_correct_layer")


def _adder(name: str) -> Callable[[argparse.ArgumentParser], None]:
    def add(parser: argparse.ArgumentParser) -> None:
        for flag, settings in _OPTIONS[name]:
            needed: dict[str, Any] = {"required": True} if flag == "--model" and name in _NEED_MODEL else {}
            parser.add_argument(flag, **settings, **needed)

    return add


FIGURES: dict[str, tuple[Callable[[argparse.Namespace], None], Callable[[argparse.ArgumentParser], None]]] = {
    "pause_map": (_draw_pause_map, _adder("pause_map")),
    "entropy_violins": (_draw_entropy_violins, _adder("entropy_violins")),
    "trade_off": (_draw_trade_off, _adder("trade_off")),
    "architectures": (_draw_architectures, _adder("architectures")),
    "single_layer_sweep": (_draw_single_layer_sweep, _adder("single_layer_sweep")),
    "two_layer_sweep": (_draw_two_layer_sweep, _adder("two_layer_sweep")),
    "first_correct_layer": (_draw_first_correct_layer, _adder("first_correct_layer")),
}
"""From the name of a figure to what draws it, and what adds its arguments to a parser."""


__all__ = ["FIGURES", "build_parser", "draw", "read_sample", "timing_caption"]
